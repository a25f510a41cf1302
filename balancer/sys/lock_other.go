//go:build !linux

package sys

import "syscall"

// TryLock answers that there is no such thing here.
func TryLock(fd int) syscall.Errno { return syscall.ENOSYS }
