package pool

import (
	"fmt"
	"testing"
)

var sizes = []int{3, 100, 1000}

// BenchmarkPick is one choice and the release of its slot, for clients that differ.
func BenchmarkPick(b *testing.B) {
	for _, name := range []string{"round_robin", "least_connections", "random_two", "maglev", "first"} {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				p := New(Config{Balance: balances[name], MaxConnections: 1 << 20, Backends: equal(n)})
				r := request(1)
				b.ReportAllocs()
				for b.Loop() {
					r.Draw = scramble(r.Draw)
					got, _ := p.Pick(r)
					got.Release()
				}
			})
		}
	}
}

// BenchmarkPickParallel is the same from as many goroutines as there are loops; they share every counter.
func BenchmarkPickParallel(b *testing.B) {
	for _, name := range []string{"round_robin", "least_connections", "random_two", "maglev", "first"} {
		b.Run(fmt.Sprintf("%s/%d", name, 100), func(b *testing.B) {
			p := New(Config{Balance: balances[name], MaxConnections: 1 << 20, Backends: equal(100)})
			b.RunParallel(func(pb *testing.PB) {
				r := request(1)
				for pb.Next() {
					r.Draw = scramble(r.Draw)
					got, _ := p.Pick(r)
					got.Release()
				}
			})
		})
	}
}

// BenchmarkRefuse is what a pool costs whose backends are all full, or all down.
func BenchmarkRefuse(b *testing.B) {
	for _, name := range []string{"round_robin", "least_connections", "random_two", "maglev", "first"} {
		b.Run(fmt.Sprintf("%s/%d", name, 1000), func(b *testing.B) {
			p := New(Config{Balance: balances[name], Backends: equal(1000)})
			for _, m := range p.Backends() {
				m.SetState(StateDown)
			}
			r := request(1)
			for b.Loop() {
				p.Pick(r)
			}
		})
	}
}

// BenchmarkNew is what a change of the members costs whoever changes them, tables included.
func BenchmarkNew(b *testing.B) {
	mixed := equal(1000)
	for i := range mixed {
		mixed[i].Weight = 1 + i%97
	}
	for _, name := range []string{"round_robin", "least_connections", "random_two", "maglev"} {
		for _, n := range sizes {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					New(Config{Balance: balances[name], Backends: equal(n)})
				}
			})
		}
		b.Run(name+"/1000_weighted", func(b *testing.B) {
			for b.Loop() {
				New(Config{Balance: balances[name], Backends: mixed})
			}
		})
	}
}
