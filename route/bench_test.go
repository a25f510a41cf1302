package route

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

var benchSizes = []int{10, 1_000, 100_000}

// benchSet has n names: half of them exact, half "*." suffixes, spread over domains as a hoster's are.
func benchSet(n int) *Set {
	s := &Set{
		Listeners: []Listener{{Name: "public", UnknownSNI: Action{Reject: RejectAlert}}},
		Pools:     []string{"web"},
		Routes:    make([]Route, n),
	}
	for i := range n {
		host := fmt.Sprintf("www.customer-%d.example.com", i/2)
		if i%2 == 1 {
			host = fmt.Sprintf("*.customer-%d.example.com", i/2)
		}
		s.Routes[i] = Route{
			Name:   fmt.Sprintf("route-%d", i),
			Hosts:  []string{host},
			Action: Action{Targets: []Target{{Pool: "web", Weight: 1}}},
		}
	}
	return s
}

func mustTable(tb testing.TB, s *Set) *Table {
	tb.Helper()
	t, err := NewTable(s)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func mustName(tb testing.TB, s string) Name {
	tb.Helper()
	n, err := ParseName(s)
	if err != nil {
		tb.Fatalf("ParseName(%q): %v", s, err)
	}
	return n
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range benchSizes {
		snap := mustTable(b, benchSet(n)).Snapshot()
		last := n/2 - 1
		for kind, host := range map[string]string{
			"exact":    fmt.Sprintf("www.customer-%d.example.com", last),
			"wildcard": fmt.Sprintf("a.b.customer-%d.example.com", last),
			"miss":     "www.customer.example.org",
		} {
			b.Run(fmt.Sprintf("%s/names=%d", kind, n), func(b *testing.B) {
				q := Query{Name: mustName(b, host), Listener: "public"}
				b.ReportAllocs()
				for b.Loop() {
					snap.Match(&q)
				}
			})
		}
	}
}

// The worst a client can do to expressions: the longest name, and none of them fails early.
func BenchmarkMatchExpressions(b *testing.B) {
	for _, n := range []int{1, 1_000} {
		snap := mustTable(b, expressionSet(n)).Snapshot()
		b.Run(fmt.Sprintf("expressions=%d", n), func(b *testing.B) {
			q := Query{Name: mustName(b, longestName), Listener: "public"}
			b.ReportAllocs()
			for b.Loop() {
				snap.Match(&q)
			}
		})
	}
}

// What an automaton saves against package regexp, for one expression and the longest name.
func BenchmarkExpression(b *testing.B) {
	source := `^([a-z0-9-]+\.)*db-?7\.[a-z]+$`
	expr, err := compileExpression(source)
	if err != nil {
		b.Fatal(err)
	}
	name, re := mustName(b, longestName), regexp.MustCompile("(?i)"+source)
	b.Run("automaton", func(b *testing.B) {
		for b.Loop() {
			expr.match(name)
		}
	})
	b.Run("regexp", func(b *testing.B) {
		for b.Loop() {
			re.MatchString(name.s)
		}
	})
}

// longestName has 253 bytes.
var longestName = strings.Repeat("abcdefghijklmnopqrstuvwxyz-0123456789-abcdefghijklmnopqrstuvwxy.", 4)[:253]

// expressionSet has n expressions that all read longestName to its end and refuse it there.
func expressionSet(n int) *Set {
	s := &Set{Listeners: []Listener{{Name: "public"}}, Pools: []string{"db"}}
	for i := range n {
		s.Routes = append(s.Routes, Route{
			Name:   fmt.Sprintf("db-%d", i),
			Hosts:  []string{fmt.Sprintf(`~^([a-z0-9-]+\.)*db-?%d\.[a-z]+$`, i)},
			Action: Action{Targets: []Target{{Pool: "db", Weight: 1}}},
		})
	}
	return s
}

// Every route changes.
func BenchmarkReplace(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("names=%d", n), func(b *testing.B) {
			sets := [2]*Set{benchSet(n), benchSet(n)}
			for i := range sets[1].Routes {
				sets[1].Routes[i].Action = Action{Reject: RejectAlert}
			}
			table := mustTable(b, sets[0])
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				i++
				if err := table.Replace(sets[i%2]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// One of n routes changes: by the whole file again, by an edit, by one that deletes a pool too, and back to the snapshot
// before.
func BenchmarkOneChange(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("how=replace/names=%d", n), func(b *testing.B) {
			benchChanges(b, n, func(table *Table, s *Set, i int) (*Pending, error) { return table.Prepare(s) })
		})
		b.Run(fmt.Sprintf("how=edit/names=%d", n), func(b *testing.B) {
			benchChanges(b, n, func(table *Table, s *Set, i int) (*Pending, error) {
				return table.PrepareEdit(&Edit{PutRoutes: s.Routes[i : i+1]})
			})
		})
		b.Run(fmt.Sprintf("how=edit+pool/names=%d", n), func(b *testing.B) {
			i := 0
			benchChanges(b, n, func(table *Table, s *Set, at int) (*Pending, error) {
				i++
				return table.PrepareEdit(&Edit{
					PutRoutes:   s.Routes[at : at+1],
					PutPools:    []string{fmt.Sprint("unused-", i%2)},
					DeletePools: []string{fmt.Sprint("unused-", (i+1)%2)},
				})
			})
		})
		b.Run(fmt.Sprintf("how=snapshot/names=%d", n), func(b *testing.B) {
			s := benchSet(n)
			table := mustTable(b, s)
			snapshots := [2]*Snapshot{table.Snapshot()}
			s.Routes[n/2].Action = Action{Reject: RejectAlert}
			if err := table.Replace(s); err != nil {
				b.Fatal(err)
			}
			snapshots[1] = table.Snapshot()
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				table.PrepareSnapshot(snapshots[i%2]).Commit()
				i++
			}
		})
	}
}

// benchChanges lets one route alternate between two pools.
func benchChanges(b *testing.B, n int, prepare func(*Table, *Set, int) (*Pending, error)) {
	s := benchSet(n)
	s.Pools = []string{"web", "db", "unused-0"}
	table := mustTable(b, s)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		s.Routes[n/2].Action = Action{Targets: []Target{{Pool: s.Pools[i%2], Weight: 1}}}
		p, err := prepare(table, s, n/2)
		if err != nil {
			b.Fatal(err)
		}
		p.Commit()
		if len(p.Changes().Changed) != 1 {
			b.Fatalf("%+v", p.Changes())
		}
	}
}

