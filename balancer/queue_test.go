package balancer

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/route"
)

// waitingPool has one backend with one slot, for which ten connections may wait for long.
func waitingPool(addr string) pool.Config {
	p := testPool("pool", addr)
	p.Backends[0].MaxConnections = 1
	p.QueueTimeout, p.QueueSize = time.Minute, 10
	return p
}

// waiting waits until n connections are queued.
func (r *running) waiting(t testing.TB, n int64) {
	t.Helper()
	eventually(t, func() bool { return r.Stats().Pools[0].Waiting == n }, func() string { return fmt.Sprint(n, " in the queue") })
}

// knock connects and sends a hello for host, without waiting for an answer.
func knock(t testing.TB, addr, host string) *net.TCPConn {
	t.Helper()
	c := dial(t, addr)
	mustWrite(t, c, craft(serverName(host)))
	return c
}

func TestAConnectionWaitsForASlot(t *testing.T) {
	t.Parallel()
	s := serve(t, oneHost("a.example.com", waitingPool(echo(t))))
	first := open(t, s.addr, helloA, helloA)
	second := knock(t, s.addr, "a.example.com")
	s.waiting(t, 1)
	list, _ := s.Connections(&ConnectionFilter{}, 10)
	if len(list) != 2 || list[1].Stage != "queued" {
		t.Errorf("connections: %+v, want a second one that is queued", list)
	}
	first.Close()
	mustRead(t, second, craft(serverName("a.example.com")))
	second.Close()
	s.quiet(t)
	st := s.Stats().Pools[0]
	if n := total(st.Waited); st.Waiting != 0 || n != 1 {
		t.Errorf("%d wait, %d waited, want none and one", st.Waiting, n)
	}
	s.closed(t, CauseOK, 2)
	s.balanced(t)
}

// total is how many values h holds.
func total(h Histogram) (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

func TestEndsOfWaiting(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		pool  func(*pool.Config)
		act   func(t *testing.T, s *running, c *net.TCPConn) // while the connection waits
		cause Cause
		alert bool
	}{
		{"no slot in time", func(p *pool.Config) { p.QueueTimeout = 50 * time.Millisecond },
			func(*testing.T, *running, *net.TCPConn) {}, CauseQueueTimeout, true},
		{"no room in the queue", func(p *pool.Config) { p.QueueSize = 0 },
			func(*testing.T, *running, *net.TCPConn) {}, CauseQueueFull, true},
		{"the client closes", func(*pool.Config) {},
			func(t *testing.T, s *running, c *net.TCPConn) { s.waiting(t, 1); c.Close() }, CauseClientGone, false},
		{"the client resets", func(*pool.Config) {},
			func(t *testing.T, s *running, c *net.TCPConn) { s.waiting(t, 1); c.SetLinger(0); c.Close() }, CauseClientGone, false},
		{"an operator takes the backend out", func(*pool.Config) {},
			func(t *testing.T, s *running, c *net.TCPConn) {
				s.waiting(t, 1)
				if _, err := s.Set(Setting{Pool: "pool", Address: s.Pools()[0].Backends[0].Text(), State: pool.OverrideDrain}); err != nil {
					t.Error(err)
				}
			}, CauseNoBackend, true},
		{"an operator closes it", func(*pool.Config) {},
			func(t *testing.T, s *running, c *net.TCPConn) {
				s.waiting(t, 1)
				for _, x := range must(s.Connections(&ConnectionFilter{}, 10)) {
					if x.Stage == "queued" {
						s.Kill(&ConnectionFilter{ID: x.ID})
					}
				}
			}, CauseKilled, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := waitingPool(echo(t))
			test.pool(&p)
			s := serve(t, oneHost("a.example.com", p))
			first := open(t, s.addr, helloA, helloA)
			c := knock(t, s.addr, "a.example.com")
			test.act(t, s, c)
			if test.alert {
				if got, err := readAll(c); !bytes.Equal(got, alertOf(80)) || err != nil {
					t.Errorf("client got % x, %v, want the alert internal_error", got, err)
				}
			}
			c.Close()
			s.closed(t, test.cause, 1)
			s.waiting(t, 0)
			first.Close()
			s.quiet(t)
			s.balanced(t)
		})
	}
}

func must[T any](v []T, _ int) []T { return v }

// Routes have their turns, and within a route the first to come is the first to be served.
func TestWaitingIsFairBetweenRoutes(t *testing.T) {
	t.Parallel()
	p := waitingPool(echo(t))
	cfg := oneHost("a.example.com", p)
	cfg.Routes = append(cfg.Routes, route.Route{Name: "other", Hosts: []string{"b.example.com"}, Action: toPool("pool")})
	s := serve(t, cfg, func(o *Options) { o.Loops = 1 })
	hold := open(t, s.addr, helloA, helloA)
	var clients []queued
	for i, host := range []string{"a", "a", "a", "a", "b", "b"} {
		clients = append(clients, queued{host + fmt.Sprint(i), knock(t, s.addr, host+".example.com")})
		s.waiting(t, int64(i+1))
	}
	hold.Close()
	order := inTurn(t, clients)
	if d := cmp.Diff([]string{"a0", "b4", "a1", "b5", "a2", "a3"}, order); d != "" {
		t.Errorf("order (-want +got):\n%s", d)
	}
}

// queued is a client that waits, by name.
type queued struct {
	name string
	net.Conn
}

