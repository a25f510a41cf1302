package route

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tenants is a table of n routes with a host each, one expression, and two pools.
func tenants(n int) *Set {
	s := benchSet(n)
	s.Pools = append(s.Pools, "db")
	s.Routes[n/2].Hosts = append(s.Routes[n/2].Hosts, `~^db-[0-9]+\.example\.net$`)
	return s
}

func TestOnlyWhatChangedIsWritten(t *testing.T) {
	t.Parallel()
	insert := func(s *Set, at int, name string) {
		r := Route{Name: name, Hosts: []string{name + ".org"}, Action: toPool("web")}
		s.Routes = slices.Insert(s.Routes, at, r)
	}
	for _, tt := range []struct {
		what    string
		first   func(*Set) // done before, in a reload of its own; may be nil
		change  func(*Set)
		written int
		want    Changes
	}{
		{"nothing", nil, func(*Set) {}, 0, Changes{}},
		{"one route gets another pool: it and its host", nil,
			func(s *Set) { s.Routes[7].Action = toPool("db") }, 2, Changes{Changed: []string{"route-7"}}},
		{"one route gets another host: that is one more to write and one to delete", nil,
			func(s *Set) { s.Routes[7].Hosts = []string{"new.org"} }, 3, Changes{Changed: []string{"route-7"}}},
		{"one route with two hosts, one of them an expression", nil,
			func(s *Set) { s.Routes[500].Action = toPool("db") }, 3, Changes{Changed: []string{"route-500"}}},
		{"the first route goes, and nothing is numbered anew", nil,
			func(s *Set) { s.Routes = s.Routes[1:] }, 2, Changes{Removed: []string{"route-0"}}},
		{"a route comes last", nil,
			func(s *Set) { insert(s, 1000, "last") }, 2, Changes{Added: []string{"last"}}},
		{"the first route becomes the last", nil,
			func(s *Set) { s.Routes = append(s.Routes[1:], s.Routes[0]) }, 2, Changes{Reordered: true}},
		{"a route comes where one has gone", func(s *Set) { s.Routes = slices.Delete(s.Routes, 300, 301) },
			func(s *Set) { insert(s, 300, "between") }, 2, Changes{Added: []string{"between"}}},
		{"a route comes where others came before", func(s *Set) { insert(s, 300, "before") },
			func(s *Set) { insert(s, 300, "between") }, 2, Changes{Added: []string{"between"}}},
		{"a pool comes last", nil, func(s *Set) { s.Pools = append(s.Pools, "last") }, 1, Changes{}},
		{"a listener changes", nil, func(s *Set) { s.Listeners[0].NoSNI = toPool("web") }, 1, Changes{}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			s := tenants(1000)
			table := mustTable(t, s)
			if tt.first != nil {
				tt.first(s)
				if err := table.Replace(s); err != nil {
					t.Fatal(err)
				}
			}
			tt.change(s)
			before := table.Snapshot()
			p, err := table.Prepare(s)
			if err != nil {
				t.Fatal(err)
			}
			p.Commit()
			if p.written != tt.written {
				t.Errorf("wrote %d rows, want %d", p.written, tt.written)
			}
			if diff := cmp.Diff(tt.want, p.Changes()); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if same := before == table.Snapshot(); same != (tt.written == 0) {
				t.Errorf("the snapshot is the same: %v", same)
			}
			for _, r := range before.Routes() {
				if now := table.Snapshot().Route(r.Name); now != nil && now != r && r.equal(now) && !tt.want.Reordered {
					t.Errorf("route %q has not changed and is another object", r.Name)
				}
			}
			checkShared(t, before, table.Snapshot(), tt.written)
		})
	}
}

// checkShared counts the rows of after that are not objects of before.
func checkShared(t *testing.T, before, after *Snapshot, atMost int) {
	t.Helper()
	fresh := 0
	for table := range schema.Tables {
		old := map[any]bool{}
		for it := objects(before.txn, table); ; {
			row := it.Next()
			if row == nil {
				break
			}
			old[row] = true
		}
		for it := objects(after.txn, table); ; {
			row := it.Next()
			if row == nil {
				break
			}
			if !old[row] {
				fresh++
			}
		}
	}
	if fresh > atMost {
		t.Errorf("%d rows are other objects, want at most %d", fresh, atMost)
	}
}

