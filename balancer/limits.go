package balancer

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// Limits is how many connections the process can hold, and why. New derives it; `run` prints it.
type Limits struct {
	Descriptors int64 // RLIMIT_NOFILE
	Memory      int64 // bytes: GOMEMLIMIT, or the control group's or the machine's; 0: unknown
	Pipes       int   // for splicing, of all loops together; two descriptors each
	Connections int64 // the limit in force: configured, or the smaller of what the other two allow
}

const (
	// reservedFDs are for everything that is no connection: loops, log, admin, resolver, files at a reload.
	reservedFDs = 64
	// fdsPerSession is client and backend.
	fdsPerSession = 2
	// maxPipes bounds the pipes even where descriptors abound: 512 of 1 MiB are 512 MiB of kernel memory at most.
	maxPipes = 512
	// memoryPerSession is what a session may take while its hello is incomplete or waits for a backend: struct,
	// setup, and a 4 KiB buffer, rounded up.
	memoryPerSession = 8 << 10
)

// deriveLimits computes the limits; configured is max_connections of the file, 0 for none.
func deriveLimits(configured int) Limits {
	l := Limits{Descriptors: sys.DescriptorLimit(), Memory: memoryLimit()}
	l.Pipes = int(min(maxPipes, max(l.Descriptors-reservedFDs, 0)/32))
	l.Connections = max((l.Descriptors-reservedFDs-int64(2*l.Pipes))/fdsPerSession, 1)
	if l.Memory > 0 {
		l.Connections = min(l.Connections, max(l.Memory/2/memoryPerSession, 1))
	}
	if configured > 0 {
		l.Connections = min(l.Connections, int64(configured))
	}
	return l
}

// memoryLimit is GOMEMLIMIT if set, else the smallest limit of the control groups, else the machine's memory.
func memoryLimit() int64 {
	if v := debug.SetMemoryLimit(-1); v != math.MaxInt64 {
		return v
	}
	limit := int64(0)
	for _, f := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		v, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		if err == nil && v > 0 && v < 1<<60 && (limit == 0 || v < limit) {
			limit = v
		}
	}
	if machine := sys.MachineMemory(); machine > 0 && (limit == 0 || machine < limit) {
		limit = machine
	}
	return limit
}
