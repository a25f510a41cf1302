//go:build unix

package proc

import (
	"syscall"
	"time"
)

// Self is the processor time of the calling process.
func Self() CPU {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return CPU{}
	}
	c := CPU{User: time.Duration(u.Utime.Nano()), System: time.Duration(u.Stime.Nano())}
	c.Total = c.User + c.System
	return c
}

// DescriptorLimit is how many descriptors this process, and one that it starts, may have open.
func DescriptorLimit() (int, error) {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0, err
	}
	return int(min(l.Cur, 1<<30)), nil
}
