package pool

import (
	"math"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// shares is the part of n connections that each backend gets, a hundred of which are open at any time.
func shares(t *testing.T, p *Pool, n int) map[*Backend]float64 {
	t.Helper()
	got, open := map[*Backend]float64{}, make([]*Backend, 100)
	for i := range n {
		r := request(i)
		r.Now = Clock()
		if b := open[i%len(open)]; b != nil {
			b.Release()
		}
		b := mustPick(t, p, r)
		open[i%len(open)] = b
		got[b] += 1 / float64(n)
	}
	for _, b := range open {
		b.Release()
	}
	return got
}

// R15: of a slow start of 10 s, at most 15 % of the fair share after 1 s, and the fair share after 10 s.
func TestSlowStartIsLinear(t *testing.T) {
	for name, balance := range balances {
		if balance == First {
			continue // has no fair share
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				two := Config{Balance: balance, SlowStart: 10 * time.Second, Backends: equal(2)}
				three := two
				three.Backends = equal(3)
				before := New(two)
				p := before.Next(three, noNames)
				p.Take(before)
				late := p.Backends()[2]
				const n, fair = 30_000, 1. / 3
				time.Sleep(time.Second)
				if got := shares(t, p, n)[late]; got > 0.15*fair || got == 0 {
					t.Errorf("after 1 s: %.1f %% of the fair share, want some, and at most 15 %%", 100*got/fair)
				}
				time.Sleep(4 * time.Second)
				if got := shares(t, p, n)[late]; got > 0.65*fair || got < 0.3*fair {
					t.Errorf("after 5 s: %.1f %% of the fair share, want about 60 %%: 0.5 beside 2", 100*got/fair)
				}
				time.Sleep(5 * time.Second)
				for range 2 { // the second time with the slow start put away
					if got := shares(t, p, n)[late]; math.Abs(got-fair) > 0.05*fair {
						t.Errorf("after 10 s: %.1f %% of the fair share, want 95 to 105 %%", 100*got/fair)
					}
					p.Review(Clock())
				}
			})
		})
	}
}

func TestWhoStartsSlowly(t *testing.T) {
	addrs := func(last ...byte) (list []netip.Addr) {
		for _, n := range last {
			list = append(list, netip.AddrFrom4([4]byte{192, 0, 2, n}))
		}
		return list
	}
	named := Config{SlowStart: time.Minute, Backends: []BackendConfig{{Host: "db.example.net", Addr: netip.AddrPortFrom(netip.Addr{}, 443), Weight: 1}}}
	tests := []struct {
		name string
		make func() *Backend
		want bool
	}{
		{"there from the start", func() *Backend { return New(Config{Backends: equal(1)}).Backends()[0] }, false},
		{"an address of the first answer", func() *Backend {
			p := New(named)
			p.SetAddrs(0, addrs(1))
			return p.Backends()[0]
		}, false},
		{"an address that a later answer adds", func() *Backend {
			p := New(named)
			p.SetAddrs(0, addrs(1))
			p.SetAddrs(0, addrs(1, 2))
			return p.Backends()[1]
		}, true},
		{"found up at first", func() *Backend {
			b := New(Config{Backends: equal(1)}).Backends()[0]
			b.SetState(StateUp)
			return b
		}, false},
		{"up after down", func() *Backend {
			b := New(Config{Backends: equal(1)}).Backends()[0]
			b.SetState(StateDown)
			b.SetState(StateUp)
			return b
		}, true},
		{"ready after maint", func() *Backend {
			p := New(Config{Backends: equal(1)})
			p.Set(p.Backends()[0].Name, Setting{State: OverrideMaint})
			p.Set(p.Backends()[0].Name, Setting{})
			return p.Backends()[0]
		}, true},
		{"ready after drain", func() *Backend {
			p := New(Config{Backends: equal(1)})
			p.Set(p.Backends()[0].Name, Setting{State: OverrideDrain})
			p.Set(p.Backends()[0].Name, Setting{})
			return p.Backends()[0]
		}, false},
		{"back after an ejection", func() *Backend {
			p := outliers(2)
			b := p.Backends()[0]
			fail(p, b, 3, second)
			p.Review(3600 * second)
			return b
		}, true},
		{"kept by a reload", func() *Backend {
			before := New(Config{Backends: equal(1)})
			p := before.Next(Config{Backends: equal(2)}, noNames)
			p.Take(before)
			return p.Backends()[0]
		}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.make().ramp.Load() != 0; got != test.want {
				t.Errorf("starts slowly: %v, want %v", got, test.want)
			}
		})
	}
}

func TestAClientMovesToASlowStarterOnce(t *testing.T) {
	p := New(Config{Balance: Maglev, SlowStart: 10 * time.Second, Backends: equal(3)})
	late := p.Backends()[2]
	late.ramp.Store(second)
	for i := range 500 {
		there := false
		for now := second; now <= 12*second; now += second / 10 {
			r := request(i)
			r.Now = now
			b := mustPick(t, p, r)
			b.Release()
			if there && b != late {
				t.Fatalf("client %d was moved back after %v", i, time.Duration(now))
			}
			there = b == late
		}
	}
}

func TestASlowStarterTakesWhatNobodyElseTakes(t *testing.T) {
	for name, balance := range balances {
		p := New(Config{Balance: balance, SlowStart: time.Hour, Backends: equal(3)})
		all := p.Backends()
		all[0].SetState(StateDown)
		all[1].SetState(StateDown)
		all[2].ramp.Store(second)
		for i := range 100 {
			r := request(i)
			r.Now = second + 1
			if b, why := p.Pick(r); b != all[2] {
				t.Fatalf("%s: a connection got %v, %v, want the one that starts slowly", name, b, why)
			}
		}
	}
}
