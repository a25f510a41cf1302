package sys

import "golang.org/x/sys/unix"

// longSlice is the longest time slice that the kernel takes (kernel/sched/syscalls.c: 100 ms).
const longSlice = 100e6

// GiveWay lets every thread that wakes up run before the calling one, whose share of the processor stays what it is,
// until the function that it returns is called. The caller must be locked to its thread all the while.
//
// A thread that computes without pause is protected for its slice, some milliseconds, from those that wake up beside it;
// but not from one with a shorter slice (PREEMPT_SHORT, Linux 6.12). So this one asks for the longest there is. A kernel
// that knows no such thing ignores it.
func GiveWay() (restore func()) {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return func() {}
	}
	before := *attr
	attr.Runtime = longSlice
	if unix.SchedSetAttr(0, attr, 0) != nil {
		return func() {}
	}
	return func() {
		before.Runtime = 0 // as the system has it
		_ = unix.SchedSetAttr(0, &before, 0)
	}
}
