//go:build linux

package bench_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
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
	t.Parallel()
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
		{"round trips go on until the end", bench.LoadConfig{Mode: bench.ModeRoundTrip, Workers: 8, Duration: time.Second},
			func(r *bench.LoadReport) bool { return r.RoundTrips > 0 && r.Latency.Count == r.RoundTrips }},
		{"the largest message", bench.LoadConfig{Mode: bench.ModeRoundTrip, Workers: 1, Bytes: 16 << 10, Count: 1},
			func(r *bench.LoadReport) bool { return r.RoundTrips >= 1 }},
		{"a download has its bytes", bench.LoadConfig{Mode: bench.ModeDownload, Workers: 2, Count: 4, Bytes: 32 << 20},
			func(r *bench.LoadReport) bool { return r.Done == 4 && r.Bytes == 4*32<<20 }},
		{"an upload has its bytes", bench.LoadConfig{Mode: bench.ModeUpload, Workers: 2, Count: 4, Bytes: 32 << 20},
			func(r *bench.LoadReport) bool { return r.Done == 4 && r.Bytes == 4*32<<20 }},
		{"idle holds for the time asked", bench.LoadConfig{Mode: bench.ModeIdle, Workers: 100, Duration: 300 * time.Millisecond},
			func(r *bench.LoadReport) bool { return r.Done == 100 && r.Elapsed >= 300*time.Millisecond }},
		{"bulk goes both ways", bench.LoadConfig{Mode: bench.ModeThroughput, Workers: 2, Count: 4, Bytes: 8 << 20},
			func(r *bench.LoadReport) bool { return r.Done == 4 && r.Bytes == 4*8<<20 && r.Up == 2*8<<20 }},
		{"churn has some of everything", bench.LoadConfig{Mode: bench.ModeChurn, Workers: 16, Count: 500},
			func(r *bench.LoadReport) bool {
				return r.Done == 500 && r.Latency.Count == 500 && r.RoundTrips > 0 && r.Up > 0 && r.Bytes > r.Up
			}},
		{"churn of one kind", bench.LoadConfig{Mode: bench.ModeChurn, Count: 50, Mix: map[string]int{"roundtrip": 1, "hello": 0}},
			func(r *bench.LoadReport) bool { return r.Done == 50 && r.RoundTrips >= 50 && r.Bytes == 0 }},
		{"churn in an open loop", bench.LoadConfig{Mode: bench.ModeChurn, Rate: 1000, Count: 200},
			func(r *bench.LoadReport) bool { return r.Done == 200 && r.Late.Count >= 200 }},
		{"messages at a rate", bench.LoadConfig{Mode: bench.ModeRoundTrip, Workers: 4, Rate: 200, Duration: 500 * time.Millisecond},
			func(r *bench.LoadReport) bool { return r.RoundTrips > 0 && r.RoundTrips <= 104 && r.Late.Count > 0 }},
		{"a hello of TLS 1.2", bench.LoadConfig{Mode: bench.ModeHello, TLSVersion: tls.VersionTLS12, Count: 50},
			func(r *bench.LoadReport) bool { return r.Done == 50 }},
		{"hellos in records", bench.LoadConfig{Mode: bench.ModeDownload, RecordBytes: 30, Workers: 2, Count: 4, Bytes: 1 << 20},
			func(r *bench.LoadReport) bool { return r.Done == 4 && r.Bytes == 4<<20 }},
		{"hellos in segments with a pause", bench.LoadConfig{Mode: bench.ModeHello, SegmentBytes: 400, SegmentGap: time.Millisecond, Count: 50},
			func(r *bench.LoadReport) bool { return r.Done == 50 && r.Latency.Min > 3*time.Millisecond }},
		{"hellos byte by byte in records of one", bench.LoadConfig{Mode: bench.ModeHello, SegmentBytes: 1, RecordBytes: 1, Count: 5},
			func(r *bench.LoadReport) bool { return r.Done == 5 }},
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
	for _, test := range []struct {
		name string
		key  string
		cfg  bench.LoadConfig
		want string // what every handshake agreed on
	}{
		{"crypto/tls as it is", "", bench.LoadConfig{}, "TLS 1.3, X25519MLKEM768, ECDSA"},
		{"in an open loop", "", bench.LoadConfig{Rate: 500}, "TLS 1.3, X25519MLKEM768, ECDSA"},
		{"X25519", "ecdsa", bench.LoadConfig{Group: tls.X25519}, "TLS 1.3, X25519, ECDSA"},
		{"RSA", "rsa", bench.LoadConfig{}, "TLS 1.3, X25519MLKEM768, RSA"},
		{"TLS 1.2", "", bench.LoadConfig{TLSVersion: tls.VersionTLS12, Group: tls.CurveP256}, "TLS 1.2, CurveP256, ECDSA"},
		{"TLS 1.2 with RSA", "rsa", bench.LoadConfig{TLSVersion: tls.VersionTLS12}, "TLS 1.2, X25519, RSA"},
		{"a hello in pieces", "", bench.LoadConfig{RecordBytes: 50, SegmentBytes: 500, SegmentGap: time.Millisecond}, "TLS 1.3, X25519MLKEM768, ECDSA"},
		{"resumed", "", bench.LoadConfig{Mode: bench.ModeResume}, "TLS 1.3, X25519MLKEM768, ECDSA, resumed"},
		{"resumed in TLS 1.2", "rsa", bench.LoadConfig{Mode: bench.ModeResume, TLSVersion: tls.VersionTLS12}, "TLS 1.2, X25519, RSA, resumed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.cfg.Targets = startBackend(t, bench.BackendConfig{Listen: loopback(2), TLS: true, Key: test.key})
			test.cfg.Pools, test.cfg.Workers, test.cfg.Count = 2, 40, 40
			if test.cfg.Mode == "" {
				test.cfg.Mode = bench.ModeHandshake
			}
			r := runLoad(t, test.cfg)
			if r.Done != 40 || r.Latency.Count != 40 || r.Negotiated[test.want] != 40 {
				t.Errorf("%d done, failures %v, negotiated %v; want 40 of %q", r.Done, r.Failures, r.Negotiated, test.want)
			}
		})
	}
}

