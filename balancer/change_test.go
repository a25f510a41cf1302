package balancer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/route"
)

// saying is a backend that answers every hello with word and holds the connection until the client ends.
func saying(t testing.TB, word string) string { return answering(t, []byte(word)) }

// clone is a copy of cfg whose lists can be changed.
func clone(cfg *Config) *Config {
	c := *cfg
	c.Listeners = append([]ListenerConfig(nil), cfg.Listeners...)
	c.Routes = append([]route.Route(nil), cfg.Routes...)
	c.Pools = append([]pool.Config(nil), cfg.Pools...)
	return &c
}

// reload makes cfg what s serves.
func (r *running) reload(t testing.TB, cfg *Config) *Diff {
	t.Helper()
	p, err := r.Prepare(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(); err != nil {
		t.Fatal(err)
	}
	return p.Diff()
}

// asks connects to addr, sends a hello for name and returns the first n bytes back.
func asks(t testing.TB, addr, name string, n int) string {
	t.Helper()
	c := dial(t, addr)
	defer c.Close()
	mustWrite(t, c, craft(serverName(name)))
	got := make([]byte, n)
	k, err := io.ReadFull(c, got)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err.Error()
	}
	return string(got[:k])
}

func TestAChangeIsInForceForTheNextConnection(t *testing.T) {
	t.Parallel()
	one, two := saying(t, "one"), saying(t, "two")
	cfg := oneHost("a.example.com", testPool("", one))
	s := serve(t, cfg)
	old := dial(t, s.addr)
	mustWrite(t, old, helloA)
	mustRead(t, old, []byte("one"))

	next := clone(cfg)
	next.Pools = append(next.Pools, testPool("other", two))
	next.Routes[0].Action = toPool("other")
	for i := range 50 {
		want, to := "two", next
		if i%2 == 1 {
			want, to = "one", cfg
		}
		s.reload(t, to)
		if got := asks(t, s.addr, "a.example.com", 3); got != want {
			t.Fatalf("after change %d the answer is from %q, want %q", i, got, want)
		}
	}
	mustWrite(t, old, []byte("more"))
	old.CloseWrite()
	mustEnd(t, old, false) // it was established: no change has touched it
	s.balanced(t)
}

func TestWhatStaysKeepsItsState(t *testing.T) {
	t.Parallel()
	stays, leaves := saying(t, "one"), saying(t, "two")
	cfg := oneHost("a.example.com", testPool("", stays, leaves))
	s := serve(t, cfg)
	for range 4 {
		asks(t, s.addr, "a.example.com", 3)
	}
	s.quiet(t)
	held := dial(t, s.addr)
	mustWrite(t, held, helloA)
	mustRead(t, held, []byte("one"))
	before := s.Stats()

	next := clone(cfg)
	next.Pools[0].Backends = next.Pools[0].Backends[:1:1]
	next.Pools[0].Balance = pool.LeastConnections
	next.Listeners[0].HelloTimeout = time.Minute
	d := s.reload(t, next)
	want := &Diff{
		Routes: RouteDiff{[]string{}, []string{}, []string{}, false},
		Pools: []PoolDiff{{Pool: "pool", Change: "changed", BackendsAdded: []string{}, BackendsRemoved: []string{leaves},
			BackendsChanged: []string{}, Options: []string{"balance"}}},
		Listeners: []ListenerDiff{{Listener: "public", Change: "changed", BindAdded: []string{}, BindRemoved: []string{}, Options: []string{"hello_timeout"}}},
		Options:   []string{}, Notes: []string{},
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("diff (-want +got)\n%s", diff)
	}
	if got, want := d.String(), "pool pool: -1 backends, balance; listener public: hello_timeout"; got != want {
		t.Errorf("summed up as %q, want %q", got, want)
	}
	after := s.Stats()
	if got, want := after.Pools[0].Backends[0], before.Pools[0].Backends[0]; got != want {
		t.Errorf("the backend that stays: %+v, want %+v", got, want)
	}
	if got, want := after.Listeners[0].Accepted, before.Listeners[0].Accepted; got != want {
		t.Errorf("the listener has accepted %d, had %d", got, want)
	}
	held.CloseWrite()
	mustEnd(t, held, false)
}

