package proc

import (
	"time"

	"golang.org/x/sys/unix"
)

// processClock reads the CPU clock of another process, in nanoseconds. Its id is made as clock_getcpuclockid(3) makes
// it: the complement of the pid, shifted, and 2 for the scheduler's count of all threads.
func processClock(pid int) (time.Duration, bool) {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		return 0, false
	}
	return time.Duration(ts.Nano()), true
}
