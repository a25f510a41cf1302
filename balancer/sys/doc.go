// Package sys is the one place with raw system calls and unsafe.
//
//	loop, relay, balancer ──> sys ──> kernel
//	                     fd, []byte      number, pointer, length
//
// An event loop's calls never block: every descriptor is non-blocking, so the calls go through RawSyscall and the
// Go scheduler is not told of them (an ordinary syscall.Read costs two scheduler transitions more). A function
// here makes one call and returns its errno, 0 for success; it retries EINTR where the call can be interrupted,
// and decides nothing.
//
// Linux is the platform. Elsewhere every function returns ENOSYS and Supported is false.
package sys
