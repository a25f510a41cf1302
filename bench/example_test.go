//go:build linux

package bench_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/seed-23b4a313/switchyard/bench"
)

// A load of 200 connections against the reference backend, which resets every hundredth.
func ExampleRunLoad() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	listening := make(chan []netip.AddrPort, 1)
	go bench.RunBackend(ctx, bench.BackendConfig{
		FailEvery: 100,
		OnListen:  func(addrs []netip.AddrPort) { listening <- addrs },
	})

	report, err := bench.RunLoad(ctx, bench.LoadConfig{
		Mode:    bench.ModeHello,
		Targets: <-listening,
		Names:   "host-{0..99}.example.com",
		Workers: 4,
		Count:   200,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Started, "started,", report.Done, "done, failures", report.Failures)
	// Output: 200 started, 198 done, failures map[reset:2]
}
