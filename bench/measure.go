package bench

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/proc"
)

// generate runs one load against a balancer in a process of its own.
func (c *comparer) generate(b *balancer, s *scenario, load LoadConfig) (*LoadReport, error) {
	generator, err := startChild(c.ctx, c.cfg.Self, childOrder{Load: c.aim(b, s, load)})
	if err != nil {
		return nil, err
	}
	defer generator.stop()
	news, err := generator.next()
	if err != nil {
		return nil, fmt.Errorf("generator: %w", err)
	}
	if news.Report.Done == 0 {
		return nil, fmt.Errorf("no connection of %d succeeded: %v %v", news.Report.Started, news.Report.Failures, news.Report.Examples)
	}
	return news.Report, nil
}

// aim points a load at a balancer.
func (c *comparer) aim(b *balancer, s *scenario, load LoadConfig) *LoadConfig {
	load.Targets, load.Pools, load.Names = b.targets, b.pools, DefaultNames(s.names)
	return &load
}

// measureCPU divides the processor time of all the balancer's processes by the work that was done. The clocks are read
// before the generator starts and after it has ended, so that all of the work, and only that, lies between.
func (c *comparer) measureCPU(s *scenario, b *balancer) (r Round, err error) {
	before, err := usage(b)
	if err != nil {
		return r, err
	}
	if r.Load, err = c.generate(b, s, s.load); err != nil {
		return r, err
	}
	time.Sleep(settle)
	after, err := usage(b)
	if err != nil {
		return r, err
	}
	if b.pid() != 0 {
		if r.Memory, _, err = footprint(b); err != nil {
			return r, err
		}
	}
	r.CPU = after.Sub(before)
	r.Value = r.CPU.Total.Seconds() / r.Load.work()
	if s.unit != perGB {
		r.Value *= 1e6
	}
	return r, nil
}

// usage is the processor time of a balancer so far; zero where there is none.
func usage(b *balancer) (proc.CPU, error) {
	pids, err := tree(b)
	if err != nil {
		return proc.CPU{}, err
	}
	return proc.CPUOf(pids)
}

func tree(b *balancer) ([]int, error) {
	if b.pid() == 0 {
		return nil, nil
	}
	return proc.Tree(b.pid())
}

// measureIdle divides what a fresh balancer gained in memory and descriptors by the connections it holds. A few went
// through before, so that code and tables that the first connection brings in are not charged to the held ones.
func (c *comparer) measureIdle(s *scenario, b *balancer) (r Round, err error) {
	first := LoadConfig{Mode: ModeHello, Workers: 8, Count: 200}
	if _, err = c.generate(b, s, first); err != nil {
		return r, err
	}
	time.Sleep(settle)
	memory, fds, err := footprint(b)
	if err != nil {
		return r, err
	}
	generator, err := startChild(c.ctx, c.cfg.Self, childOrder{Load: c.aim(b, s, s.load), Hold: true})
	if err != nil {
		return r, err
	}
	defer generator.stop()
	news, err := generator.next()
	if err != nil {
		return r, fmt.Errorf("generator: %w", err)
	}
	if news.Held == nil || *news.Held == 0 {
		return r, errors.New("no connection could be held")
	}
	time.Sleep(settle)
	memory2, fds2, err := footprint(b)
	if err != nil {
		return r, err
	}
	held := float64(*news.Held)
	r.Memory = memory2
	r.Held, r.Value, r.FDs = *news.Held, float64(memory2-memory)/held, float64(fds2-fds)/held
	if r.Value < 0 {
		c.report.warn("%s, %d names: the memory fell while %d connections were held: too few to weigh, see --idle", b.peer.name, s.names, r.Held)
	}
	_ = generator.input.Close() // lets the connections go
	if news, err = generator.next(); err != nil {
		return r, fmt.Errorf("generator: %w", err)
	}
	r.Load = news.Report
	return r, nil
}

func footprint(b *balancer) (memory int64, fds int, err error) {
	pids, err := tree(b)
	if err != nil {
		return 0, 0, err
	}
	memory, err1 := proc.MemoryOf(pids)
	fds, err2 := proc.FDsOf(pids)
	return memory, fds, errors.Join(err1, err2)
}

// measureStartup is how long the balancer, started for this round, took to its first answer.
func (c *comparer) measureStartup(_ *scenario, b *balancer) (Round, error) {
	return Round{Value: b.ready.Seconds() * 1e3}, nil
}

// Syscalls is what strace counted.
type Syscalls struct {
	PerConnection float64            `json:"per_connection"`
	ByName        map[string]float64 `json:"by_name"` // per connection
}

// straceConnections is how many connections the system calls are averaged over, straceWorkers how many at a time:
// enough to see, and strace slows everything down.
const (
	straceConnections = 2000
	straceWorkers     = 16
)

// countSyscalls runs a short load of its own under strace -f -c.
func (c *comparer) countSyscalls(s *scenario, b *balancer) (*Syscalls, error) {
	path, err := exec.LookPath("strace")
	if err != nil {
		return nil, err
	}
	pids, err := tree(b)
	if err != nil {
		return nil, err
	}
	out := filepath.Join(c.dir, "strace.out")
	args := []string{"-f", "-c", "-q", "-o", out}
	for _, pid := range pids {
		args = append(args, "-p", strconv.Itoa(pid))
	}
	cmd := exec.CommandContext(c.ctx, path, args...)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	err = awaitTraced(pids)
	var report *LoadReport
	if err == nil {
		report, err = c.generate(b, s, LoadConfig{Mode: ModeHello, Workers: straceWorkers, Count: straceConnections})
	}
	time.Sleep(settle)
	_ = interrupt(cmd.Process.Pid)
	_ = cmd.Wait() // strace ends by the signal it was sent
	if err != nil {
		return nil, err
	}
	table, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	return parseStrace(string(table), report.Done)
}

// awaitTraced waits until each process has a tracer.
func awaitTraced(pids []int) error {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if !slices.ContainsFunc(pids, func(pid int) bool { return !proc.Traced(pid) }) {
			return nil
		}
	}
	return errors.New("strace did not attach")
}

// parseStrace reads the table of strace -c: "% time, seconds, usecs/call, calls, [errors,] syscall" in each line.
func parseStrace(table string, connections int) (*Syscalls, error) {
	s := &Syscalls{ByName: map[string]float64{}}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 5 || f[len(f)-1] == "total" {
			continue
		}
		calls, err := strconv.Atoi(f[3])
		if err != nil {
			continue // the heading, and the rules under it
		}
		per := float64(calls) / float64(connections)
		s.ByName[f[len(f)-1]] = per
		s.PerConnection += per
	}
	if s.PerConnection == 0 {
		return nil, errors.New("strace counted nothing")
	}
	return s, nil
}
