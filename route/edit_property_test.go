package route

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever is done to a table in whatever order, it is the table that the file would make which says the same. What is
// not taken would not be taken of a file either, and no snapshot changes once it is taken.
func TestChangedTableIsTheTableOfTheWholeSet(t *testing.T) {
	t.Parallel()
	var taken, turnedDown, aborted, morePools int
	eachRandomTable(t, 300, func(t *testing.T, rng *rand.Rand, s *Set) {
		m := &model{set: withoutConflicts(t, s)}
		table := mustTable(t, m.set)
		m.keep(table.Snapshot())
		for step := range 12 {
			pending, want, what := m.step(t, rng, table)
			if t.Failed() {
				t.Fatalf("step %d, %s", step, what)
			}
			if pending == nil {
				turnedDown++
				continue
			}
			sameTable(t, rng, pending.Snapshot(), want)
			if rng.IntN(4) == 0 {
				aborted++
				pending.Abort()
				sameTable(t, rng, table.Snapshot(), m.set)
			} else {
				taken++
				pending.Commit()
				m.set = want
				m.keep(table.Snapshot())
				if len(want.Pools) > len(s.Pools) {
					morePools++
				}
				sameTable(t, rng, table.Snapshot(), want)
			}
			if t.Failed() {
				t.Fatalf("step %d, %s", step, what)
			}
		}
		for i, snap := range m.snapshots {
			sameTable(t, rng, snap, m.sets[i])
		}
	})
	t.Logf("%d changes taken, %d refused, %d aborted", taken, turnedDown, aborted)
	if taken == 0 || turnedDown == 0 || aborted == 0 || morePools == 0 {
		t.Error("not every outcome was met: the test shows too little")
	}
}

// model is what a table is to be, as the sets that files would have.
type model struct {
	set       *Set
	snapshots []*Snapshot // with the set of each
	sets      []*Set
	named     int
}

func (m *model) keep(s *Snapshot) {
	m.snapshots, m.sets = append(m.snapshots, s), append(m.sets, m.set)
}

// step prepares one change and returns it with what is to come out, or nil if it is refused as it should be.
func (m *model) step(t *testing.T, rng *rand.Rand, table *Table) (p *Pending, want *Set, what string) {
	before := table.Snapshot()
	switch rng.IntN(6) {
	case 0:
		i := rng.IntN(len(m.sets))
		return table.PrepareSnapshot(m.snapshots[i]), m.sets[i], fmt.Sprintf("back to snapshot %d", i)
	case 1:
		want = withoutConflicts(t, m.shuffled(rng))
		p, err := table.Prepare(want)
		if err != nil {
			t.Error(err)
		}
		checkChanges(t, m.set, want, p)
		return p, want, fmt.Sprintf("prepared %+v", want)
	default:
		e := m.randomEdit(rng)
		what = fmt.Sprintf("edit %+v", e)
		want, sound := m.edited(e)
		conflicts := Check(want)
		p, err := table.PrepareEdit(e)
		if (err == nil) != (sound && conflicts == nil) {
			t.Errorf("refused with %v; sound %v, and a file would get %v", err, sound, conflicts)
		}
		if err == nil {
			checkChanges(t, m.set, want, p)
			return p, want, what
		}
		checkConflicts(t, e, err)
		if table.Snapshot() != before {
			t.Error("a refused edit changed the table")
		}
		return nil, nil, what
	}
}

// randomEdit names what is there more often than what is not.
func (m *model) randomEdit(rng *rand.Rand) *Edit {
	e := &Edit{}
	for _, r := range randomSet(rng, rng.IntN(4)).Routes {
		m.named++
		r.Name = fmt.Sprintf("new%d", m.named)
		if n := len(m.set.Routes); n > 0 && rng.IntN(3) > 0 {
			old := m.set.Routes[rng.IntN(n)]
			r.Name = old.Name
			switch rng.IntN(4) {
			case 0:
				r = old
			case 1:
				r.Hosts = old.Hosts
			case 2:
				old.Action = r.Action
				r = old
			}
		}
		e.PutRoutes = append(e.PutRoutes, r)
	}
	for range max(0, rng.IntN(4)-1) {
		name := "nobody"
		if n := len(m.set.Routes); n > 0 && rng.IntN(8) > 0 {
			name = m.set.Routes[rng.IntN(n)].Name
		}
		e.DeleteRoutes = append(e.DeleteRoutes, name)
	}
	somePools := []string{"p0", "p3", "q0", "q1", "legacy"}
	if rng.IntN(3) == 0 {
		e.PutPools = append(e.PutPools, oneOf(rng, somePools))
	}
	if rng.IntN(4) == 0 {
		e.DeletePools = append(e.DeletePools, oneOf(rng, somePools))
	}
	return e
}