// inTurn waits until all of them are served, one after the other, and tells in which order.
func inTurn(t testing.TB, clients []queued) (order []string) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			mu.Lock()
			order = append(order, c.name)
			mu.Unlock()
			c.Close()
		})
	}
	wg.Wait()
	return order
}

// Slots are handed on between loops: everybody is served, and none waits while there is a slot.
func TestWaitingAcrossLoops(t *testing.T) {
	t.Parallel()
	p := testPool("pool", echo(t), echo(t))
	p.Backends[0].MaxConnections, p.Backends[1].MaxConnections = 2, 2
	p.QueueTimeout, p.QueueSize = time.Minute, 3000
	s := serve(t, oneHost("a.example.com", p), func(o *Options) { o.Loops = 4 })
	n := sized(300, 3000)
	all := func(addr string) time.Duration {
		var wg sync.WaitGroup
		began := time.Now()
		for range n {
			wg.Go(func() {
				got, err := exchange2(t, addr)
				if err != nil || !bytes.Equal(got, helloA) {
					t.Errorf("client got %d bytes, %v", len(got), err)
				}
			})
		}
		wg.Wait()
		return time.Since(began)
	}
	took, withoutLimit := all(s.addr), all(serve(t, oneHost("a.example.com", testPool("pool", echo(t)))).addr)
	s.quiet(t)
	s.balanced(t)
	if st := s.Stats().Pools[0]; st.Waiting != 0 {
		t.Errorf("%d wait", st.Waiting)
	}
	t.Logf("%d connections over 4 slots in %v, without limits in %v", n, took, withoutLimit)
	if most := time.Duration(n)*queuePoll/8 + 10*withoutLimit; took > most { // where the machine is busy, both take long
		t.Errorf("took %v, want less than %v: slots are found by looking, not by being told", took, most)
	}
}

// exchange2 sends the hello and reads it back, and ends then.
func exchange2(t testing.TB, addr string) ([]byte, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := c.Write(helloA); err != nil {
		return nil, err
	}
	got := make([]byte, len(helloA))
	n, err := c.Read(got)
	return got[:n], err
}

// withRoomForTwo is cfg, but that its first backend takes two connections.
func withRoomForTwo(cfg *Config) *Config {
	next := clone(cfg)
	next.Pools[0].Backends = slices.Clone(next.Pools[0].Backends)
	next.Pools[0].Backends[0].MaxConnections = 2
	return next
}

// Room that a reload makes is found by those that wait.
func TestWaitingEndsWhenALimitIsRaised(t *testing.T) {
	t.Parallel()
	p := waitingPool(echo(t))
	cfg := oneHost("a.example.com", p)
	s := serve(t, cfg)
	open(t, s.addr, helloA, helloA)
	c := knock(t, s.addr, "a.example.com")
	s.waiting(t, 1)
	s.reload(t, withRoomForTwo(cfg))
	mustRead(t, c, craft(serverName("a.example.com")))
}

// A panic over one queue does not end the looking at all of them.
func TestQueuesAreLookedAtAfterAPanic(t *testing.T) {
	t.Parallel()
	cfg := oneHost("a.example.com", waitingPool(echo(t)))
	s := serve(t, cfg, func(o *Options) { o.Loops = 1 })
	open(t, s.addr, helloA, helloA)
	c := knock(t, s.addr, "a.example.com")
	s.waiting(t, 1)
	broken := newQueue(1)
	s.onEachWorker(func(w *worker) {
		broken.parts[0].push(&session{setup: &setup{}}) // of no pool
		w.queues = append(w.queues, broken)
	})
	eventually(t, func() bool { return s.Stats().Panics > 0 }, func() string { return "a panic" })
	s.onEachWorker(func(w *worker) { w.queues = slices.DeleteFunc(w.queues, func(q *queue) bool { return q == broken }) })
	s.reload(t, withRoomForTwo(cfg))
	mustRead(t, c, craft(serverName("a.example.com")))
}

// The part of a loop does what lists of names do.
func TestQueuePartAgreesWithASlowTwin(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var part queuePart
		var lanes [][]*session // the one whose turn it is comes first
		routes := map[*session]string{}
		for range 100 {
			if random.IntN(5) < 3 {
				s := &session{setup: &setup{}, route: &route.Route{Name: string(rune('a' + random.IntN(4)))}}
				part.push(s)
				routes[s] = s.route.Name
				i := slices.IndexFunc(lanes, func(l []*session) bool { return routes[l[0]] == s.route.Name })
				if i < 0 {
					lanes = append(lanes, nil)
					i = len(lanes) - 1
				}
				lanes[i] = append(lanes[i], s)
			} else if len(lanes) > 0 { // the one whose turn it is, or one that gives up
				i, k := 0, 0
				if random.IntN(2) == 0 {
					i = random.IntN(len(lanes))
					k = random.IntN(len(lanes[i]))
				}
				part.remove(lanes[i][k])
				lanes[i] = slices.Delete(lanes[i], k, k+1)
				switch {
				case len(lanes[i]) == 0:
					lanes = slices.Delete(lanes, i, i+1)
				case i == 0 && k == 0:
					lanes = append(lanes[1:], lanes[0])
				}
			}
			var want *session
			n := 0
			for _, l := range lanes {
				n += len(l)
			}
			if len(lanes) > 0 {
				want = lanes[0][0]
			}
			if got := part.front(); got != want || int(part.count.Load()) != n {
				t.Fatalf("%d wait, in front %p, want %d and %p", part.count.Load(), got, n, want)
			}
		}
	}
}
