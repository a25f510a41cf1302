package balancer

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

func TestSettingsOutliveReloads(t *testing.T) {
	t.Parallel()
	one, two := saying(t, "one"), saying(t, "two")
	cfg := oneHost("a.example.com", testPool("", one, two))
	zero := 0
	cfg.Settings = []Setting{{Pool: "pool", Address: one, State: pool.OverrideDrain}, {Pool: "later", Address: two, Weight: &zero}}
	s := serve(t, cfg)
	only := func(step, want string) {
		t.Helper()
		for range 6 {
			if got := asks(t, s.addr, "a.example.com", 3); got != want {
				t.Fatalf("%s: the answer is from %q, want %q", step, got, want)
			}
		}
	}
	only("what was said before the start", "two")
	next := clone(cfg)
	next.Pools[0].Balance = pool.RandomTwo
	next.Pools = append(next.Pools, testPool("later", one, two))
	s.reload(t, next)
	only("after a reload that changes the pool", "two")
	later := clone(next)
	later.Routes[0].Action = toPool("later")
	s.reload(t, later)
	only("what was said of a pool that comes later", "one")
	if n, err := s.Set(Setting{Pool: "later", Address: one, State: pool.OverrideDrain}); n != 1 || err != nil {
		t.Errorf("Set: %d, %v", n, err)
	}
	if got := asks(t, s.addr, "a.example.com", 3); got != "\x15\x03\x03" {
		t.Errorf("with one drained and one of weight 0 the answer is %q", got)
	}
	s.Set(Setting{Pool: "later", Address: one})
	s.Set(Setting{Pool: "later", Address: two, State: pool.OverrideMaint})
	only("ready again", "one")
	want := []Setting{{Pool: "pool", Address: one, State: pool.OverrideDrain}, {Pool: "later", Address: two, State: pool.OverrideMaint}}
	if diff := cmp.Diff(want, s.Settings()); diff != "" {
		t.Errorf("settings (-want +got)\n%s", diff)
	}
	s.reload(t, oneHost("a.example.com", testPool("", two)))
	if n, err := s.Set(Setting{Pool: "later", Address: two}); n != 0 || err != nil {
		t.Errorf("taking back what was said of a pool that is no more: %d, %v", n, err)
	}
}

func TestSettingsOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	one := saying(t, "one")
	s := serve(t, oneHost("a.example.com", testPool("", one)))
	for _, c := range []struct {
		name string
		set  Setting
		want NotFoundError
	}{
		{"no such pool", Setting{Pool: "web", Address: one, State: pool.OverrideDrain}, NotFoundError{"pool", "web", []string{"pool"}}},
		{"no such backend", Setting{Pool: "pool", Address: "10.0.0.1:1", State: pool.OverrideDrain}, NotFoundError{"backend", "10.0.0.1:1", []string{one}}},
	} {
		_, err := s.Set(c.set)
		if got, ok := errors.AsType[*NotFoundError](err); !ok || !cmp.Equal(*got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	if len(s.Settings()) != 0 {
		t.Errorf("settings: %v", s.Settings())
	}
}

// Drain leaves connections alone; maint gives them drain_timeout.
func TestMaintEndsConnectionsAndDrainDoesNot(t *testing.T) {
	t.Parallel()
	p := testPool("", echo(t))
	p.DrainTimeout = 300 * time.Millisecond
	s := serve(t, oneHost("a.example.com", p))
	c := open(t, s.addr, helloA, helloA)
	backend := p.Backends[0].Text()
	s.Set(Setting{Pool: "pool", Address: backend, State: pool.OverrideDrain})
	time.Sleep(2 * p.DrainTimeout)
	mustWrite(t, c, []byte("still there"))
	mustRead(t, c, []byte("still there"))
	s.Set(Setting{Pool: "pool", Address: backend, State: pool.OverrideMaint})
	mustEnd(t, c, false)
	s.closed(t, CauseBackendRemoved, 1)
}

func TestConnectionsAreListedAndKilled(t *testing.T) {
	t.Parallel()
	cfg := oneHost("*.example.com", testPool("", echo(t)))
	cfg.Listeners[0].HelloTimeout = time.Minute // one hello never comes to its end
	s := serve(t, cfg)
	var names []string
	for _, name := range []string{"a.example.com", "b.example.com", "c.b.example.com"} {
		hello := craft(serverName(name))
		open(t, s.addr, hello, hello)
	}
	incomplete := dial(t, s.addr)
	mustWrite(t, incomplete, helloA[:20])
	eventually(t, func() bool { return s.Stats().Connections == 4 }, func() string { return "four connections" })
	all, total := s.Connections(&ConnectionFilter{}, 10)
	if total != 4 || len(all) != 4 || all[3].Stage != "hello" || all[0].BytesIn == 0 || all[0].Client == "" || all[0].AgeSeconds < 0 {
		t.Fatalf("%d connections: %+v", total, all)
	}
	backend := cfg.Pools[0].Backends[0].Text()
	for _, c := range []struct {
		name   string
		filter ConnectionFilter
		want   []string // names
	}{
		{"by name", ConnectionFilter{SNI: "B.example.com."}, []string{"b.example.com"}},
		{"by suffix", ConnectionFilter{SNI: "*.b.example.com"}, []string{"c.b.example.com"}},
		{"by id", ConnectionFilter{ID: all[0].ID}, []string{"a.example.com"}},
		{"by an id that is none", ConnectionFilter{ID: "xyz"}, nil},
		{"by an id of another server", ConnectionFilter{ID: "00000000000000000000000000000001"}, nil},
		{"by backend", ConnectionFilter{Backend: backend}, []string{"a.example.com", "b.example.com", "c.b.example.com"}},
		{"by pool, route and listener", ConnectionFilter{Pool: "pool", Route: "host", Listener: "public"}, []string{"a.example.com", "b.example.com", "c.b.example.com"}},
		{"by another pool", ConnectionFilter{Pool: "web"}, nil},
		{"by client", ConnectionFilter{Client: prefix("127.0.0.0/8"), Route: "host"}, []string{"a.example.com", "b.example.com", "c.b.example.com"}},
		{"by another client", ConnectionFilter{Client: prefix("10.0.0.0/8")}, nil},
		{"by age", ConnectionFilter{MinAge: time.Hour}, nil},
	} {
		names = nil
		found, _ := s.Connections(&c.filter, 10)
		for _, f := range found {
			names = append(names, f.SNI)
		}
		if !slices.Equal(names, c.want) {
			t.Errorf("%s: %q, want %q", c.name, names, c.want)
		}
	}
	if first, total := s.Connections(&ConnectionFilter{}, 1); len(first) != 1 || total != 4 || first[0].ID != all[0].ID {
		t.Errorf("the first of them: %v of %d", first, total)
	}
	if n := s.Kill(&ConnectionFilter{SNI: "b.example.com"}); n != 1 {
		t.Errorf("%d were killed", n)
	}
	if n := s.Kill(&ConnectionFilter{}); n != 3 {
		t.Errorf("%d were killed", n)
	}
	mustEnd(t, incomplete, false)
	s.closed(t, CauseKilled, 4)
	s.balanced(t)
}
