package sys

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// TryLock locks an open file for one descriptor alone, until that is closed (flock(2)). EWOULDBLOCK: another has it.
func TryLock(fd int) syscall.Errno {
	for {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if errno, _ := err.(syscall.Errno); errno != unix.EINTR { // x/sys returns nothing else
			return errno
		}
	}
}
