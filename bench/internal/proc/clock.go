package proc

import (
	"strings"
	"time"
)

// Clock is how much time the machine's processors have had since the boot, all of them together, and how much of it
// they were idle. The zero value is unknown.
type Clock struct{ Total, Idle time.Duration }

// MachineClock reads the first line of /proc/stat (proc_stat(5)): user, nice, system, idle, iowait, irq, softirq, steal.
// Time waiting for a disk counts as idle, for a load could have had it.
func MachineClock() (c Clock) {
	f := strings.Fields(first("/proc/stat"))
	if len(f) < 9 || f[0] != "cpu" {
		return Clock{}
	}
	for i, word := range f[1:9] {
		t := ticks(word)
		c.Total += t
		if i == 3 || i == 4 {
			c.Idle += t
		}
	}
	return c
}

// IdleSince is the idle share of the time between two readings, from 0 to 1; 1 where it is not known.
func (c Clock) IdleSince(earlier Clock) float64 {
	total := c.Total - earlier.Total
	if total <= 0 {
		return 1
	}
	return float64(c.Idle-earlier.Idle) / float64(total)
}