func TestResumeKeepsASessionForEachName(t *testing.T) {
	targets := startBackend(t, bench.BackendConfig{TLS: true})
	r := runLoad(t, bench.LoadConfig{Mode: bench.ModeResume, Targets: targets, Names: "a.example,h-{0..5}.example", Count: 20, Workers: 2})
	if r.Done != 20 || r.Primed != 7 {
		t.Errorf("%d done, %d primed, failures %v; want 20 and 7", r.Done, r.Primed, r.Failures)
	}
}

// httpsServer is a server that is not ours. It accepts versions from oldest on.
func httpsServer(t *testing.T, oldest uint16) []netip.AddrPort {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of who leaves early
	server.TLS = &tls.Config{MinVersion: oldest}
	server.StartTLS()
	t.Cleanup(server.Close)
	return []netip.AddrPort{server.Listener.Addr().(*net.TCPAddr).AddrPort()}
}

// Any TLS server will do where it is only asked for a handshake.
func TestAnyServer(t *testing.T) {
	t.Parallel()
	for _, cfg := range []bench.LoadConfig{
		{Mode: bench.ModeHello}, {Mode: bench.ModeHandshake}, {Mode: bench.ModeResume, Pools: 1},
	} {
		cfg.Targets, cfg.AnyServer, cfg.Count, cfg.Workers = httpsServer(t, tls.VersionTLS12), true, 20, 4
		if r := runLoad(t, cfg); r.Done != 20 {
			t.Errorf("%s: %d done, failures %v %v", cfg.Mode, r.Done, r.Failures, r.Examples)
		}
	}
	old := bench.LoadConfig{Targets: httpsServer(t, tls.VersionTLS13), AnyServer: true, Count: 5, TLSVersion: tls.VersionTLS12}
	for _, mode := range []bench.Mode{bench.ModeHello, bench.ModeHandshake} {
		old.Mode = mode
		if r := runLoad(t, old); r.Failures["alert"] != 5 {
			t.Errorf("%s that is refused: failures %v %v, want 5 alerts", mode, r.Failures, r.Examples)
		}
	}
}

