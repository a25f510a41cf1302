//go:build linux

package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-23b4a313/switchyard/bench"
)

// startBackend runs a backend for as long as the test and returns its addresses.
func startBackend(t *testing.T, cfg bench.BackendConfig) []netip.AddrPort {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	listening, ended := make(chan []netip.AddrPort, 1), make(chan error, 1)
	cfg.OnListen = func(addrs []netip.AddrPort) { listening <- addrs }
	go func() { ended <- bench.RunBackend(ctx, cfg) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case addrs := <-listening:
		return addrs
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
		return nil
	}
}

func loopback(n int) []netip.AddrPort {
	addrs := make([]netip.AddrPort, n)
	for i := range addrs {
		addrs[i] = netip.MustParseAddrPort("127.0.0.1:0")
	}
	return addrs
}

func runLoad(t *testing.T, cfg bench.LoadConfig) *bench.LoadReport {
	t.Helper()
	report, err := bench.RunLoad(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := report.Done + report.Failed; got != report.Started {
		t.Errorf("%d done + %d failed of %d started: some were dropped from the count", report.Done, report.Failed, report.Started)
	}
	return report
}

func TestLoadModes(t *testing.T) {
	for _, test := range []struct {
		name string
		cfg  bench.LoadConfig
		want func(*bench.LoadReport) bool
	}{
		{"hello counts every connection", bench.LoadConfig{Mode: bench.ModeHello, Count: 500},
			func(r *bench.LoadReport) bool { return r.Done == 500 && r.Latency.Count == 500 }},
		{"hello in an open loop starts what is due", bench.LoadConfig{Mode: bench.ModeHello, Rate: 1000, Count: 300},
			func(r *bench.LoadReport) bool { return r.Done == 300 && r.Late.Count == 300 }},
		{"names by Zipf's law", bench.LoadConfig{Mode: bench.ModeHello, Zipf: 1.2, Count: 200},
			func(r *bench.LoadReport) bool { return r.Done == 200 }},
		{"one name", bench.LoadConfig{Mode: bench.ModeHello, Names: "a.example", Count: 200},
			func(r *bench.LoadReport) bool { return r.Done == 200 }},
		{"round trips go on until the end", bench.LoadConfig{Mode: bench.ModeRoundTrip, Workers: 8, Duration: 200 * time.Millisecond},
			func(r *bench.LoadReport) bool { return r.RoundTrips > 0 && r.Latency.Count == r.RoundTrips }},
		{"the largest message", bench.LoadConfig{Mode: bench.ModeRoundTrip, Workers: 1, Bytes: 16 << 10, Count: 1},
			func(r *bench.LoadReport) bool { return r.RoundTrips >= 1 }},
		{"a download has its bytes", bench.LoadConfig{Mode: bench.ModeDownload, Workers: 2, Count: 4, Bytes: 32 << 20},
			func(r *bench.LoadReport) bool { return r.Done == 4 && r.Bytes == 4*32<<20 }},
		{"an upload has its bytes", bench.LoadConfig{Mode: bench.ModeUpload, Workers: 2, Count: 4, Bytes: 32 << 20},
			func(r *bench.LoadReport) bool { return r.Done == 4 && r.Bytes == 4*32<<20 }},
		{"idle holds for the time asked", bench.LoadConfig{Mode: bench.ModeIdle, Workers: 100, Duration: 300 * time.Millisecond},
			func(r *bench.LoadReport) bool { return r.Done == 100 && r.Elapsed >= 300*time.Millisecond }},
		{"warm-up is not counted", bench.LoadConfig{Mode: bench.ModeHello, Count: 50, WarmUp: 50 * time.Millisecond},
			func(r *bench.LoadReport) bool { return r.Started == 50 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.cfg.Targets = startBackend(t, bench.BackendConfig{Listen: loopback(3)})
			test.cfg.Pools = 3
			r := runLoad(t, test.cfg)
			if r.Failed > 0 || !test.want(r) {
				t.Errorf("report: %+v", r)
			}
		})
	}
}

func TestHandshakesAreCompleted(t *testing.T) {
	for _, rate := range []float64{0, 500} {
		targets := startBackend(t, bench.BackendConfig{Listen: loopback(2), TLS: true})
		r := runLoad(t, bench.LoadConfig{Mode: bench.ModeHandshake, Targets: targets, Pools: 2, Rate: rate, Workers: 100, Count: 100})
		if r.Done != 100 || r.Latency.Count != 100 {
			t.Errorf("rate %v: %+v", rate, r)
		}
	}
}

// The tool checked against itself: a known delay is seen, whole and on every connection.
func TestDelayIsSeen(t *testing.T) {
	for _, tls := range []bool{false, true} {
		const delay = 10 * time.Millisecond
		mode := bench.ModeHello
		if tls {
			mode = bench.ModeHandshake
		}
		targets := startBackend(t, bench.BackendConfig{Delay: delay, TLS: tls})
		r := runLoad(t, bench.LoadConfig{Mode: mode, Targets: targets, Workers: 4, Count: 100})
		if r.Done != 100 || r.Latency.Min < delay-delay/1000 { // the histogram keeps three digits
			t.Errorf("TLS %v: the fastest of %d took %v, want at least %v", tls, r.Done, r.Latency.Min, delay)
		}
	}
}

func TestInjectedFailuresAreCountedExactly(t *testing.T) {
	for _, mode := range []bench.Mode{bench.ModeHello, bench.ModeHandshake} {
		targets := startBackend(t, bench.BackendConfig{FailEvery: 100, TLS: mode == bench.ModeHandshake})
		r := runLoad(t, bench.LoadConfig{Mode: mode, Targets: targets, Workers: 4, Count: 1000})
		if r.Done != 990 || r.Failed != 10 || r.Failures["reset"] != 10 {
			t.Errorf("%s: %d done, failures %v; want 990 and 10 resets", mode, r.Done, r.Failures)
		}
	}
}

// Whoever was due while the backend stood still waited for it, whether or not the generator had come to him.
func TestStallIsChargedToAllWhoWereDueInIt(t *testing.T) {
	const rate, count, stall = 500, 500, 300 * time.Millisecond
	targets := startBackend(t, bench.BackendConfig{StallFor: stall, StallAfter: 100})
	r := runLoad(t, bench.LoadConfig{Mode: bench.ModeHello, Targets: targets, Rate: rate, Count: count})
	// 150 of the 500 are due in the stall, and 20 of them in its first 40 ms.
	if r.Done != count || r.Latency.P99 < stall-50*time.Millisecond || r.Latency.P90 < stall/3 {
		t.Errorf("%d done, %v", r.Done, r.Latency)
	}
}

func TestFailuresHaveTheirKind(t *testing.T) {
	misrouted := startBackend(t, bench.BackendConfig{Listen: loopback(2)})
	slow := startBackend(t, bench.BackendConfig{Delay: time.Hour})
	for _, test := range []struct {
		name string
		cfg  bench.LoadConfig
		want string
	}{
		{"nobody listens", bench.LoadConfig{Targets: closedPort(t)}, "refused"},
		{"the answer is from another pool", bench.LoadConfig{Names: "host-{1..1}.example.com", Targets: misrouted[1:], Pools: 2}, "misrouted"},
		{"no answer in time", bench.LoadConfig{Targets: slow, Timeout: 50 * time.Millisecond}, "timeout"},
		{"an open loop has no place left", bench.LoadConfig{Targets: slow, Timeout: time.Second, Rate: 1000, Workers: 10, Count: 30}, "overflow"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.cfg.Mode = bench.ModeHello
			if test.cfg.Count == 0 {
				test.cfg.Count = 20
			}
			r := runLoad(t, test.cfg)
			if r.Done != 0 || r.Failures[test.want] < 20 {
				t.Errorf("%d done, failures %v; want 20 of kind %q", r.Done, r.Failures, test.want)
			}
		})
	}
}