// It counts descriptors, and so runs alone.
func TestAChangeThatIsRefusedChangesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := oneHost("a.example.com", testPool("", saying(t, "one")))
	s := serve(t, cfg)
	fds := countFDs(t)
	for _, c := range []struct {
		name   string
		change func(*Config)
		is     func(error) bool
	}{
		{"a route to a pool that is not there", func(c *Config) { c.Routes[0].Action = toPool("nowhere") }, func(err error) bool {
			var conflict route.Conflict
			return errors.As(err, &conflict)
		}},
		{"an address that is taken", func(c *Config) {
			l := testListener()
			l.Name, l.Bind = "second", []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort(taken.Addr().String())}
			c.Listeners = append(c.Listeners, l)
		}, func(err error) bool {
			bind, ok := errors.AsType[*BindError](err)
			return ok && errors.Is(err, syscall.EADDRINUSE) && bind.Listener == "second"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			next := clone(cfg)
			next.Pools[0].Backends = nil
			c.change(next)
			if p, err := s.Prepare(t.Context(), next); err == nil || !c.is(err) {
				t.Errorf("got %v, %v", p, err)
			}
			if got := asks(t, s.addr, "a.example.com", 3); got != "one" {
				t.Errorf("the answer is %q", got)
			}
			s.quiet(t) // and then the backend has still to close its end
			eventually(t, func() bool { return countFDs(t) == fds }, func() string { return fmt.Sprintf("%d descriptors, and not %d", fds, countFDs(t)) })
		})
	}
}

func TestAbortChangesNothing(t *testing.T) {
	t.Parallel()
	cfg := oneHost("a.example.com", testPool("", saying(t, "one")))
	s := serve(t, cfg)
	next := oneHost("b.example.com", testPool("", saying(t, "two")))
	next.Listeners[0].Bind = append(addrs("127.0.0.1:0"), next.Listeners[0].Bind...)
	p, err := s.Prepare(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	if p.Diff().Empty() || p.Routes().Len() != 1 {
		t.Errorf("prepared: %v", p.Diff())
	}
	waiting, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := s.Prepare(waiting, next); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second change did not wait: %v", err)
	}
	p.Abort()
	p.Abort()
	if err := p.Commit(); err != nil {
		t.Errorf("Commit after Abort: %v", err)
	}
	if got := asks(t, s.addr, "a.example.com", 3); got != "one" || len(s.Addrs("public")) != 1 {
		t.Errorf("the answer is %q, at %v", got, s.Addrs("public"))
	}
	again := s.reload(t, cfg)
	if !again.Empty() || again.String() != "nothing changed" {
		t.Errorf("the same configuration makes a difference: %v", again)
	}
}