func TestReplayedHellosArrive(t *testing.T) {
	hello, err := os.ReadFile("../cmd/switchyard/testdata/hello.raw")
	if err != nil {
		t.Fatal(err)
	}
	targets := startBackend(t, bench.BackendConfig{})
	for _, cfg := range []bench.LoadConfig{{}, {RecordBytes: 7}, {SegmentBytes: 100, SegmentGap: time.Millisecond}} {
		cfg.Mode, cfg.Targets, cfg.Replay, cfg.Count, cfg.Workers = bench.ModeHello, targets, [][]byte{hello, hello}, 10, 4
		if r := runLoad(t, cfg); r.Done != 10 || r.Replayed != 2 || r.Config.Replay != nil {
			t.Errorf("%+v: %d done, failures %v, %d replayed", cfg.RecordBytes, r.Done, r.Failures, r.Replayed)
		}
	}
}

func TestWatchedProcessIsInTheReport(t *testing.T) {
	targets := startBackend(t, bench.BackendConfig{})
	for _, mode := range []bench.Mode{bench.ModeHello, bench.ModeRoundTrip, bench.ModeIdle} {
		r := runLoad(t, bench.LoadConfig{Mode: mode, Targets: targets, PID: os.Getpid(), Workers: 20, Duration: 200 * time.Millisecond})
		if r.Cost == nil || r.Cost.CPU.Total <= 0 || r.Cost.Memory <= 0 || (mode == bench.ModeIdle) != (r.Cost.Held == 20) {
			t.Errorf("%s: cost %+v", mode, r.Cost)
		}
		// Both ends of each connection are in this process.
		if mode == bench.ModeIdle && r.Cost.HeldFDs < 2 {
			t.Errorf("%v descriptors for each connection, want 2", r.Cost.HeldFDs)
		}
	}
	if _, err := bench.RunLoad(t.Context(), bench.LoadConfig{Mode: bench.ModeHello, Targets: targets, PID: 1 << 30, Count: 1}); err == nil {
		t.Error("a process that does not exist was watched")
	}
}

func TestProgressIsTold(t *testing.T) {
	t.Parallel()
	for _, mode := range []bench.Mode{bench.ModeHello, bench.ModeHandshake} {
		targets := startBackend(t, bench.BackendConfig{TLS: mode == bench.ModeHandshake})
		lines := make(chan string, 100)
		runLoad(t, bench.LoadConfig{Mode: mode, Targets: targets, Workers: 1, Rate: 20, Duration: 2500 * time.Millisecond,
			Progress: func(line string) { lines <- line }})
		select {
		case line := <-lines:
			if !strings.Contains(line, " started, ") || !strings.Contains(line, "/s") {
				t.Errorf("%s: progress %q", mode, line)
			}
		default:
			t.Errorf("%s: no progress in two seconds and a half", mode)
		}
	}
}

// The tool checked against itself: a known delay is seen, whole and on every connection.
func TestDelayIsSeen(t *testing.T) {
	for _, real := range []bool{false, true} {
		const delay = 10 * time.Millisecond
		mode := bench.ModeHello
		if real {
			mode = bench.ModeHandshake
		}
		targets := startBackend(t, bench.BackendConfig{Delay: delay, TLS: real})
		r := runLoad(t, bench.LoadConfig{Mode: mode, Targets: targets, Workers: 4, Count: 100})
		if r.Done != 100 || r.Latency.Min < delay-delay/1000 { // the histogram keeps three digits
			t.Errorf("TLS %v: the fastest of %d took %v, want at least %v", real, r.Done, r.Latency.Min, delay)
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
	t.Parallel()
	const rate, count, stall = 500, 1000, time.Second
	for _, mode := range []bench.Mode{bench.ModeHello, bench.ModeHandshake} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			targets := startBackend(t, bench.BackendConfig{StallFor: stall, StallAfter: 100, TLS: mode == bench.ModeHandshake})
			r := runLoad(t, bench.LoadConfig{Mode: mode, Targets: targets, Rate: rate, Count: count})
			// Half of the 1 000 are due in the stall: 1 % of all in its first 20 ms, 10 % in its first 200.
			if r.Done != count || r.Latency.P99 < stall-50*time.Millisecond || r.Latency.P90 < stall-300*time.Millisecond {
				t.Errorf("%d done, %v", r.Done, r.Latency)
			}
		})
	}
}

