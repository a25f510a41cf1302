package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Event bits of an epoll event.
const (
	EventIn    = unix.EPOLLIN
	EventOut   = unix.EPOLLOUT
	EventRdHup = unix.EPOLLRDHUP
	EventHup   = unix.EPOLLHUP
	EventErr   = unix.EPOLLERR
)

// Event is one epoll event. The kernel carries the token that Watch was given.
type Event unix.EpollEvent

// Token is what Watch was told to carry.
func (e *Event) Token() uint64 { return uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32 }

// Bits are the Event… bits that hold.
func (e *Event) Bits() uint32 { return e.Events }

// EpollCreate makes a non-blocking epoll instance.
func EpollCreate() (int, syscall.Errno) {
	fd, _, e := syscall.RawSyscall(unix.SYS_EPOLL_CREATE1, unix.EPOLL_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, e
	}
	// os.NewFile hands a descriptor to the netpoller only when it is non-blocking; epoll itself ignores the flag.
	if err := unix.SetNonblock(int(fd), true); err != nil {
		Close(int(fd))
		return -1, unix.EINVAL
	}
	return int(fd), 0
}

// Watch registers fd with the epoll instance ep, edge-triggered and for its whole life: closing fd takes it out
// again. Whether it is writable is left out, which WatchWritable adds: nearly all sockets always are, and the
// kernel would say so once for each at the cost of a turn of the loop.
func Watch(ep, fd int, token uint64) syscall.Errno {
	return epollCtl(ep, unix.EPOLL_CTL_ADD, fd, reads, token)
}

// WatchBoth registers fd as Watch does, for writing too.
func WatchBoth(ep, fd int, token uint64) syscall.Errno {
	return epollCtl(ep, unix.EPOLL_CTL_ADD, fd, reads|unix.EPOLLOUT, token)
}

// WatchWritable adds writing to what fd is watched for. What is ready already is told again.
func WatchWritable(ep, fd int, token uint64) syscall.Errno {
	return epollCtl(ep, unix.EPOLL_CTL_MOD, fd, reads|unix.EPOLLOUT, token)
}

// WatchReadable registers a timer or an event counter: edge-triggered, readable only.
func WatchReadable(ep, fd int, token uint64) syscall.Errno {
	return epollCtl(ep, unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN|edge, token)
}

// WatchListener registers a listening socket: level-triggered, so that a loop which has taken some connections
// need not ask for one more only to learn that there is none.
func WatchListener(ep, fd int, token uint64) syscall.Errno {
	return epollCtl(ep, unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN, token)
}

// Unwatch takes fd out.
func Unwatch(ep, fd int) {
	var none Event // kernels before 2.6.9 wanted a pointer; it is ignored
	syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(ep), unix.EPOLL_CTL_DEL, uintptr(fd), uintptr(unsafe.Pointer(&none)), 0, 0)
}

// edge is EPOLLET, which unix has as a negative number.
const edge = 1 << 31

// reads is what every connection is watched for.
const reads = unix.EPOLLIN | unix.EPOLLRDHUP | edge

func epollCtl(ep, op, fd int, bits uint32, token uint64) syscall.Errno {
	ev := Event{Events: bits, Fd: int32(uint32(token)), Pad: int32(uint32(token >> 32))}
	_, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(ep), uintptr(op), uintptr(fd),
		uintptr(unsafe.Pointer(&ev)), 0, 0)
	return e
}

// EpollWait takes what is ready now; it never waits.
func EpollWait(ep int, events []Event) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])),
			uintptr(len(events)), 0, 0, 0)
		if e == unix.EINTR {
			continue
		}
		return result(n, e)
	}
}

// TimerFD makes a timer that is readable once it has fired.
func TimerFD() (int, syscall.Errno) {
	fd, _, e := syscall.RawSyscall(unix.SYS_TIMERFD_CREATE, unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC, 0)
	return fdResult(fd, e)
}

// ArmTimer makes the timer fire once, ns nanoseconds from now; at least 1.
func ArmTimer(fd int, ns int64) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(ns, 1))}
	syscall.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(fd), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
}

// EventFD makes a counter that is readable once Wake has been called.
func EventFD() (int, syscall.Errno) {
	fd, _, e := syscall.RawSyscall(unix.SYS_EVENTFD2, 0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC, 0)
	return fdResult(fd, e)
}

// Wake makes the counter readable. Any goroutine may call it.
func Wake(fd int) {
	one := uint64(1)
	syscall.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&one)), 8)
}

// Clear reads a timer or a counter empty, so that the next change is an edge again.
func Clear(fd int) {
	var b [8]byte
	syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b)), 8)
}

func fdResult(fd uintptr, e syscall.Errno) (int, syscall.Errno) {
	if e != 0 {
		return -1, e
	}
	return int(fd), 0
}
