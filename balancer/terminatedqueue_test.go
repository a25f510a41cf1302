package balancer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/route"
)

// mixed serves one host that passes through and one whose TLS ends here, of one pool with one slot.
func mixed(t testing.TB, change func(*pool.Config)) (*running, *Config) {
	t.Helper()
	p := waitingPool(echo(t))
	change(&p)
	cfg := terminatedHost(carried, policyOf(t, terminate.Config{Certificates: certsFor(t, carried)}), p)
	cfg.Routes = append(cfg.Routes, route.Route{Name: "through", Hosts: []string{"a.example.com"}, Action: toPool("pool")})
	return serve(t, cfg, func(o *Options) { o.Loops = 1 }), cfg
}

// shaken is a TLS connection whose handshake is complete.
func shaken(t testing.TB, r *running) *tls.Conn {
	t.Helper()
	c, raw := secured(t, r)
	raw.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// Terminated connections have their turns among those that pass through, and within their route as they came.
func TestTerminatedConnectionsHaveTheirTurnsInTheQueue(t *testing.T) {
	t.Parallel()
	r, _ := mixed(t, func(*pool.Config) {})
	hold := open(t, r.addr, helloA, helloA)
	var clients []queued
	for i, kind := range []string{"through", "through", "through", "ended", "ended"} {
		var c net.Conn
		if kind == "through" {
			c = knock(t, r.addr, "a.example.com")
		} else {
			c = shaken(t, r)
			c.Write([]byte("x"))
		}
		clients = append(clients, queued{fmt.Sprint(kind, i), c})
		r.waiting(t, int64(i+1))
	}
	if all, n := r.Connections(&ConnectionFilter{}, 10); n != 6 || all[5].Stage != "queued" {
		t.Errorf("%d connections, the last one %+v, want 6 and one that is queued", n, all[len(all)-1])
	}
	hold.Close()
	order := inTurn(t, clients)
	if d := cmp.Diff([]string{"through0", "ended3", "through1", "ended4", "through2"}, order); d != "" {
		t.Errorf("order (-want +got):\n%s", d)
	}
	r.quiet(t)
	r.waiting(t, 0)
	r.balanced(t)
}

// However the waiting of a terminated connection ends, it leaves nothing behind.
func TestEndsOfWaitingOfTerminatedConnections(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		pool  func(*pool.Config)
		act   func(t *testing.T, r *running, cfg *Config) // while the connection waits
		cause Cause
	}{
		{"no slot in time", func(p *pool.Config) { p.QueueTimeout = 50 * time.Millisecond }, func(*testing.T, *running, *Config) {}, CauseQueueTimeout},
		{"no room in the queue", func(p *pool.Config) { p.QueueSize = 0 }, func(*testing.T, *running, *Config) {}, CauseQueueFull},
		{"no queue", func(p *pool.Config) { p.QueueTimeout = 0 }, func(*testing.T, *running, *Config) {}, CausePoolLimit},
		{"an operator takes the backend out", func(*pool.Config) {}, func(t *testing.T, r *running, _ *Config) {
			r.waiting(t, 1)
			if _, err := r.Set(Setting{Pool: "pool", Address: r.Pools()[0].Backends[0].Text(), State: pool.OverrideDrain}); err != nil {
				t.Error(err)
			}
		}, CauseNoBackend},
		{"the client resets", func(*pool.Config) {}, func(t *testing.T, r *running, _ *Config) {
			c, raw := secured(t, r)
			c.Write([]byte("x"))
			r.waiting(t, 2)
			raw.SetLinger(0)
			raw.Close()
			r.closed(t, CauseClientGone, 1)
			r.waiting(t, 1)
			r.Kill(&ConnectionFilter{SNI: carried})
		}, CauseKilled},
		{"an operator closes it", func(*pool.Config) {}, func(t *testing.T, r *running, _ *Config) {
			r.waiting(t, 1)
			for _, x := range must(r.Connections(&ConnectionFilter{}, 10)) {
				if x.Stage == "queued" {
					r.Kill(&ConnectionFilter{ID: x.ID})
				}
			}
		}, CauseKilled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, cfg := mixed(t, tt.pool)
			first := open(t, r.addr, helloA, helloA)
			c := shaken(t, r)
			tt.act(t, r, cfg)
			if n, err := c.Read(make([]byte, 1)); err == nil {
				t.Errorf("%d bytes came", n)
			}
			r.closed(t, tt.cause, 1)
			r.waiting(t, 0)
			first.Close()
			r.quiet(t)
			r.balanced(t)
			if b := r.Stats().Pools[0].Backends[0]; b.Active != 0 {
				t.Errorf("%d slots are still held", b.Active)
			}
		})
	}
}

