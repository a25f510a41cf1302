package balancer

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/seed-23b4a313/switchyard/route"
)

// freePort is an address that nobody listens on, and none of the many connections beside this test can take: the
// kernel gives these other ports (net.ipv4.ip_local_port_range), and 127.0.0.1.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	for range 100 {
		addr := netip.AddrFrom4([4]byte{127, byte(1 + rand.IntN(250)), byte(rand.IntN(256)), byte(1 + rand.IntN(250))})
		at := netip.AddrPortFrom(addr, uint16(20_000+rand.IntN(10_000)))
		l, err := net.Listen("tcp", netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port()).String()) // a test makes it wide
		if err == nil {
			l.Close()
			return at
		}
	}
	t.Fatal("no port from 20000 to 29999 is free")
	return netip.AddrPort{}
}

// standStill holds all loops until the returned function is called.
func (r *running) standStill() (goOn func()) {
	hold := make(chan struct{})
	for _, w := range r.workers {
		held := make(chan struct{})
		w.loop.Post(func() { close(held); <-hold })
		<-held
	}
	return func() { close(hold) }
}

// R5: a removed listener serves what its queue holds, by the table that it was in.
func TestARemovedListenerServesItsQueue(t *testing.T) {
	t.Parallel()
	cfg := oneHost("a.example.com", testPool("", echo(t)))
	second := testListener()
	second.Name = "second"
	second.NoSNI = toPool("pool")
	cfg.Listeners = append(cfg.Listeners, second)
	cfg.Routes[0].Listeners = []string{"second"}
	s := serve(t, cfg)
	addr := s.Addrs("second")[0].String()
	goOn := s.standStill()
	nameless := craft()
	var conns []*net.TCPConn
	for i := range sized(100, 500) {
		c := dial(t, addr) // the kernel answers; nobody accepts
		mustWrite(t, c, [][]byte{helloA, nameless}[i%2])
		conns = append(conns, c)
	}
	half := dial(t, addr)
	mustWrite(t, half, helloA[:20])

	without := clone(cfg)
	without.Listeners = without.Listeners[:1]
	without.Routes[0].Listeners = nil
	without.Routes[0].Action = route.Action{Reject: route.RejectReset}
	done := make(chan *Diff)
	go func() { done <- s.reload(t, without) }()
	eventually(t, func() bool { return s.Addrs("second") == nil }, func() string { return "the listener to be gone" })
	goOn()
	if d := (<-done).String(); d != "1 route changed; listener second removed" {
		t.Errorf("changed: %s", d)
	}
	mustWrite(t, half, helloA[20:])
	conns = append(conns, half)
	for i, c := range conns {
		want := [][]byte{helloA, nameless}[i%2]
		if c == half {
			want = helloA
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("connection %d of the queue: %v", i, err)
		}
	}
	if c, err := net.Dial("tcp", addr); err == nil { // as long as its connections live the kernel gives the port to nobody else
		c.Close()
		t.Error("the address of the removed listener takes connections")
	}
	for _, c := range conns {
		c.Close()
	}
	s.quiet(t)
}

func TestListenersThatStayAreNotReopened(t *testing.T) {
	t.Parallel()
	at := freePort(t)
	cfg := oneHost("a.example.com", testPool("", echo(t)))
	cfg.Listeners[0].Bind = append(cfg.Listeners[0].Bind, at)
	s := serve(t, cfg)
	kernel, before := s.addr, s.sockets()
	holds := open(t, kernel, helloA, helloA) // the port, which the kernel would give to somebody else once nobody has it
	steps := []struct {
		name    string
		change  func(*Config)
		stay    bool // the sockets are the same ones
		summary string
	}{
		{"options", func(c *Config) { c.Listeners[0].MaxConnections = 100; c.Listeners[0].NotTLS = route.RejectReset }, true,
			"listener public: max_connections, not_tls"},
		{"another order", func(c *Config) { slices.Reverse(c.Listeners[0].Bind) }, true, "nothing changed"},
		{"another address", func(c *Config) { c.Listeners[0].Bind = append(c.Listeners[0].Bind, freePort(t)) }, false, ""},
		{"one less", func(c *Config) { c.Listeners[0].Bind = c.Listeners[0].Bind[:2] }, true, ""},
		{"another name", func(c *Config) { c.Listeners[0].Name = "edge"; c.Listeners[0].Bind = []netip.AddrPort{at} }, true,
			"listener edge added; listener public removed"},
	}
	for _, c := range steps {
		next := clone(cfg)
		next.Listeners[0].Bind = slices.Clone(next.Listeners[0].Bind)
		c.change(next)
		goOn := s.standStill()
		waiting := dial(t, at.String()) // in the queue of the socket while the change is made
		mustWrite(t, waiting, helloA)
		done := make(chan *Diff)
		go func() { done <- s.reload(t, next) }()
		goOn()
		if d := (<-done).String(); c.summary != "" && d != c.summary {
			t.Errorf("%s: %q, want %q", c.name, d, c.summary)
		}
		mustRead(t, waiting, helloA)
		waiting.Close()
		open(t, at.String(), helloA, helloA).Close()
		if now := s.sockets(); c.stay && !subset(now, before) {
			t.Errorf("%s: sockets %v, want some of %v", c.name, now, before)
		}
		before = s.sockets()
		cfg = next
	}
	if c, err := net.Dial("tcp", kernel); err == nil {
		c.Close()
		t.Error("the address that was taken away takes connections")
	}
	holds.Close()
	if got := s.Addrs("edge"); !slices.Equal(got, []netip.AddrPort{at}) {
		t.Errorf("the renamed listener is at %v", got)
	}
	s.quiet(t)
	checkBalance(t, s.Stats())
}

