package sys

import (
	"math"

	"golang.org/x/sys/unix"
)

// DescriptorLimit is RLIMIT_NOFILE, the most descriptors this process may have; math.MaxInt32 for no limit.
func DescriptorLimit() int64 {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil || r.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int64(r.Cur)
}

// MachineMemory is the machine's memory in bytes; 0 if the kernel does not tell.
func MachineMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