func TestAnEditChangesWhatItNames(t *testing.T) {
	t.Parallel()
	one, two := saying(t, "one"), saying(t, "two")
	cfg := oneHost("a.example.com", testPool("", one))
	s := serve(t, cfg)
	base := s.State()
	edit := func(e *Edit) (*Diff, error) {
		p, err := s.PrepareEdit(t.Context(), e)
		if err != nil {
			return nil, err
		}
		return p.Diff(), p.Commit()
	}
	steps := []struct {
		name    string
		edit    Edit
		summary string // "" if it is refused
		a, b    string // who answers for a and b.example.com
	}{
		{"a new route and its pool", Edit{PutPools: []pool.Config{testPool("other", two)},
			PutRoutes: []route.Route{{Name: "b", Hosts: []string{"b.example.com"}, Action: toPool("other")}}},
			"1 route added; pool other added", "one", "two"},
		{"a route changes its pool", Edit{PutRoutes: []route.Route{{Name: "host", Hosts: []string{"a.example.com"}, Action: toPool("other")}}},
			"1 route changed", "two", "two"},
		{"a pool that is in use cannot go", Edit{DeletePools: []string{"other"}}, "", "two", "two"},
		{"a host that another route has", Edit{PutRoutes: []route.Route{{Name: "c", Hosts: []string{"b.example.com"}, Action: toPool("other")}}}, "", "two", "two"},
		{"a pool changes its backends", Edit{PutPools: []pool.Config{testPool("other", one)}}, "pool other: +1 -1 backends", "one", "one"},
		{"a route goes", Edit{DeleteRoutes: []string{"b"}}, "1 route removed", "one", "\x15\x03\x03"},
	}
	for _, c := range steps {
		d, err := edit(&c.edit)
		if (err != nil) != (c.summary == "") || err == nil && d.String() != c.summary {
			t.Fatalf("%s: %v, %v; want %q", c.name, d, err, c.summary)
		}
		if a, b := asks(t, s.addr, "a.example.com", 3), asks(t, s.addr, "b.example.com", 3); a != c.a || b != c.b {
			t.Errorf("%s: answers %q and %q, want %q and %q", c.name, a, b, c.a, c.b)
		}
	}
	p, err := s.PrepareState(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := asks(t, s.addr, "a.example.com", 3); got != "one" || len(s.Pools()) != 1 || s.Routes().Len() != 1 {
		t.Errorf("what was there before was not put back: %q, %d pools, %d routes", got, len(s.Pools()), s.Routes().Len())
	}
}

// A removed backend's connections get the drain_timeout of the pool that they left.
func TestConnectionsOfARemovedBackendDrain(t *testing.T) {
	t.Parallel()
	silent := make(chan *net.TCPConn, 10)
	slow := listenTCP(t, func(c *net.TCPConn) {
		readHelloRecord(c)
		silent <- c
		io.Copy(io.Discard, c)
	})
	p := testPool("", saying(t, "one"))
	p.DrainTimeout = 2 * time.Second // in which the answer comes on a busy machine, too
	both := testPool("", slow)
	both.DrainTimeout = p.DrainTimeout
	cfg := oneHost("a.example.com", both)
	s := serve(t, cfg)
	relaying := dial(t, s.addr)
	mustWrite(t, relaying, helloA)
	(<-silent).Write([]byte("hi"))
	mustRead(t, relaying, []byte("hi"))
	dialing := dial(t, s.addr) // its backend answers after it has left
	mustWrite(t, dialing, helloA)
	late := <-silent
	s.reload(t, oneHost("a.example.com", p))
	late.Write([]byte("hi"))
	mustRead(t, dialing, []byte("hi"))
	mustEnd(t, relaying, false)
	mustEnd(t, dialing, false)
	s.closed(t, CauseBackendRemoved, 2)
	s.balanced(t)
}

func TestABackendThatReturnsKeepsItsConnections(t *testing.T) {
	t.Parallel()
	p := testPool("", echo(t))
	p.DrainTimeout = 2 * time.Second // in which two changes are made on a busy machine, too
	cfg := oneHost("a.example.com", p)
	s := serve(t, cfg)
	c := open(t, s.addr, helloA, helloA)
	away := testPool("", saying(t, "one"))
	away.DrainTimeout = p.DrainTimeout
	s.reload(t, oneHost("a.example.com", away))
	s.reload(t, cfg)
	time.Sleep(p.DrainTimeout + time.Second/2) // the time that it would have been cut off at
	mustWrite(t, c, []byte("still there"))
	mustRead(t, c, []byte("still there"))
	if st := s.Stats().Pools[0].Backends[0]; st.Active != 1 || st.Total != 1 {
		t.Errorf("the backend came back without its state: %+v", st)
	}
}

func TestAPoolThatReturnsHasItsLimits(t *testing.T) {
	t.Parallel()
	p := testPool("", echo(t))
	p.Backends[0].MaxConnections = 1
	cfg := oneHost("a.example.com", p)
	s := serve(t, cfg)
	c := open(t, s.addr, helloA, helloA)
	gone := oneHost("a.example.com", p)
	gone.Pools[0].Name, gone.Routes[0].Action = "other", toPool("other")
	gone.Pools[0].Backends = testPool("", saying(t, "one")).Backends
	s.reload(t, gone)
	s.reload(t, cfg)
	if s.world.Load().pools["pool"].Backends()[0].Gone() || len(s.left) != 0 {
		t.Error("the pool that is back counts as gone")
	}
	if got, err := exchange(t, s.addr, helloA); err != nil || !bytes.Equal(got, alertOf(80)) {
		t.Errorf("beyond the limit: % x, %v", got, err)
	}
	c.Close()
	s.quiet(t)
	open(t, s.addr, helloA, helloA)
}

func TestAChangeWaitsForTheAddressesOfNewNames(t *testing.T) {
	t.Parallel()
	port := listenOnAll(t, "127.0.0.1")
	z := &zone{}
	z.set(nil, "127.0.0.1")
	cfg := oneHost("a.example.com", testPool("", saying(t, "one")))
	s := serve(t, cfg, func(o *Options) { o.Lookup = z.lookup })
	next := oneHost("a.example.com", named(port))
	if d := s.reload(t, next); len(d.Notes) != 0 {
		t.Errorf("notes: %q", d.Notes)
	}
	if got := asks(t, s.addr, "a.example.com", 9); got != "127.0.0.1" {
		t.Errorf("the first connection after the change got %q", got)
	}
	asked := z.lookups()
	if s.reload(t, cfg); len(s.hosts.byName) != 0 {
		t.Error("a name that nobody has is followed")
	}
	z.set(errors.New("no such host"))
	soon, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	p, err := s.Prepare(soon, next)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Abort()
	if len(p.Diff().Notes) != 1 {
		t.Errorf("a name that does not resolve: notes %q", p.Diff().Notes)
	}
	eventually(t, func() bool { return z.lookups() > asked }, func() string { return "the name to be asked for" })
}

func TestNoChangeAfterAStop(t *testing.T) {
	t.Parallel()
	cfg := oneHost("a.example.com", testPool("", saying(t, "one")))
	s := serve(t, cfg)
	next := clone(cfg)
	next.Listeners = append(next.Listeners, testListener())
	next.Listeners[1].Name = "second"
	p, err := s.Prepare(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	s.Shutdown(t.Context())
	if err := p.Commit(); !errors.Is(err, ErrStopping) {
		t.Errorf("Commit after the stop: %v", err)
	}
	if _, err := s.Prepare(t.Context(), cfg); !errors.Is(err, ErrStopping) {
		t.Errorf("Prepare after the stop: %v", err)
	}
	if _, err := s.Set(Setting{Pool: "pool"}); !errors.Is(err, ErrStopping) {
		t.Errorf("Set after the stop: %v", err)
	}
}
