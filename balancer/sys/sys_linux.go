package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Supported says whether this platform has what an event loop needs.
const Supported = true

// Recv reads up to len(p) bytes from a socket; p must not be empty. 0 and no errno is the end of the stream. It is
// recvfrom(2) and not read(2), which takes the way through the file system's layer first.
func Recv(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0, 0, 0)
		if e == unix.EINTR {
			continue
		}
		return result(n, e)
	}
}

// Send writes up to len(p) bytes to a socket; p must not be empty. MSG_NOSIGNAL: a closed peer is EPIPE, not a
// signal. more says that bytes or FIN follow at once
// (MSG_MORE): they then share a packet.
func Send(fd int, p []byte, more bool) (int, syscall.Errno) {
	flags := uintptr(unix.MSG_NOSIGNAL)
	if more {
		flags |= unix.MSG_MORE
	}
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
			flags, 0, 0)
		if e == unix.EINTR {
			continue
		}
		return result(n, e)
	}
}

// Splice moves up to n bytes between a pipe and a socket without copying them to user space (splice(2)).
// It blocks on neither end.
func Splice(in, out, n int) (int, syscall.Errno) {
	for {
		r, _, e := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(in), 0, uintptr(out), 0, uintptr(n),
			unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if e == unix.EINTR {
			continue
		}
		return result(r, e)
	}
}

// Close closes fd. EINTR is not retried: on Linux the descriptor is gone all the same (close(2)).
func Close(fd int) {
	syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

// CloseWrite sends FIN once what was written has gone out.
func CloseWrite(fd int) syscall.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
	return e
}

// Reset closes fd so that the peer sees RST and unsent bytes are dropped.
func Reset(fd int) {
	ResetOnClose(fd)
	Close(fd)
}

// ResetOnClose makes whoever closes fd do it as Reset does (SO_LINGER, socket(7)).
func ResetOnClose(fd int) {
	l := unix.Linger{Onoff: 1}
	syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER,
		uintptr(unsafe.Pointer(&l)), unsafe.Sizeof(l), 0)
}

// SetInt sets an integer socket option.
func SetInt(fd, level, opt, v int) syscall.Errno {
	x := int32(v)
	_, _, e := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(opt),
		uintptr(unsafe.Pointer(&x)), 4, 0)
	return e
}

// Pipe makes a non-blocking pipe and asks for size bytes of room, then for less as long as the kernel refuses
// (pipe-user-pages-soft, pipe-max-size). It returns the room it got.
func Pipe(size int) (r, w, room int, errno syscall.Errno) {
	var p [2]int32
	_, _, e := syscall.RawSyscall(unix.SYS_PIPE2, uintptr(unsafe.Pointer(&p)), unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if e != 0 {
		return -1, -1, 0, e
	}
	r, w = int(p[0]), int(p[1])
	for ; size > defaultPipe; size /= 2 {
		if n, _, e := syscall.RawSyscall(unix.SYS_FCNTL, uintptr(w), unix.F_SETPIPE_SZ, uintptr(size)); e == 0 {
			return r, w, int(n), 0
		}
	}
	n, _, _ := syscall.RawSyscall(unix.SYS_FCNTL, uintptr(w), unix.F_GETPIPE_SZ, 0)
	return r, w, int(n), 0
}

// defaultPipe is the kernel's default room of a pipe, 16 pages (pipe(7)).
const defaultPipe = 64 << 10

func result(n uintptr, e syscall.Errno) (int, syscall.Errno) {
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}