// The echo of a standing connection stalls with the backend. The messages that were due meanwhile wait in the generator,
// for a connection has one on its way at a time, and are charged for it.
func TestStallIsChargedToMessagesThatWereDueInIt(t *testing.T) {
	t.Parallel()
	const stall = time.Second
	targets := startBackend(t, bench.BackendConfig{StallFor: stall, StallAfter: 11})
	loaded := make(chan *bench.LoadReport, 1)
	go func() {
		r, _ := bench.RunLoad(t.Context(), bench.LoadConfig{
			Mode: bench.ModeRoundTrip, Targets: targets, Workers: 10, Rate: 500, Duration: 2 * time.Second})
		loaded <- r
	}()
	time.Sleep(200 * time.Millisecond) // the ten are standing; if not yet, the stall only comes earlier
	runLoad(t, bench.LoadConfig{Mode: bench.ModeHello, Targets: targets, Workers: 1, Count: 1})
	r := <-loaded
	if r == nil || r.Failed > 0 || r.Latency.P99 < stall-100*time.Millisecond || r.Latency.P50 > r.Latency.P99 {
		t.Errorf("report %+v", r)
	}
	// Every message that was due was sent: 10 connections, 50 a second each, from when they were open.
	if want := int64(10 * 50 * 2 * 8 / 10); r.RoundTrips < want {
		t.Errorf("%d round trips, want at least %d: those due in the stall are missing", r.RoundTrips, want)
	}
}

func TestFailuresHaveTheirKind(t *testing.T) {
	t.Parallel()
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
		{"an open loop has no place left", bench.LoadConfig{Targets: slow, Timeout: 3 * time.Second, Rate: 1000, Workers: 10, Count: 30}, "overflow"},
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
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // in which five are begun on a busy machine, too
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
		{"a rate of downloads", bench.LoadConfig{Mode: bench.ModeDownload, Targets: targets, Rate: 1}, "has no rate"},
		{"a message that would block both ends", bench.LoadConfig{Mode: bench.ModeRoundTrip, Targets: targets, Bytes: 1 << 20}, "at most"},
		{"an exponent that Zipf's law does not have", bench.LoadConfig{Mode: bench.ModeHello, Targets: targets, Zipf: 0.9}, "more than 1"},
		{"a version that is none", bench.LoadConfig{Mode: bench.ModeHello, Targets: targets, TLSVersion: tls.VersionTLS10}, "want TLS 1.2 or TLS 1.3"},
		{"a group of TLS 1.3 in TLS 1.2", bench.LoadConfig{Mode: bench.ModeHello, Targets: targets, TLSVersion: tls.VersionTLS12, Group: tls.X25519MLKEM768}, "TLS 1.3 only"},
		{"a recorded hello that would need an order", bench.LoadConfig{Mode: bench.ModeUpload, Targets: targets, Replay: [][]byte{{1}}}, "build its own"},
		{"a recorded hello that is none", bench.LoadConfig{Mode: bench.ModeHello, Targets: targets, Replay: [][]byte{[]byte("GET /")}}, "recorded hello 1 of 1"},
		{"a pause without segments", bench.LoadConfig{Mode: bench.ModeHello, Targets: targets, SegmentGap: 1}, "the size of a segment"},
		{"a mix of what is not known", bench.LoadConfig{Mode: bench.ModeChurn, Targets: targets, Mix: map[string]int{"upluad": 1}}, `unknown kind "upluad"`},
		{"a mix of nothing", bench.LoadConfig{Mode: bench.ModeChurn, Targets: targets, Mix: map[string]int{"hello": 0}}, "the mix is empty"},
		{"round trips with another server", bench.LoadConfig{Mode: bench.ModeRoundTrip, Targets: targets, AnyServer: true}, "our reference backend"},
		{"sessions without end", bench.LoadConfig{Mode: bench.ModeResume, Targets: targets, Names: "h-{0..99999}"}, "number of pools"},
		{"more than the descriptors", bench.LoadConfig{Mode: bench.ModeIdle, Targets: targets, Workers: 1 << 30}, "ulimit -n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if r, err := bench.RunLoad(t.Context(), test.cfg); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("report %v, error %v; want %q", r, err, test.want)
			}
		})
	}
}