// edited is the set that e makes of m.set, and whether e makes sense by itself. It is meant to be evident, not fast.
func (m *model) edited(e *Edit) (want *Set, sound bool) {
	sound = true
	want = &Set{Listeners: m.set.Listeners, Pools: slices.Clone(m.set.Pools), Routes: slices.Clone(m.set.Routes)}
	seen := map[string]bool{}
	once := func(name string) {
		sound = sound && !seen[name]
		seen[name] = true
	}
	for _, r := range e.PutRoutes {
		once("route " + r.Name)
		if i := slices.IndexFunc(want.Routes, func(o Route) bool { return o.Name == r.Name }); i >= 0 {
			want.Routes[i] = r
		} else {
			want.Routes = append(want.Routes, r)
		}
	}
	for _, name := range e.DeleteRoutes {
		once("route " + name)
		i := slices.IndexFunc(want.Routes, func(o Route) bool { return o.Name == name })
		if i < 0 {
			sound = false
			continue
		}
		want.Routes = slices.Delete(want.Routes, i, i+1)
	}
	for _, name := range e.PutPools {
		once("pool " + name)
		if !slices.Contains(want.Pools, name) {
			want.Pools = append(want.Pools, name)
		}
	}
	for _, name := range e.DeletePools {
		once("pool " + name)
		i := slices.Index(want.Pools, name)
		if i < 0 {
			sound = false
			continue
		}
		want.Pools = slices.Delete(want.Pools, i, i+1)
	}
	return want, sound
}

// shuffled is another set that has much of m.set.
func (m *model) shuffled(rng *rand.Rand) *Set {
	next := randomSet(rng, rng.IntN(4))
	for i := range next.Routes {
		m.named++
		next.Routes[i].Name = fmt.Sprintf("new%d", m.named)
	}
	for _, r := range m.set.Routes {
		switch rng.IntN(8) {
		case 0:
			continue
		case 1:
			r.Action = randomAction(rng)
			r.Terminate = nil
		}
		next.Routes = append(next.Routes, r)
	}
	if rng.IntN(2) == 0 {
		next.Listeners[0].UnknownSNI = randomAction(rng)
		slices.Reverse(next.Pools)
	}
	for range rng.IntN(3) {
		rng.Shuffle(min(3, len(next.Routes)), func(i, j int) { next.Routes[i], next.Routes[j] = next.Routes[j], next.Routes[i] })
	}
	return next
}

