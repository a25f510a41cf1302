package route

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// generation is a table of which every part names the same generation.
func generation(n int) *Set {
	pool := fmt.Sprintf("p%d", n)
	s := &Set{Listeners: []Listener{{Name: "public", UnknownSNI: toPool(pool), NoSNI: toPool(pool)}}, Pools: []string{pool}}
	for i, host := range []string{"a.com", "*.a.com", `~^x\.[a-z]+$`, "*.com", fmt.Sprintf("only-%d.org", n)} {
		s.Routes = append(s.Routes, Route{Name: fmt.Sprintf("r%d", i), Hosts: []string{host}, Action: toPool(pool)})
	}
	return s
}

func TestSnapshotStaysAsItIs(t *testing.T) {
	t.Parallel()
	table := mustTable(t, generation(1))
	old := table.Snapshot()
	if err := table.Replace(generation(2)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.com", "x.a.com", "x.net", "b.com", "nowhere.org", ""} {
		q := Query{Listener: "public"}
		if name != "" {
			q.Name = mustName(t, name)
		}
		if got := old.Match(&q).Pool; got != "p1" {
			t.Errorf("%q: the old snapshot says %s, want p1", name, got)
		}
		if got := table.Snapshot().Match(&q).Pool; got != "p2" {
			t.Errorf("%q: the new snapshot says %s, want p2", name, got)
		}
	}
	q := Query{Name: mustName(t, "only-1.org"), Listener: "public"}
	if d := table.Snapshot().Match(&q); d.Verdict != VerdictUnknownSNI {
		t.Errorf("a route that is gone still matches: %+v", d)
	}
	if diff := cmp.Diff([]string{"p1"}, old.Pools()); diff != "" {
		t.Errorf("pools of the old snapshot (-want +got):\n%s", diff)
	}
}

// R2, as far as the table goes: a set with a mistake changes nothing.
func TestRefusedReplaceChangesNothing(t *testing.T) {
	t.Parallel()
	table := mustTable(t, generation(1))
	before := table.Snapshot()
	bad := generation(2)
	bad.Routes[4].Action = toPool("nowhere")
	if err := table.Replace(bad); err == nil {
		t.Fatal("a bad set was taken")
	}
	if table.Snapshot() != before {
		t.Error("a refused set changed the table")
	}
}

func TestTableKeepsNothingOfTheSet(t *testing.T) {
	t.Parallel()
	s := contractRoutes()
	table := mustTable(t, s)
	for i := range s.Routes {
		r := &s.Routes[i]
		clear(r.Hosts)
		clear(r.ALPN)
		clear(r.Clients)
		clear(r.Listeners)
		clear(r.Action.Targets)
		r.Name = "changed"
	}
	for i := range s.Listeners {
		clear(s.Listeners[i].NoSNI.Targets)
	}
	clear(s.Pools)

	want := contractRoutes()
	snap := table.Snapshot()
	if diff := cmp.Diff(want.Pools, snap.Pools()); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
	for i, got := range snap.Routes() {
		want.Routes[i].Index = i
		if diff := cmp.Diff(want.Routes[i], *got, cmp.Comparer(func(a, b fmt.Stringer) bool { return a.String() == b.String() })); diff != "" {
			t.Errorf("route %d (-want +got):\n%s", i, diff)
		}
	}
	if d := snap.Match(&Query{Listener: "public"}); d.Pool != "legacy" {
		t.Errorf("no_sni: got %+v, want pool legacy", d)
	}
}

// More rows than a byte counts: file order is the order of numbers.
func TestLongTablesKeepFileOrder(t *testing.T) {
	t.Parallel()
	const n = 600
	s := &Set{Pools: []string{"web"}}
	for i := range n {
		host := fmt.Sprintf(`~^(?:x|n%d)$`, i)
		s.Routes = append(s.Routes, Route{Name: fmt.Sprint(i), Hosts: []string{host}, Action: toPool("web")})
	}
	snap := mustTable(t, s).Snapshot()
	for i, r := range snap.Routes() {
		if r.Index != i || r.Name != fmt.Sprint(i) {
			t.Fatalf("route %q with index %d is at %d", r.Name, r.Index, i)
		}
	}
	for name, want := range map[string]string{"x": "0", "n255": "255", "n256": "256", "n599": "599"} {
		if d := snap.Match(&Query{Name: mustName(t, name)}); d.Route == nil || d.Route.Name != want {
			t.Errorf("%s: got %+v, want route %s", name, d, want)
		}
	}
	s.Routes = append(s.Routes[300:], s.Routes[:300]...)
	snap = mustTable(t, s).Snapshot()
	if d := snap.Match(&Query{Name: mustName(t, "x")}); d.Route == nil || d.Route.Name != "300" {
		t.Errorf("x: got %+v, want the first route of the file", d)
	}
}

func TestEmptyTable(t *testing.T) {
	t.Parallel()
	snap := mustTable(t, &Set{}).Snapshot()
	d := snap.Match(&Query{Name: mustName(t, "a.com")})
	if want := (Decision{Verdict: VerdictUnknownSNI, Reject: RejectAlert}); d != want {
		t.Errorf("got %+v, want %+v", d, want)
	}
}

// Every snapshot is of one generation, and a reader never sees generations go backwards.
func TestReplaceBesideReaders(t *testing.T) {
	t.Parallel()
	const generations = 200
	table := mustTable(t, generation(0))
	names := []Name{mustName(t, "a.com"), mustName(t, "b.a.com"), mustName(t, "x.net"), mustName(t, "b.com"), mustName(t, "nowhere.org")}
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			for last := 0; last < generations; {
				snap := table.Snapshot()
				var now int
				if _, err := fmt.Sscanf(snap.Pools()[0], "p%d", &now); err != nil || now < last {
					t.Errorf("pool %q after generation %d: %v", snap.Pools()[0], last, err)
					return
				}
				for _, name := range names {
					q := Query{Name: name, Listener: "public"}
					if d, e := snap.Match(&q), snap.Explain(&q); d.Pool != snap.Pools()[0] || e.Decision != d {
						t.Errorf("generation %d: Match %+v, Explain %+v", now, d, e.Decision)
						return
					}
				}
				last = now
			}
		})
	}
	for n := range generations {
		if err := table.Replace(generation(n + 1)); err != nil {
			t.Error(err)
		}
	}
	done.Wait()
}
