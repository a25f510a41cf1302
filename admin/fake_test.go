package admin

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeSource is a balancer made of its counters.
type fakeSource struct {
	stats    balancer.Stats
	draining atomic.Bool
	copies   atomic.Int64 // how often Stats was called
}

func (f *fakeSource) Stats() balancer.Stats { f.copies.Add(1); return f.stats }
func (f *fakeSource) Ready() bool           { return !f.draining.Load() }

// busy is a balancer with something in every counter.
func busy() *fakeSource {
	l := balancer.ListenerStats{
		Name: "public", Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:443")}, Accepted: 1000, Active: 40,
		Hello: balancer.Histogram{Bounds: []float64{0.001, 0.01, 0.1}, Counts: []uint64{900, 60, 0, 3}, Sum: 2.5},
	}
	l.Closed[balancer.CauseOK] = 950
	l.Closed[balancer.CauseBadHello] = 10
	return &fakeSource{stats: balancer.Stats{
		Listeners: []balancer.ListenerStats{l},
		Pools: []balancer.PoolStats{{
			Name: "web", Active: 40,
			Dial: balancer.Histogram{Bounds: []float64{0.001, 0.01}, Counts: []uint64{10, 5, 0}, Sum: 0.03},
			Handshakes: balancer.HandshakeStats{
				Answer:   balancer.Histogram{Bounds: []float64{0.001, 0.01}, Counts: []uint64{900, 50, 10}, Sum: 1.2},
				Versions: map[string]uint64{"1.3": 900, "1.2": 60, "1.1": 0, "1.0": 0, "unknown": 0},
				Groups:   map[string]uint64{"X25519MLKEM768": 600, "x25519": 300}, PostQuantum: 600, Retries: 4,
				Alerts: map[string]uint64{"unrecognized_name": 3},
			},
			Panic: true, Ejections: 2, Waiting: 5,
			Waited: balancer.Histogram{Bounds: []float64{0.001, 0.01}, Counts: []uint64{0, 5, 1}, Sum: 0.05},
			Backends: []balancer.BackendStats{
				{Address: "10.0.0.1:443", Active: 30, Total: 700, BytesIn: 5 << 20, BytesOut: 3 << 30, Up: true, Weight: 1,
					State: pool.StateUp, Since: time.Date(2026, 11, 1, 12, 0, 3, 0, time.UTC), Ejections: 2,
					LastError: "connection failed: connection refused", CertNotAfter: time.Date(2027, 1, 30, 0, 0, 0, 0, time.UTC)},
				{Address: "[2001:db8::1]:443", Active: 10, Total: 260, Failures: 7, BytesIn: 1000, BytesOut: 2000,
					State: pool.StateDrain, Override: pool.OverrideDrain, Weight: 3, Backup: true},
			},
		}},
		Overlaps: balancer.Overlaps{Total: 1, First: []balancer.Overlap{{
			Listener: "public", Route: "www", Pool: "web", Name: "*.example.com", Host: "api.example.com", OtherRoute: "api", OtherPool: "api",
		}}},
		Attempts: balancer.AttemptStats{Started: 970, ConnectFailed: 4, AnswerFailed: 3},
		Terminate: terminate.Stats{
			Done:   []terminate.Handshakes{{Version: "1.3", Group: "X25519MLKEM768", Count: 300}, {Version: "1.2", Group: "none", Resumed: true, Count: 7}},
			Failed: 5, Connections: 12, Budget: terminate.BudgetStats{Turns: 1, Running: 1, Waiting: 2},
		},
		Certificates: []certs.Expiry{
			{Name: "a.example.com", File: "/etc/switchyard/a.crt", NotAfter: time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)},
			{Name: "a.example.com", File: "/etc/switchyard/a.crt", NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)},
		},
		Lists: []terminate.ListEnd{
			{File: "/etc/switchyard/clients.crl", Until: time.Date(2026, 12, 2, 0, 0, 0, 0, time.UTC)},
			{File: "/etc/switchyard/clients.crl", Until: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)},
		},
		Refusals: []certs.Refusal{{File: "/etc/switchyard/clients.pem", Why: "it holds no certificate"}},
		Orders: []balancer.RouteOrders{{Route: "shop", Orders: certs.Orders{
			Obtained: 3, Renewed: 1, Failed: 2, Missing: 1, LastFailure: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC),
		}}},
		Connections: 40, Limit: 9900, LogDropped: 12, Panics: 1,
		Started: time.Date(2026, 11, 1, 12, 0, 0, 500e6, time.UTC),
	}}
}

// fakeControl is a control plane that has something to say and does nothing.
type fakeControl struct {
	Control
	status control.Status
}

func (f *fakeControl) Status() control.Status { return f.status }

// changed is a control plane whose file was refused once, with a change made at run time.
func changed() *fakeControl {
	loaded := time.Date(2026, 11, 2, 8, 30, 0, 0, time.UTC)
	return &fakeControl{status: control.Status{
		File: "/etc/switchyard/switchyard.yaml", Revision: 12, Digest: strings.Repeat("5e", 32), Loaded: loaded, Origin: "watch",
		FileDiffers: true,
		LastReload:  control.LastReload{At: loaded.Add(time.Hour), Error: "switchyard.yaml:7:11: there is no pool \"wbe\"\n    pool: wbe\n          ^\nhint: did you mean \"web\"?"},
		Overlay: []control.OverlayEntry{
			{Kind: "backend", Name: "web/[2001:db8::1]:443", Change: "drain, weight 3", At: loaded, OnReload: "keep", Origin: "POST /v1/transaction"},
		},
		Guard: &control.GuardStatus{
			Revision: 11, Previous: 10, State: control.GuardRolledBack, Ends: loaded.Add(-time.Minute), Reason: "no_route 12 of 80 connections, before 0 of 1400",
			Before: control.Rates{Connections: 1400}, After: control.Rates{NoRoute: 0.15, Connections: 80},
		},
		Revisions: []control.Revision{
			{Number: 10, At: loaded.Add(-time.Hour), Origin: "start", Digest: strings.Repeat("5e", 32), Summary: "started"},
			{Number: 12, At: loaded, Origin: "watch", Digest: strings.Repeat("5e", 32), Summary: "1 route changed", Current: true},
		},
		StateFile: "/var/lib/switchyard/state.json",
		Reloads:   map[string]uint64{"applied": 3, "refused": 1, "rolled_back": 1},
	}}
}

// newServer returns a Server that ends with the test.
func newServer(t *testing.T, src Source) *Server {
	t.Helper()
	s := New(Options{Source: src, Version: "v1.2.3"})
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// ask sends one request to a handler and returns the answer and its body.
func ask(h http.Handler, method, path string) (*http.Response, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	body, _ := io.ReadAll(w.Result().Body)
	return w.Result(), string(body)
}