// checkChanges compares what p says of itself with the two sets.
func checkChanges(t *testing.T, before, after *Set, p *Pending) {
	t.Helper()
	var want Changes
	var stayedBefore, stayedAfter []string
	for _, r := range after.Routes {
		i := slices.IndexFunc(before.Routes, func(o Route) bool { return o.Name == r.Name })
		if i < 0 {
			want.Added = append(want.Added, r.Name)
			continue
		}
		stayedAfter = append(stayedAfter, r.Name)
		if fmt.Sprintf("%v", before.Routes[i]) != fmt.Sprintf("%v", r) {
			want.Changed = append(want.Changed, r.Name)
		}
	}
	for _, r := range before.Routes {
		if slices.ContainsFunc(after.Routes, func(o Route) bool { return o.Name == r.Name }) {
			stayedBefore = append(stayedBefore, r.Name)
		} else {
			want.Removed = append(want.Removed, r.Name)
		}
	}
	want.Reordered = !slices.Equal(stayedBefore, stayedAfter)
	if diff := cmp.Diff(want, p.Changes()); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// checkConflicts checks that everything err says can be found in e.
func checkConflicts(t *testing.T, e *Edit, err error) {
	t.Helper()
	var list interface{ Unwrap() []error }
	if !errors.As(err, &list) {
		t.Fatalf("%v joins nothing", err)
	}
	for _, err := range list.Unwrap() {
		c, ok := err.(Conflict)
		lists := map[string]int{"delete_routes": len(e.DeleteRoutes), "delete_pools": len(e.DeletePools), "pools": len(e.PutPools)}
		switch n, inList := lists[c.Field]; {
		case !ok || c.Msg == "" || c.Listener != -1:
			t.Errorf("%#v", err)
		case inList && (c.Route != -1 || c.Item >= n):
			t.Errorf("points nowhere in the edit: %+v", c)
		case c.Route >= len(e.PutRoutes) || !inList && c.Other >= len(e.PutRoutes):
			t.Errorf("points nowhere in the edit: %+v", c)
		case c.Route >= 0 && c.Host >= 0 && !strings.Contains(c.Msg, printable(e.PutRoutes[c.Route].Hosts[c.Host])):
			t.Errorf("%+v does not name its host", c)
		case c.Route >= 0 && c.Other >= 0 && !strings.Contains(c.Msg, e.PutRoutes[c.Other].Name):
			t.Errorf("%+v does not name the other route", c)
		}
	}
}

// sameTable compares a snapshot with a table that is built from s alone: by all that can be asked of both.
func sameTable(t *testing.T, rng *rand.Rand, got *Snapshot, s *Set) {
	t.Helper()
	want := mustTable(t, s).Snapshot()
	if diff := cmp.Diff(contentOf(want), contentOf(got)); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
	if got.Len() != len(s.Routes) {
		t.Errorf("Len: got %d, want %d", got.Len(), len(s.Routes))
	}
	last := -1
	for _, r := range got.Routes() {
		if r.Index <= last || got.Route(r.Name) != r || r.Index >= got.nextRoute {
			t.Errorf("route %q has index %d after %d, below %d; by name it is %p, want %p", r.Name, r.Index, last, got.nextRoute, got.Route(r.Name), r)
		}
		last = r.Index
	}
	for row := range rows[hostRow](got.txn, tableHosts) {
		for _, c := range row.candidates {
			if got.Route(c.route.Name) != c.route {
				t.Errorf("a candidate of %q is a route %q that is not in the table", row.key, c.route.Name)
			}
		}
	}
	for range 25 {
		q := randomQuery(rng).query(t, rng.Uint64())
		if rng.IntN(10) == 0 {
			q.Name = Name{}
		}
		if diff := cmp.Diff(answersOf(want, q), answersOf(got, q)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", q, diff)
		}
	}
}

// contentOf is everything in a snapshot, in the order in which it is tried, without numbers that may differ.
func contentOf(s *Snapshot) (lines []string) {
	candidates := func(list []candidate) (out []string) {
		for _, c := range list {
			out = append(out, fmt.Sprintf("%s of %s", c.route.Hosts[c.host], c.route.Name))
		}
		return out
	}
	for row := range rows[hostRow](s.txn, tableHosts) {
		lines = append(lines, fmt.Sprintf("host %q: %q", row.key, candidates(row.candidates)))
	}
	for _, row := range s.expressions {
		lines = append(lines, fmt.Sprintf("expression %q: %q", row.expr.canonical, candidates(row.candidates)))
	}
	for _, r := range s.Routes() {
		plain := *r
		plain.Index = 0
		lines = append(lines, fmt.Sprintf("route %v", plain))
	}
	for l := range rows[Listener](s.txn, tableListeners) {
		lines = append(lines, fmt.Sprintf("listener %v", *l))
	}
	return append(lines, fmt.Sprintf("pools %q", s.Pools()))
}

func answersOf(s *Snapshot, q *Query) []string {
	d := s.Match(q)
	name := ""
	if d.Route != nil {
		name = d.Route.Name
	}
	return []string{d.Verdict.String(), name, d.Pool, d.Reject.String(), s.Explain(q).String()}
}