// What a snapshot costs that is kept while the table goes on: each of these differs from the one before by one route.
func BenchmarkKeptSnapshot(b *testing.B) {
	for how, prepare := range map[string]func(*Table, *Set, int) (*Pending, error){
		"edit": func(table *Table, s *Set, i int) (*Pending, error) {
			return table.PrepareEdit(&Edit{PutRoutes: s.Routes[i : i+1]})
		},
		"replace": func(table *Table, s *Set, i int) (*Pending, error) { return table.Prepare(s) },
	} {
		b.Run(fmt.Sprintf("how=%s/names=%d", how, 100_000), func(b *testing.B) {
			s := benchSet(100_000)
			s.Pools = []string{"web", "db"}
			empty := heapInUse()
			table := mustTable(b, s)
			start := heapInUse()
			var kept []*Snapshot
			for b.Loop() {
				i, lap := 17*len(kept)%len(s.Routes), len(kept)/len(s.Routes) // all of them once in a lap
				s.Routes[i].Action = Action{Targets: []Target{{Pool: s.Pools[(lap+1)%2], Weight: 1}}}
				p, err := prepare(table, s, i)
				if err != nil {
					b.Fatal(err)
				}
				p.Commit()
				kept = append(kept, table.Snapshot())
			}
			b.ReportMetric(float64(heapInUse()-start)/float64(len(kept)), "B/snapshot")
			b.ReportMetric(float64(start-empty), "B/table")
			runtime.KeepAlive(s)
			runtime.KeepAlive(kept)
		})
	}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// One edit beside as many expressions as there may be.
func BenchmarkEditBesideExpressions(b *testing.B) {
	s := expressionSet(maxExpressions - 1)
	s.Pools = append(s.Pools, "web")
	table := mustTable(b, s)
	for kind, host := range map[string]string{"exact": "www.example.com", "suffix": "*.example.com", "expression": "~^www$"} {
		b.Run("host="+kind, func(b *testing.B) {
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				i++
				r := Route{Name: "one", Hosts: []string{host}, Action: Action{Targets: []Target{{Pool: s.Pools[i%2], Weight: 1}}}}
				p, err := table.PrepareEdit(&Edit{PutRoutes: []Route{r}})
				if err != nil {
					b.Fatal(err)
				}
				p.Commit()
			}
		})
	}
}

func BenchmarkNewTable(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("names=%d", n), func(b *testing.B) {
			s := benchSet(n)
			b.ReportAllocs()
			for b.Loop() {
				mustTable(b, s)
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("names=%d", n), func(b *testing.B) {
			s := benchSet(n)
			for b.Loop() {
				if c := Check(s); c != nil {
					b.Fatal(c[0])
				}
			}
		})
	}
}

func BenchmarkParseName(b *testing.B) {
	raw := []byte("www.customer-4711.example.com")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseName(raw); err != nil {
			b.Fatal(err)
		}
	}
}
