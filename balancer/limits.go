package balancer

import (
	"math"
	"os"
	"path/filepath"
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
	Terminated  int64 // of them, those whose TLS ends here; 0: no limit of their own

	lentPerWorker int64 // bytes of buffers that a worker may have lent before it lends no more large ones
}

const (
	// reservedFDs are for what is neither a connection nor a loop's: log, admin, resolver, files.
	reservedFDs = 64
	// fdsPerLoop is an epoll instance, a timer and an event counter; fdsPerSocket a listening socket and its spare.
	fdsPerLoop, fdsPerSocket = 3, 2
	// fdsPerSession is client and backend.
	fdsPerSession = 2
	// maxPipes bounds the pipes even where descriptors abound: 512 of 1 MiB are 512 MiB of kernel memory at most.
	maxPipes = 512
	// memoryPerSession is what a session may take while its hello is incomplete or waits for a backend: struct,
	// setup, and a 4 KiB buffer, rounded up.
	memoryPerSession = 8 << 10
	// memoryPerTerminated is the most that a session takes whose TLS ends here while it is quiet: two goroutines, the state
	// and the buffers of crypto/tls, rounded up. Of these, 104 KB are what is left of a hello of 60 KiB: a buffer that
	// crypto/tls puts messages together in, and keeps (TestMemoryPerTerminatedConnection).
	memoryPerTerminated = 160 << 10
)

// deriveLimits computes the limits of a server with that many loops. Half of the memory is for what sessions need
// while their hello is small, a quarter for what large hellos and slow peers borrow besides.
func deriveLimits(cfg *Config, loops int) Limits {
	l := Limits{Descriptors: sys.DescriptorLimit(), Memory: memoryLimit(), lentPerWorker: math.MaxInt64}
	binds := 0
	for i := range cfg.Listeners {
		binds += len(cfg.Listeners[i].Bind)
	}
	free := l.Descriptors - reservedFDs - int64(loops*(fdsPerLoop+binds*fdsPerSocket))
	l.Pipes = int(min(maxPipes, max(free, 0)/32))
	l.Connections = max((free-int64(2*l.Pipes))/fdsPerSession, 1)
	if l.Memory > 0 {
		l.Connections = min(l.Connections, max(l.Memory/2/memoryPerSession, 1))
		l.Terminated = max(l.Memory/2/memoryPerTerminated, 1)
		l.lentPerWorker = l.Memory / 4 / int64(loops)
	}
	if cfg.MaxConnections > 0 {
		l.Connections = min(l.Connections, int64(cfg.MaxConnections))
	}
	return l
}

// relimit derives the limits again for the listeners there are, and puts them in force. The pipes stay.
func (s *Server) relimit() {
	w := s.world.Load()
	cfg := &Config{Listeners: w.listenerConfigs(), MaxConnections: w.maxConnections}
	l := deriveLimits(cfg, len(s.workers))
	l.Pipes = s.limits.Load().Pipes
	s.limits.Store(&l)
	s.limit.Store(l.Connections)
}

// memoryLimit is GOMEMLIMIT if set, else the smallest limit of the process's control groups, else the machine's
// memory; 0 if nobody tells.
func memoryLimit() int64 {
	if v := debug.SetMemoryLimit(-1); v != math.MaxInt64 {
		return v
	}
	limit := sys.MachineMemory()
	own, _ := os.ReadFile("/proc/self/cgroup")
	for _, dir := range cgroupDirs(string(own)) {
		b, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", dir, "memory.max"))
		if err != nil {
			continue
		}
		v, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		if err == nil && v > 0 && (limit == 0 || v < limit) {
			limit = v
		}
	}
	return limit
}

// cgroupDirs are the control groups (v2) of a process and their parents, out of its /proc/self/cgroup, relative to
// the mount.
func cgroupDirs(own string) []string {
	dirs := []string{"/"} // in a container the mount itself is the process's group
	for line := range strings.Lines(own) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok || !strings.HasPrefix(path, "/") {
			continue
		}
		for d := filepath.Clean(path); d != "/"; d = filepath.Dir(d) {
			dirs = append(dirs, d)
		}
	}
	return dirs
}
