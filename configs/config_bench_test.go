package configs

import (
	"fmt"
	"strings"
	"testing"
)

// manyNames writes a file with n names, `perRoute` of them in each route.
func manyNames(n, perRoute int) []byte {
	var b strings.Builder
	b.WriteString("listeners:\n  - {name: public, bind: [\"127.0.0.1:0\"]}\npools:\n  - {name: web, backends: [\"127.0.0.1:9101\"]}\nroutes:\n")
	for i := range n {
		if i%perRoute == 0 {
			fmt.Fprintf(&b, "  - name: r%d\n    pool: web\n    hosts:\n", i)
		}
		fmt.Fprintf(&b, "      - host-%d.example.com\n", i)
	}
	return []byte(b.String())
}

// The whole of a load: YAML, keys, references, and the checks of the table.
func BenchmarkParse(b *testing.B) {
	for _, c := range []struct {
		name        string
		n, perRoute int
	}{
		{"100000 names in one route", 100_000, 100_000},
		{"100000 routes of one name", 100_000, 1},
		{"1000 routes of one name", 1000, 1},
	} {
		data := manyNames(c.n, c.perRoute)
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse("bench.yaml", data, "."); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A load with what only some files have: tests, for which the table is built, and entries on top.
func BenchmarkParseWith(b *testing.B) {
	const n = 100_000
	plain := manyNames(n, 1)
	tested := append(plain[:len(plain):len(plain)], "tests:\n  - {sni: host-7.example.com, expect: {pool: web}}\n"...)
	entry := Entry{Kind: "route", Name: "r7", Text: "{hosts: [host-7.example.com], pool: web}", Origin: "PUT /v1/routes/r7"}
	for _, c := range []struct {
		name    string
		data    []byte
		entries []Entry
	}{
		{"an entry", plain, []Entry{entry}},
		{"a test", tested, nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseWith("bench.yaml", c.data, ".", c.entries); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What a request costs does not grow with the routes that run.
func BenchmarkParseRoute(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		cfg, err := Parse("bench.yaml", manyNames(n, 1), ".")
		if err != nil {
			b.Fatal(err)
		}
		r, text := ran{cfg, new(int)}, []byte("{hosts: [host-7.example.com], pool: web}")
		b.Run(fmt.Sprintf("%d routes run", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseRoute("bench", "r7", text, ".", r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
