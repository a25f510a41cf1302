package route

import (
	"fmt"
	"regexp"
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

func BenchmarkReplace(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("names=%d", n), func(b *testing.B) {
			s := benchSet(n)
			table := mustTable(b, s)
			b.ReportAllocs()
			for b.Loop() {
				if err := table.Replace(s); err != nil {
					b.Fatal(err)
				}
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
