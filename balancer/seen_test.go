package balancer

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/seed-23b4a313/switchyard/route"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func TestNamesAreCounted(t *testing.T) {
	t.Parallel()
	s := serve(t, oneHost("*.example.com", testPool("", saying(t, "one"))))
	for name, n := range map[string]int{"a.example.com": 5, "b.example.com": 2, "x.example.org": 3} {
		for range n {
			asks(t, s.addr, name, 3)
		}
	}
	got := s.Names(10)
	want := Names{
		Routed: []NameCount{{Name: "a.example.com", Count: 5, Pool: "pool", Route: "host", Listener: "public"},
			{Name: "b.example.com", Count: 2, Pool: "pool", Route: "host", Listener: "public"}},
		Unrouted: []NameCount{{Name: "x.example.org", Count: 3, Listener: "public"}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(NameCount{}, "Last")); diff != "" {
		t.Errorf("names (-want +got)\n%s", diff)
	}
	if age := time.Since(got.Routed[0].Last); age < 0 || age > time.Minute {
		t.Errorf("the last connection was %v ago", age)
	}
	if first := s.Names(1); len(first.Routed) != 1 || first.Routed[0].Name != "a.example.com" {
		t.Errorf("the busiest: %+v", first)
	}
}

// A flood of names takes no memory, and leaves those that are busy in their places.
func TestBusyNamesOutlastAFlood(t *testing.T) {
	n := newSeenNames()
	l := newListener(&ListenerConfig{Name: "public"}, 1)
	r := &route.Route{Name: "r"}
	note := func(name string, took *route.Route) {
		parsed, err := route.ParseName(name)
		if err != nil {
			t.Fatal(err)
		}
		n.note(&session{name: parsed, listener: l, route: took}, "", 1)
	}
	for i := range sized(200_000, 1_000_000) {
		note(fmt.Sprintf("%d.example.org", i), nil)
		note(fmt.Sprintf("%d.example.com", i), r)
		if i%10 == 0 {
			note(fmt.Sprintf("busy-%d.example.com", i/10%5), r)
		}
	}
	if len(n.routed) != routedSets*seenWays || len(n.unrouted) != unroutedSets*seenWays {
		t.Fatalf("%d and %d names are remembered", len(n.routed), len(n.unrouted))
	}
	top := busiest(appendSeen(nil, n.routed, time.Now()), 5)
	for _, c := range top {
		if len(c.Name) < 5 || c.Name[:5] != "busy-" {
			t.Errorf("%s (%d) is said to be among the busiest", c.Name, c.Count)
		}
	}
	if got := testing.AllocsPerRun(100, func() { n.note(&session{name: n.routed[0].name, listener: l, route: r}, "", 2) }); got > 1 {
		t.Errorf("%v allocations for a name", got) // one is the session of this test
	}
}

func TestEffectsOfAChange(t *testing.T) {
	t.Parallel()
	one := echo(t)
	cfg := oneHost("a.example.com", testPool("", one))
	cfg.Pools = append(cfg.Pools, testPool("canary", one))
	cfg.Routes = append(cfg.Routes,
		route.Route{Name: "acme", Index: 1, Hosts: []string{"a.example.com"}, ALPN: []string{"acme-tls/1"}, Action: toPool("canary")},
		route.Route{Name: "b", Index: 2, Hosts: []string{"b.example.com"}, Action: toPool("pool")},
		route.Route{Name: "c", Index: 3, Hosts: []string{"c.example.com"}, Action: toPool("pool")})
	s := serve(t, cfg)
	for _, name := range []string{"a.example.com", "b.example.com", "b.example.com", "c.example.com", "new.example.com"} {
		c := dial(t, s.addr)
		hello := craft(serverName(name))
		mustWrite(t, c, hello)
		if name != "new.example.com" {
			mustRead(t, c, hello)
		}
	}
	next := clone(cfg)
	next.Routes[2].Action = route.Action{Targets: []route.Target{{Pool: "pool", Weight: 9}, {Pool: "canary", Weight: 1}}}
	next.Routes[3].Action = route.Action{Reject: route.RejectReset}
	next.Routes = append(next.Routes, route.Route{Name: "new", Index: 4, Hosts: []string{"new.example.com"}, Action: toPool("canary")})
	eventually(t, func() bool { return len(s.Names(10).Unrouted) == 1 }, func() string { return "the unknown name" })
	p, err := s.Prepare(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Abort()
	got := p.Effects(10)
	want := Effects{Connections: 1, Names: 3, Examples: []Effect{
		{What: "name", SNI: "b.example.com", Client: "127.0.0.1", Listener: "public", From: "pool pool", To: "split pool, canary", Count: 2},
		{What: "name", SNI: "c.example.com", Client: "127.0.0.1", Listener: "public", From: "pool pool", To: "reject reset", Count: 1},
		{What: "name", SNI: "new.example.com", Client: "127.0.0.1", Listener: "public", From: "reject alert", To: "pool canary", Count: 1},
		{What: "connection", SNI: "c.example.com", Listener: "public", From: "pool pool", To: "reject reset", Count: 1},
	}}
	ignore := cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Examples.Client" }, cmp.Comparer(func(a, b string) bool { return a == b || a == "" || b == "" }))
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Errorf("effects (-want +got)\n%s", diff)
	}
	if few := p.Effects(1); len(few.Examples) != 2 || few.Names != 3 {
		t.Errorf("at most one of each: %+v", few)
	}
}
