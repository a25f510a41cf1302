package admin

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-23b4a313/switchyard/balancer"
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
		Name: "public", Accepted: 1000, Active: 40,
		Hello: balancer.Histogram{Bounds: []float64{0.001, 0.01, 0.1}, Counts: []uint64{900, 60, 0, 3}, Sum: 2.5},
	}
	l.Closed[balancer.CauseOK] = 950
	l.Closed[balancer.CauseBadHello] = 10
	return &fakeSource{stats: balancer.Stats{
		Listeners: []balancer.ListenerStats{l},
		Pools: []balancer.PoolStats{{
			Name: "web", Active: 40,
			Dial: balancer.Histogram{Bounds: []float64{0.001, 0.01}, Counts: []uint64{10, 5, 0}, Sum: 0.03},
			Backends: []balancer.BackendStats{
				{Address: "10.0.0.1:443", Active: 30, Total: 700, BytesIn: 5 << 20, BytesOut: 3 << 30, Up: true},
				{Address: "[2001:db8::1]:443", Active: 10, Total: 260, Failures: 7, BytesIn: 1000, BytesOut: 2000},
			},
		}},
		Connections: 40, Limit: 9900, LogDropped: 12, Panics: 1,
		Started: time.Date(2026, 11, 1, 12, 0, 0, 500e6, time.UTC),
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