// certificate says itself what is the same.
type certificate struct {
	print string
	use   *int // not compared
}

func (c *certificate) Equal(other any) bool {
	o, ok := other.(*certificate)
	return ok && o.print == c.print
}

func TestTerminateIsComparedByWhatItSays(t *testing.T) {
	t.Parallel()
	type plain struct{ Names []string }
	one, two := 1, 2
	shared := &plain{Names: []string{"a"}}
	for _, tt := range []struct {
		what string
		a, b any
		want bool
	}{
		{"neither", nil, nil, true},
		{"one only", nil, shared, false},
		{"the other only", shared, nil, false},
		{"the same pointer", shared, shared, true},
		{"another pointer to the same", shared, &plain{Names: []string{"a"}}, true},
		{"another pointer to something else", shared, &plain{Names: []string{"b"}}, false},
		{"values that Go cannot compare", plain{Names: []string{"a"}}, plain{Names: []string{"a"}}, true},
		{"values of different types", "a", 1, false},
		{"Equal says yes", &certificate{"a", &one}, &certificate{"a", &two}, true},
		{"Equal says no", &certificate{"a", &one}, &certificate{"b", &one}, false},
		{"Equal and nothing", &certificate{"a", &one}, nil, false},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			a, b := generation(1), generation(1)
			a.Routes[0].Terminate, b.Routes[0].Terminate = tt.a, tt.b
			table := mustTable(t, a)
			before := table.Snapshot().Route("r0")
			if err := table.Replace(b); err != nil {
				t.Fatal(err)
			}
			if got := table.Snapshot().Route("r0") == before; got != tt.want {
				t.Errorf("the route is the same object: %v, want %v", got, tt.want)
			}
		})
	}
}

// prepareEach are the ways to get from generation(1) to the pool p2, of which earlier is a snapshot.
func prepareEach(t *testing.T) map[string]func(table *Table, earlier *Snapshot) *Pending {
	must := func(p *Pending, err error) *Pending {
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	return map[string]func(*Table, *Snapshot) *Pending{
		"a set": func(table *Table, _ *Snapshot) *Pending { return must(table.Prepare(generation(2))) },
		"an edit": func(table *Table, _ *Snapshot) *Pending {
			return must(table.PrepareEdit(&Edit{PutRoutes: generation(2).Routes, PutPools: []string{"p2"}}))
		},
		"a snapshot": func(table *Table, earlier *Snapshot) *Pending { return table.PrepareSnapshot(earlier) },
	}
}

func TestPendingEndsOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what string
		end  func(*Pending)
		want string
	}{
		{"commit", func(p *Pending) { p.Commit() }, "p2"},
		{"abort", func(p *Pending) { p.Abort() }, "p1"},
		{"commit twice", func(p *Pending) { p.Commit(); p.Commit() }, "p2"},
		{"abort twice", func(p *Pending) { p.Abort(); p.Abort() }, "p1"},
		{"commit, then abort", func(p *Pending) { p.Commit(); p.Abort() }, "p2"},
		{"abort, then commit", func(p *Pending) { p.Abort(); p.Commit() }, "p1"},
	} {
		for by, prepare := range prepareEach(t) {
			t.Run(tt.what+" "+by, func(t *testing.T) {
				t.Parallel()
				table := mustTable(t, generation(2))
				earlier := table.Snapshot()
				if err := table.Replace(generation(1)); err != nil {
					t.Fatal(err)
				}
				before, q := table.Snapshot(), &Query{Name: mustName(t, "a.com")}
				p := prepare(table, earlier)
				if table.Snapshot() != before {
					t.Error("the table has changed before the end")
				}
				if got := p.Snapshot().Match(q).Pool; got != "p2" {
					t.Errorf("pending: got pool %s, want p2", got)
				}
				tt.end(p)
				if got := table.Snapshot().Match(q).Pool; got != tt.want {
					t.Errorf("after the end: got pool %s, want %s", got, tt.want)
				}
				if is := table.Snapshot() == p.Snapshot(); is != (tt.want == "p2") {
					t.Errorf("the table has the pending snapshot: %v", is)
				}
				if old, new := before.Match(q).Pool, p.Snapshot().Match(q).Pool; old != "p1" || new != "p2" {
					t.Errorf("snapshots say %s and %s after the end, want p1 and p2", old, new)
				}
				if err := table.Replace(generation(3)); err != nil { // nothing is left behind: not a lock, not a row
					t.Fatal(err)
				}
				sameTable(t, rand.New(rand.NewPCG(1, 1)), table.Snapshot(), generation(3))
			})
		}
	}
}

