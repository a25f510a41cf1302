package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Check is what the tool says about a backend that is known to misbehave.
type Check struct {
	Name string `json:"name"`
	Want string `json:"want"`
	Got  string `json:"got"`
	OK   bool   `json:"ok"`
}

// What the backends of SelfCheck do.
const (
	checkDelay = 10 * time.Millisecond
	checkStall = time.Second
	checkEvery = 100 // each so many-th connection is reset: 1 %
	checkRate  = 500 // per second
	checkCount = 1500
	// checkSlack is what a delay may be measured too long, and a stall too short: on a machine that does other work
	// both are wrong by what that takes.
	checkSlack = 2 * time.Millisecond
)

// SelfCheck measures backends with a known delay, stall and share of failures, and says whether the tool shows them. It
// takes some seconds. Progress, where not nil, gets the name of each check.
func SelfCheck(ctx context.Context, progress func(string)) ([]Check, error) {
	var checks []Check
	for _, run := range []func(context.Context) (Check, error){
		checkDelayOf(ModeHello), checkDelayOf(ModeHandshake), checkOpenStall, checkClosedStall, checkFailures,
	} {
		c, err := run(ctx)
		if err != nil {
			return checks, fmt.Errorf("bench: self-check: %w", err)
		}
		if progress != nil {
			progress(c.Name)
		}
		checks = append(checks, c)
	}
	return checks, nil
}

func checkDelayOf(mode Mode) func(context.Context) (Check, error) {
	return func(ctx context.Context) (Check, error) {
		r, err := loadOf(ctx, BackendConfig{Delay: checkDelay, TLS: mode.real()}, LoadConfig{Mode: mode, Workers: 2, Count: 200})
		if err != nil {
			return Check{}, err
		}
		// A handshake adds its own milliseconds to the median, to the fastest little.
		seen := r.Latency.P50
		if mode.real() {
			seen = r.Latency.Min
		}
		return Check{
			Name: fmt.Sprintf("%s: the backend waits %v before each answer", mode, checkDelay),
			Want: fmt.Sprintf("latency %v", checkDelay),
			Got:  fmt.Sprintf("%d of %d, fastest %s, p50 %s, p99 %s", r.Done, r.Started, short(r.Latency.Min), short(r.Latency.P50), short(r.Latency.P99)),
			OK:   r.Failed == 0 && seen >= checkDelay-checkDelay/1000 && seen < checkDelay+checkSlack,
		}, nil
	}
}

func checkOpenStall(ctx context.Context) (Check, error) {
	r, err := loadOf(ctx, BackendConfig{StallFor: checkStall, StallAfter: checkCount / 3},
		LoadConfig{Mode: ModeHello, Rate: checkRate, Count: checkCount})
	if err != nil {
		return Check{}, err
	}
	return Check{
		Name: fmt.Sprintf("open loop at %d/s: the backend stalls for %v once", checkRate, checkStall),
		// A third of all are due in the stall: the 15 due first in it are the slowest 1 %.
		Want: fmt.Sprintf("p99 just below %v", checkStall),
		Got:  fmt.Sprintf("%d of %d, p50 %s, p90 %s, p99 %s", r.Done, r.Started, short(r.Latency.P50), short(r.Latency.P90), short(r.Latency.P99)),
		OK:   r.Failed == 0 && r.Latency.P99 > checkStall*9/10 && r.Latency.P99 < checkStall*11/10,
	}, nil
}

// checkClosedStall shows why the loop has to be open: the same stall, and hardly anybody there to see it.
func checkClosedStall(ctx context.Context) (Check, error) {
	r, err := loadOf(ctx, BackendConfig{StallFor: checkStall, StallAfter: checkCount / 3}, LoadConfig{Mode: ModeHello, Workers: 2, Count: checkCount})
	if err != nil {
		return Check{}, err
	}
	return Check{
		Name: "closed loop of 2: the same stall",
		Want: "hidden from p99, and in the maximum",
		Got:  fmt.Sprintf("%d of %d, p99 %s, max %s", r.Done, r.Started, short(r.Latency.P99), short(r.Latency.Max)),
		OK:   r.Failed == 0 && r.Latency.P99 < checkStall/2 && r.Latency.Max > checkStall*9/10,
	}, nil
}

func checkFailures(ctx context.Context) (Check, error) {
	r, err := loadOf(ctx, BackendConfig{FailEvery: checkEvery}, LoadConfig{Mode: ModeHello, Workers: 8, Count: 10_000})
	if err != nil {
		return Check{}, err
	}
	return Check{
		Name: fmt.Sprintf("the backend resets each %dth connection", checkEvery),
		Want: "1 % of 10000 as reset",
		Got:  fmt.Sprintf("%.2f %% of %d, %v", 100*float64(r.Failed)/float64(max(r.Started, 1)), r.Started, r.Failures),
		OK:   r.Failed == 10_000/checkEvery && r.Failures["reset"] == r.Failed && r.Done+r.Failed == r.Started,
	}, nil
}

// loadOf makes a load for a backend that lives as long.
func loadOf(ctx context.Context, backend BackendConfig, load LoadConfig) (*LoadReport, error) {
	ctx, cancel := context.WithCancel(ctx)
	listening, ended := make(chan []netip.AddrPort, 1), make(chan error, 1)
	backend.OnListen = func(addrs []netip.AddrPort) { listening <- addrs }
	go func() { ended <- RunBackend(ctx, backend) }()
	select {
	case load.Targets = <-listening:
	case err := <-ended:
		cancel()
		return nil, err
	}
	report, err := RunLoad(ctx, load)
	cancel()
	return report, errors.Join(err, <-ended)
}
