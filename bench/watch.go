package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/proc"
)

// Cost is what a process and its descendants, those of LoadConfig.PID, spent on a load.
type Cost struct {
	CPU proc.CPU `json:"cpu"`
	// Memory is the proportional set size at the end, of ModeIdle while the connections are held. 0 where the kernel
	// does not tell, which it only does the owner of a process.
	Memory int64 `json:"memory_bytes"`
	// Held is how many connections ModeIdle held, the others what the processes gained for each.
	Held      int     `json:"held,omitempty"`
	HeldBytes float64 `json:"bytes_per_held,omitempty"`
	HeldFDs   float64 `json:"fds_per_held,omitempty"`
}

// settle is what a balancer gets to close the last connections of a load before its clock is read.
const settle = 100 * time.Millisecond

// reading is what the kernel says about some processes at one moment.
type reading struct {
	cpu    proc.CPU
	memory int64
	fds    int
}

// read fails where it cannot tell the processor time, or all of it if all is asked for.
func read(pid int, all bool) (r reading, err error) {
	pids, err := proc.Tree(pid)
	if err != nil {
		return r, err
	}
	if r.cpu, err = proc.CPUOf(pids); err != nil {
		return r, err
	}
	var err1, err2 error
	r.memory, err1 = proc.MemoryOf(pids)
	r.fds, err2 = proc.FDsOf(pids)
	if all {
		err = errors.Join(err1, err2)
	}
	return r, err
}

// watched runs a load, and adds to its report what it cost the process that is to be watched.
func watched(ctx context.Context, cfg LoadConfig, run func(context.Context, LoadConfig) (*LoadReport, error)) (*LoadReport, error) {
	if cfg.PID == 0 {
		return run(ctx, cfg)
	}
	before, err := read(cfg.PID, cfg.Mode == ModeIdle)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", cfg.PID, err)
	}
	var cost Cost
	if cfg.Mode == ModeIdle {
		cfg.Hold = weighHeld(ctx, cfg, before, &cost)
	}
	report, err := run(ctx, cfg)
	if err != nil {
		return nil, err
	}
	time.Sleep(settle)
	after, err := read(cfg.PID, false)
	if err != nil {
		return nil, fmt.Errorf("process %d did not survive the load: %w", cfg.PID, err)
	}
	cost.CPU = after.cpu.Sub(before.cpu)
	setDefault(&cost.Memory, after.memory)
	report.Cost = &cost
	return report, nil
}

// weighHeld is a LoadConfig.Hold that reads memory and descriptors while the connections are held, and then holds them
// for as long as cfg says.
func weighHeld(ctx context.Context, cfg LoadConfig, before reading, cost *Cost) func(int) {
	return func(held int) {
		time.Sleep(settle)
		if now, err := read(cfg.PID, true); err == nil && held > 0 {
			cost.Held, cost.Memory = held, now.memory
			cost.HeldBytes = float64(now.memory-before.memory) / float64(held)
			cost.HeldFDs = float64(now.fds-before.fds) / float64(held)
		}
		switch {
		case cfg.Hold != nil:
			cfg.Hold(held)
		case cfg.Duration > 0:
			sleepUntil(ctx, time.Now().Add(cfg.Duration))
		default:
			<-ctx.Done()
		}
	}
}