// closedPort is an address that refuses for as long as the test runs: bound by us, and not listening.
func closedPort(t *testing.T) []netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(bound.(*unix.SockaddrInet4).Port)
	return []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)}
}

func TestCanceledLoadStillReports(t *testing.T) {
	targets := startBackend(t, bench.BackendConfig{Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r, err := bench.RunLoad(ctx, bench.LoadConfig{Mode: bench.ModeHello, Targets: targets, Workers: 5})
	if err != nil || r.Started != 5 || r.Failures["canceled"] != 5 {
		t.Errorf("report %+v, error %v; want 5 canceled", r, err)
	}
}

func TestLoadReportIsWritten(t *testing.T) {
	targets := startBackend(t, bench.BackendConfig{FailEvery: 2})
	r := runLoad(t, bench.LoadConfig{Mode: bench.ModeHello, Targets: targets, Workers: 1, Count: 10, Rate: 10_000})
	var text, data strings.Builder
	if err := errors.Join(r.WriteText(&text), r.WriteJSON(&data)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"open loop at 10000/s", "10 started", "p99.99", "started late", "generator"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("text lacks %q:\n%s", want, &text)
		}
	}
	var back bench.LoadReport
	if err := json.Unmarshal([]byte(data.String()), &back); err != nil || back.Started != 10 || back.Failed != r.Failed {
		t.Errorf("JSON: %v:\n%s", err, &data)
	}
}

func TestLoadConfigIsChecked(t *testing.T) {
	targets := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}
	for _, test := range []struct {
		name string
		cfg  bench.LoadConfig
		want string
	}{
		{"no target", bench.LoadConfig{Mode: bench.ModeHello}, "no target"},
		{"no mode", bench.LoadConfig{Targets: targets}, "unknown mode"},
		{"names that are none", bench.LoadConfig{Mode: bench.ModeHello, Targets: targets, Names: "h-{"}, "want one range"},
		{"a rate of round trips", bench.LoadConfig{Mode: bench.ModeRoundTrip, Targets: targets, Rate: 1}, "has no rate"},
		{"a message that would block both ends", bench.LoadConfig{Mode: bench.ModeRoundTrip, Targets: targets, Bytes: 1 << 20}, "at most"},
		{"more than the descriptors", bench.LoadConfig{Mode: bench.ModeIdle, Targets: targets, Workers: 1 << 30}, "ulimit -n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if r, err := bench.RunLoad(t.Context(), test.cfg); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("report %v, error %v; want %q", r, err, test.want)
			}
		})
	}
}
