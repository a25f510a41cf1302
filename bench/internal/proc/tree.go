package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is USER_HZ, in which /proc/PID/stat counts; it is 100 on every Linux that Go runs on.
const ticksPerSecond = 100

// Tree is pid and its descendants as they are now.
func Tree(pid int) ([]int, error) {
	children, err := childrenByParent()
	if err != nil {
		return nil, err
	}
	tree := []int{pid}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree, nil
}

func childrenByParent() (map[int][]int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, file := range files {
		s, err := readStat(file)
		if err != nil {
			continue // ended since the directory was read
		}
		children[s.parent] = append(children[s.parent], s.pid)
	}
	return children, nil
}

// stat is what we use of /proc/PID/stat (proc_pid_stat(5)).
type stat struct {
	pid, parent  int
	user, system time.Duration // of all threads, ended ones included
	reaped       time.Duration // both, of children that ended and were waited for
}

func readStat(file string) (s stat, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	// The command name may hold spaces and parentheses; what follows the last one is numbers.
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < 0 {
		return s, fmt.Errorf("%s: no command name", file)
	}
	f := strings.Fields(string(b[end+1:])) // f[0] is field 3 of the manual page
	if len(f) < 15 {
		return s, fmt.Errorf("%s: %d fields", file, len(f))
	}
	s.pid, _ = strconv.Atoi(strings.TrimSpace(string(b[:open])))
	s.parent, _ = strconv.Atoi(f[1])
	s.user, s.system = ticks(f[11]), ticks(f[12])
	s.reaped = ticks(f[13]) + ticks(f[14])
	return s, nil
}

func ticks(s string) time.Duration {
	n, _ := strconv.ParseInt(s, 10, 64)
	return time.Duration(n) * time.Second / ticksPerSecond
}

// CPU is processor time used since the start.
type CPU struct {
	User   time.Duration `json:"user_ns"`
	System time.Duration `json:"system_ns"`
	// Total is counted in nanoseconds where the kernel lets us read the processes' clocks, and is then more exact
	// than the sum of the other two, which come in ticks of 10 ms.
	Total time.Duration `json:"total_ns"`
}

// Sub is what was used between two readings.
func (c CPU) Sub(earlier CPU) CPU {
	return CPU{User: c.User - earlier.User, System: c.System - earlier.System, Total: c.Total - earlier.Total}
}

// CPUOf adds up the processes of a tree.
func CPUOf(pids []int) (sum CPU, err error) {
	for _, pid := range pids {
		s, err := readStat(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return sum, fmt.Errorf("proc: processor time: %w", err)
		}
		own, ok := processClock(pid)
		if !ok {
			own = s.user + s.system
		}
		sum.User += s.user
		sum.System += s.system
		sum.Total += own + s.reaped
	}
	return sum, nil
}

// MemoryOf is the proportional set size of a tree in bytes: a page that its processes share is counted once.
func MemoryOf(pids []int) (int64, error) {
	var sum int64
	for _, pid := range pids {
		n, err := pss(pid)
		if err != nil {
			return 0, fmt.Errorf("proc: memory: %w", err)
		}
		sum += n
	}
	return sum, nil
}

func pss(pid int) (int64, error) {
	file := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Pss:" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("%s: no Pss line", file)
}

// FDsOf is how many descriptors the processes of a tree have open.
func FDsOf(pids []int) (int, error) {
	sum := 0
	for _, pid := range pids {
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			return 0, fmt.Errorf("proc: descriptors: %w", err)
		}
		sum += len(fds)
	}
	return sum, nil
}

// Traced reports whether a tracer is attached to a process.
func Traced(pid int) bool {
	tracer := field(fmt.Sprintf("/proc/%d/status", pid), "TracerPid")
	return tracer != "" && tracer != "0"
}