// An edit that only makes sense after the change before it: it is refused unless it waits.
func TestChangesWaitForEachOther(t *testing.T) {
	t.Parallel()
	table := mustTable(t, generation(1))
	first, err := table.PrepareEdit(&Edit{PutRoutes: []Route{{Name: "x", Hosts: []string{"x.org"}, Action: toPool("p1")}}})
	if err != nil {
		t.Fatal(err)
	}
	started, second := make(chan struct{}), make(chan error)
	go func() {
		close(started)
		p, err := table.PrepareEdit(&Edit{DeleteRoutes: []string{"x"}})
		if err == nil {
			p.Commit()
		}
		second <- err
	}()
	<-started
	first.Commit()
	if err := <-second; err != nil {
		t.Errorf("the second did not wait for the first: %v", err)
	}
	if table.Snapshot().Route("x") != nil {
		t.Error("the second change was lost")
	}
}

// Readers beside all kinds of changes never see what was aborted, and never two generations in one snapshot.
func TestPendingBesideReaders(t *testing.T) {
	t.Parallel()
	const changes = 150
	table := mustTable(t, generation(0))
	stop := make(chan struct{})
	var done sync.WaitGroup
	for range 3 {
		done.Go(func() { watchGenerations(t, table, stop) })
	}
	rng := rand.New(rand.NewPCG(3, 3))
	first := table.Snapshot()
	for n := range changes {
		p := prepareGeneration(t, table, rng, first, n+1)
		if p == nil {
			break
		}
		watchGeneration(t, p.Snapshot())
		if rng.IntN(3) == 0 {
			p.Abort()
		} else {
			p.Commit()
		}
	}
	close(stop)
	done.Wait()
	if got := first.Pools()[0]; got != "p0" {
		t.Errorf("the first snapshot has pool %s, want p0", got)
	}
}

// prepareGeneration prepares generation n, as a set or as an edit, or goes back to the first.
func prepareGeneration(t *testing.T, table *Table, rng *rand.Rand, first *Snapshot, n int) *Pending {
	if rng.IntN(5) == 0 {
		return table.PrepareSnapshot(first)
	}
	if rng.IntN(2) == 0 {
		p, err := table.Prepare(generation(n))
		if err != nil {
			t.Error(err)
		}
		return p
	}
	pool := fmt.Sprintf("p%d", n)
	p, err := table.PrepareEdit(&Edit{PutRoutes: generation(n).Routes, PutPools: []string{pool}})
	if err != nil {
		t.Error(err)
	}
	return p
}

func watchGenerations(t *testing.T, table *Table, stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
			watchGeneration(t, table.Snapshot())
		}
	}
}

// watchGeneration checks that all routes of a snapshot are of one generation.
func watchGeneration(t *testing.T, snap *Snapshot) {
	want := snap.Route("r0").Action.Targets[0].Pool
	for _, r := range snap.Routes() {
		if got := r.Action.Targets[0].Pool; got != want {
			t.Errorf("route %q has pool %s, r0 has %s", r.Name, got, want)
		}
	}
	for _, host := range []string{"a.com", "b.a.com", "x.net", "b.com"} {
		q := &Query{Name: Name{host}, Listener: "public"}
		if d, e := snap.Match(q), snap.Explain(q); d.Pool != want || e.Decision != d {
			t.Errorf("%s: Match %+v, Explain %+v, r0 has pool %s", host, d, e.Decision, want)
		}
	}
}

// panicky cannot be compared.
type panicky struct{}

func (panicky) Equal(any) bool { panic("not today") }

// Somebody above may recover from a panic, as net/http does; changes go on after that.
func TestPanicLeavesNoLock(t *testing.T) {
	t.Parallel()
	s := generation(1)
	s.Routes[0].Terminate = panicky{}
	table := mustTable(t, s)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic: the test shows nothing")
			}
		}()
		_, _ = table.PrepareEdit(&Edit{PutRoutes: s.Routes[:1]})
	}()
	p, err := table.PrepareEdit(&Edit{DeleteRoutes: []string{"r0"}})
	if err != nil {
		t.Fatal(err)
	}
	p.Commit()
}