// sockets are all listening sockets.
func (r *running) sockets() (all []*socket) {
	r.onEachWorker(func(w *worker) {
		for _, sock := range w.sockets {
			if sock != nil && sock.fd >= 0 {
				all = append(all, sock)
			}
		}
	})
	return all
}

func subset[T comparable](some, of []T) bool {
	return !slices.ContainsFunc(some, func(v T) bool { return !slices.Contains(of, v) })
}

// Two listeners can swap their addresses, and an address can become part of a wider one, without a moment at which nobody
// listens.
func TestAddressesPassFromOneListenerToAnother(t *testing.T) {
	t.Parallel()
	a, b := freePort(t), freePort(t)
	cfg := oneHost("a.example.com", testPool("", saying(t, "one")))
	second := testListener()
	second.Name = "second"
	cfg.Listeners[0].Bind, second.Bind = []netip.AddrPort{a}, []netip.AddrPort{b}
	cfg.Listeners = append(cfg.Listeners, second)
	cfg.Pools = append(cfg.Pools, testPool("other", saying(t, "two")))
	cfg.Routes = []route.Route{
		{Name: "first", Hosts: []string{"*"}, Listeners: []string{"public"}, Action: toPool("pool")},
		{Name: "second", Index: 1, Hosts: []string{"*"}, Listeners: []string{"second"}, Action: toPool("other")},
	}
	s := serve(t, cfg)
	check := func(addr netip.AddrPort, want string) {
		t.Helper()
		if got := asks(t, addr.String(), "x.example.com", 3); got != want {
			t.Errorf("at %v the answer is %q, want %q", addr, got, want)
		}
	}
	check(a, "one")
	check(b, "two")
	swapped := clone(cfg)
	swapped.Listeners[0].Bind, swapped.Listeners[1].Bind = []netip.AddrPort{b}, []netip.AddrPort{a}
	s.reload(t, swapped)
	check(a, "two")
	check(b, "one")
	wide := clone(swapped)
	wide.Listeners[0].Bind = []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), b.Port())}
	s.reload(t, wide)
	check(b, "one")
	s.reload(t, swapped)
	check(b, "one")
}

func TestLimitsFollowTheConfiguration(t *testing.T) {
	t.Parallel()
	cfg := oneHost("a.example.com", testPool("", echo(t)))
	s := serve(t, cfg)
	derived := s.Limits().Connections
	next := clone(cfg)
	next.MaxConnections, next.Drain.Max = 1, cfg.Drain.Max*2
	if d := s.reload(t, next).String(); d != "max_connections, drain.max changed" {
		t.Errorf("changed: %s", d)
	}
	c := open(t, s.addr, helloA, helloA)
	mustBeReset(t, s.addr)
	if got := s.Stats().Limit; got != 1 {
		t.Errorf("limit %d", got)
	}
	c.Close()
	s.reload(t, cfg)
	if got := s.Limits().Connections; got != derived {
		t.Errorf("limit %d, want %d as at the start", got, derived)
	}
}

// A change that a stop overtakes leaves no socket behind: clients would wait in its queue for somebody to accept them.
func TestAStopLeavesNoListenerOfAChange(t *testing.T) {
	t.Parallel()
	cfg := oneHost("a.example.com", testPool("", echo(t)))
	s := serve(t, cfg)
	next := clone(cfg)
	second := testListener()
	second.Name, second.Bind = "second", []netip.AddrPort{freePort(t)}
	next.Listeners = append(next.Listeners, second)
	p, err := s.Prepare(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.ready(); err != nil { // as Commit does, and then the stop comes
		t.Fatal(err)
	}
	now, cancel := context.WithCancel(t.Context())
	cancel()
	s.Shutdown(now)
	p.takeOver()
	p.sites.apply(s.Server)
	if c, err := net.Dial("tcp", second.Bind[0].String()); err == nil {
		c.Close()
		t.Error("somebody listens there still")
	}
}