// A slot that is given at the moment at which its connection is stopped is not lost.
func TestNoSlotIsLostToAConnectionThatIsStopped(t *testing.T) {
	t.Parallel()
	r, _ := mixed(t, func(*pool.Config) {})
	for range sized(30, 1000) {
		hold := open(t, r.addr, helloA, helloA)
		c := shaken(t, r)
		r.waiting(t, 1)
		var wg sync.WaitGroup
		wg.Go(func() { hold.Close() })
		wg.Go(func() { r.Kill(&ConnectionFilter{SNI: carried}) })
		c.Read(make([]byte, 1))
		wg.Wait()
		c.Close()
		eventually(t, func() bool { return r.Stats().Pools[0].Active == 0 }, func() string { return "the slot to be free" })
	}
	r.quiet(t)
	r.balanced(t)
}

// Room that a reload makes is found by a terminated connection, whose pool is the new one from then on.
func TestAWaitingTerminatedConnectionFindsTheRoomOfAReload(t *testing.T) {
	t.Parallel()
	r, cfg := mixed(t, func(*pool.Config) {})
	open(t, r.addr, helloA, helloA)
	c := shaken(t, r)
	r.waiting(t, 1)
	r.reload(t, withRoomForTwo(cfg))
	c.Write([]byte("x"))
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Error(err)
	}
	c.Close()
}

// A stop ends those that wait.
func TestAStopEndsTerminatedConnectionsThatWait(t *testing.T) {
	t.Parallel()
	r, _ := mixed(t, func(*pool.Config) {})
	open(t, r.addr, helloA, helloA)
	c := shaken(t, r)
	r.waiting(t, 1)
	now, cancel := context.WithCancel(context.Background())
	cancel()
	r.Shutdown(now)
	if b, err := io.ReadAll(c); len(b) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes and %v, want an end at once", len(b), err)
	}
	r.closed(t, CauseDraining, 2)
}

// A full pool has terminated connections wait as others do.
func TestTerminatedConnectionsWaitForASlot(t *testing.T) {
	t.Parallel()
	r := carrying(t, func(c *net.TCPConn) { io.Copy(c, c) }, func(p *pool.Config) {
		p.MaxConnections, p.QueueSize, p.QueueTimeout = 1, 1, 10*time.Second
	})
	first, _ := secured(t, r)
	// Its handshake is over before it looks for a slot.
	eventually(t, func() bool { return r.Stats().Pools[0].Active == 1 }, func() string { return "the first to have the slot" })
	served := make(chan error, 1)
	go func() {
		_, err := talk(r.addr, &tls.Config{ServerName: carried})
		served <- err
	}()
	eventually(t, func() bool {
		all, n := r.Connections(&ConnectionFilter{}, 2)
		return n == 2 && all[1].Stage == "queued"
	},
		func() string { return "the second to wait" })
	if _, err := talk(r.addr, &tls.Config{ServerName: carried}); err == nil {
		t.Error("a third was served")
	}
	r.closed(t, CauseQueueFull, 1)
	first.Close()
	if err := <-served; err != nil {
		t.Errorf("the second: %v", err)
	}
	r.closed(t, CauseOK, 2)
}
