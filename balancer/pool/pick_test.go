package pool

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRefusals(t *testing.T) {
	backup := func(b BackendConfig) BackendConfig { b.Backup = true; return b }
	capped := func(b BackendConfig) BackendConfig { b.MaxConnections = 1; return b }
	tests := []struct {
		name     string
		max      int // of the pool
		backends []BackendConfig
		states   []State // of the backends
		tried    []int
		want     []string // one Pick each, slots kept: the backend, or the refusal
	}{
		{"no members", 0, nil, nil, nil, []string{"none"}},
		{"weight 0 gets nothing, even alone", 0, entries(0), nil, nil, []string{"none"}},
		{"the pool is full", 2, entries(1), nil, nil, []string{"1", "1", "pool full"}},
		{"every backend is full", 0, []BackendConfig{capped(entry(1, 1)), capped(entry(2, 1))}, nil, nil, []string{"1", "2", "full"}},
		{"full or down is full", 0, []BackendConfig{capped(entry(1, 1)), entry(2, 1)}, []State{StateUp, StateDown}, nil, []string{"1", "full"}},
		{"down, ejected, drained and in maintenance", 0, entries(1, 1, 1, 1), []State{StateDown, StateEjected, StateDrain, StateMaint},
			nil, []string{"none"}},
		{"up and not yet known are chosen", 0, []BackendConfig{capped(entry(1, 1)), capped(entry(2, 1))}, []State{StateUnknown, StateUp},
			nil, []string{"1", "2", "full"}},
		{"all were tried", 0, entries(1, 1), nil, []int{0, 1}, []string{"none"}},
		{"what was tried is not chosen again", 0, entries(1, 1), nil, []int{0}, []string{"2", "2", "2"}},
		{"a backup when the others are down", 0, []BackendConfig{entry(1, 1), backup(entry(2, 1))}, []State{StateDown}, nil, []string{"2"}},
		{"a backup when the others are full", 0, []BackendConfig{capped(entry(1, 1)), backup(capped(entry(2, 1)))}, nil,
			nil, []string{"1", "2", "full"}},
		{"a backup when the others were tried", 0, []BackendConfig{entry(1, 1), backup(entry(2, 1))}, nil, []int{0}, []string{"2"}},
		{"a backup of weight 0 gets nothing", 0, []BackendConfig{entry(1, 1), backup(entry(2, 0))}, []State{StateDown}, nil, []string{"none"}},
		{"full others and a backup that is down are full", 0, []BackendConfig{capped(entry(1, 1)), backup(entry(2, 1))},
			[]State{StateUp, StateDown}, nil, []string{"1", "full"}},
	}
	refusals := map[Refusal]string{PoolFull: "pool full", BackendFull: "full", NoBackend: "none"}
	for name, balance := range balances {
		for _, test := range tests {
			t.Run(name+": "+test.name, func(t *testing.T) {
				p := New(Config{Balance: balance, MaxConnections: test.max, Backends: test.backends})
				all := p.Backends()
				for i, s := range test.states {
					all[i].SetState(s)
				}
				r := request(1)
				for _, i := range test.tried {
					r.Tried = append(r.Tried, all[i])
				}
				var got []string
				for range test.want {
					if b, why := p.Pick(r); why == NotRefused {
						got = append(got, string(rune('1'+slices.Index(all, b))))
					} else {
						got = append(got, refusals[why])
					}
				}
				if balance != First { // which one comes first is another test's
					slices.Sort(got)
					slices.Sort(test.want)
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		}
	}
}

// world is a pool in a random state, and a request to it.
func world(random *rand.Rand, balance Balance) (*Pool, *Request) {
	var cfg Config
	cfg.Balance = balance
	for i := range 1 + random.IntN(8) {
		b := entry(i+1, random.IntN(4))
		b.Backup = random.IntN(4) == 0
		b.MaxConnections = random.IntN(4)
		cfg.Backends = append(cfg.Backends, b)
	}
	p := New(cfg)
	r := request(random.IntN(1000))
	for _, b := range p.Backends() {
		b.SetState(State(random.IntN(6)))
		if limit := b.Config().MaxConnections; limit > 0 {
			b.Active.Store(int64(random.IntN(limit + 1)))
		}
		if random.IntN(5) == 0 {
			r.Tried = append(r.Tried, b)
		}
	}
	return p, r
}

// able lists who may be chosen, by the letter of the documentation, and why nobody if that is so.
func able(p *Pool, r *Request) (list []*Backend, why Refusal) {
	why = NoBackend
	for _, backup := range []bool{false, true} {
		for _, b := range p.Backends() {
			c := b.Config()
			usable := b.State() == StateUp || b.State() == StateUnknown
			if c.Backup != backup || c.Weight == 0 || !usable || slices.Contains(r.Tried, b) {
				continue
			}
			if c.MaxConnections > 0 && b.Active.Load() >= int64(c.MaxConnections) {
				why = BackendFull
				continue
			}
			list = append(list, b)
		}
		if len(list) > 0 {
			return list, NotRefused
		}
	}
	return nil, why
}

// Pick finds one of those that may be chosen whenever there is one, and refuses truly where there is none.
func TestPickAgreesWithASlowTwin(t *testing.T) {
	for name, balance := range balances {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(7, uint64(balance)))
			rounds := 3000
			if balance == Maglev { // each has its table laid
				rounds = 60
			}
			for range rounds {
				p, r := world(random, balance)
				list, want := able(p, r)
				b, why := p.Pick(r)
				if why != want || (b != nil) != slices.Contains(list, b) {
					t.Fatalf("picked %v (%d), want one of %v (%d)", b, why, list, want)
				}
				if held := p.Active(); (held == 1) != (b != nil) {
					t.Fatalf("the pool counts %d connections after %v, %d", held, b, why)
				}
			}
		})
	}
}

// R9: the caps of backend and pool hold exactly whatever the number of loops, none of them chooses what was tried
// or is not usable, and in the end no slot is lost.
func TestCapsHoldUnderConcurrency(t *testing.T) {
	const loops, rounds = 8, 3000
	for name, balance := range balances {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Balance: balance, MaxConnections: 7, Backends: entries(1, 2, 3, 1, 1)}
			for i := range cfg.Backends {
				cfg.Backends[i].MaxConnections = 1 + i%3
			}
			cfg.Backends[4].Backup = true
			p := New(cfg)
			p.Backends()[3].SetState(StateMaint)
			var running sync.WaitGroup
			for loop := range loops {
				running.Go(func() { holdAndRelease(t, p, loop*rounds, rounds) })
			}
			running.Wait()
			for _, b := range p.Backends() {
				if n := b.Active.Load(); n != 0 {
					t.Errorf("%s counts %d connections in the end", b.Name, n)
				}
			}
			if n := p.Active(); n != 0 {
				t.Errorf("the pool counts %d connections in the end", n)
			}
		})
	}
}

// holdAndRelease picks for clients from first on, holding up to three slots at a time, and looks at the counts.
func holdAndRelease(t *testing.T, p *Pool, first, rounds int) {
	var held []*Backend
	for i := range rounds {
		r := request(first + i)
		r.Tried = held[:len(held)/2] // any will do
		if b, why := p.Pick(r); why == NotRefused {
			if slices.Contains(r.Tried, b) || b.State() == StateMaint {
				t.Errorf("picked %s, which was tried or is in maintenance", b.Name)
			}
			held = append(held, b)
		}
		for _, b := range p.Backends() {
			if n := b.Active.Load(); n > int64(b.Config().MaxConnections) {
				t.Errorf("%s has %d connections, its limit is %d", b.Name, n, b.Config().MaxConnections)
			}
		}
		if n := p.Active(); n > 7 {
			t.Errorf("the pool has %d connections, its limit is 7", n)
		}
		if len(held) == 3 || i == rounds-1 {
			for _, b := range held {
				b.Release()
			}
			held = nil
		}
	}
}

// A cap is not only never exceeded but also used: with room for everybody nobody is refused.
func TestCapsAreUsedUnderConcurrency(t *testing.T) {
	for name, balance := range balances {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Balance: balance, MaxConnections: 8, Backends: entries(1, 1, 1, 1)}
			for i := range cfg.Backends {
				cfg.Backends[i].MaxConnections = 8 // a Pick may look at a backend that all others hold
			}
			p := New(cfg)
			var running sync.WaitGroup
			for range 8 {
				running.Go(func() {
					for i := range 2000 {
						if b, why := p.Pick(request(i)); why != NotRefused {
							t.Errorf("refused: %d", why)
						} else {
							b.Release()
						}
					}
				})
			}
			running.Wait()
		})
	}
}

// Members may change while loops pick and release.
func TestMembersChangeUnderConcurrency(t *testing.T) {
	named := BackendConfig{Host: "web.example.com", Weight: 2, MaxConnections: 2}
	p := New(Config{Balance: LeastConnections, MaxConnections: 20, Backends: []BackendConfig{entry(1, 1), named}})
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for i := range 2000 {
				if b, why := p.Pick(request(i)); why == NotRefused {
					b.Release()
				}
			}
		})
	}
	for i := range 500 {
		p.SetAddrs(1, []netip.Addr{request(i).Client, request(i % 3).Client})
	}
	running.Wait()
	if n := p.Active(); n != 0 {
		t.Errorf("the pool counts %d connections in the end", n)
	}
}

func TestFirstFollowsTheFile(t *testing.T) {
	cfg := Config{Balance: First, Backends: entries(1, 9, 9)}
	cfg.Backends[0].MaxConnections = 2
	p := New(cfg)
	var got []string
	for i := range 4 {
		got = append(got, mustPick(t, p, request(i)).Name)
	}
	want := []string{"10.0.0.1:443", "10.0.0.1:443", "10.0.0.2:443", "10.0.0.2:443"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestLeastConnections(t *testing.T) {
	tests := []struct {
		name    string
		weights []int
		active  []int64 // before
		picks   int     // whose slots are kept
		want    []int64 // active after
	}{
		{"the fewest", []int{1, 1, 1}, []int64{3, 1, 2}, 1, []int64{3, 2, 2}},
		{"filling up to the fullest", []int{1, 1, 1}, []int64{3, 1, 2}, 3, []int64{3, 3, 3}},
		{"evenly", []int{1, 1, 1}, []int64{0, 0, 0}, 30, []int64{10, 10, 10}},
		{"per weight", []int{1, 4}, []int64{1, 3}, 1, []int64{1, 4}},
		{"evenly per weight", []int{1, 2, 5}, []int64{0, 0, 0}, 80, []int64{10, 20, 50}},
		{"the heavier of two that are idle", []int{1, 2}, []int64{0, 0}, 1, []int64{0, 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := New(Config{Balance: LeastConnections, Backends: entries(test.weights...)})
			for i, b := range p.Backends() {
				b.Active.Store(test.active[i])
			}
			for i := range test.picks {
				mustPick(t, p, request(i))
			}
			var got []int64
			for _, b := range p.Backends() {
				got = append(got, b.Active.Load())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Those that tie take turns exactly, wherever they stand among those that do not.
func TestLeastConnectionsTiesTakeTurns(t *testing.T) {
	p := New(Config{Balance: LeastConnections, Backends: equal(10)})
	for i, b := range p.Backends() {
		if i != 0 && i != 1 && i != 8 {
			b.Active.Store(5)
		}
	}
	want := []int{100, 100, 0, 0, 0, 0, 0, 0, 100, 0}
	if diff := cmp.Diff(want, counts(t, p, 300)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRandomTwoSharesFollowWeights(t *testing.T) {
	const picks = 100_000
	for _, weights := range [][]int{{1, 1, 1, 1}, {1, 2, 3, 4}, {100, 1}, {7}} {
		p := New(Config{Balance: RandomTwo, Backends: entries(weights...)})
		sum := 0
		for _, w := range weights {
			sum += w
		}
		for i, n := range counts(t, p, picks) {
			if got, want := float64(n)/picks, float64(weights[i])/float64(sum); math.Abs(got-want) > 0.01 {
				t.Errorf("weights %d: member %d has a share of %.4f, want %.4f", weights, i, got, want)
			}
		}
	}
}

func TestRandomTwoTakesTheLessLoaded(t *testing.T) {
	p := New(Config{Balance: RandomTwo, Backends: entries(1, 1)})
	p.Backends()[0].Active.Store(1)
	if diff := cmp.Diff([]int{0, 1000}, counts(t, p, 1000)); diff != "" {
		t.Errorf("two members, of which one is idle (-want +got)\n%s", diff)
	}
	p.Backends()[0].Active.Store(0)

	// With two choices the fullest of n members has hardly more than the mean, with one it has far more.
	many := New(Config{Balance: RandomTwo, Backends: equal(100)})
	for i := range 10_000 {
		mustPick(t, many, request(i))
	}
	for _, b := range many.Backends() {
		if n := b.Active.Load(); n < 96 || n > 103 {
			t.Errorf("%s has %d of 10000 connections, want about 100", b.Name, n)
		}
	}
}

// Also with most members out, each of the others is drawn as its weight says.
func TestRandomTwoWithFewMembersLeft(t *testing.T) {
	p := New(Config{Balance: RandomTwo, Backends: equal(300)})
	for i, b := range p.Backends() {
		if i%100 != 0 {
			b.SetState(StateDown)
		}
	}
	for i, n := range counts(t, p, 30_000) {
		if i%100 == 0 && (n < 9500 || n > 10500) {
			t.Errorf("member %d has %d of 30000, want a third", i, n)
		}
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	for name, balance := range balances {
		for what, out := range map[string]int{"all up": 0, "one up": 9, "none up": 10} {
			p := New(Config{Balance: balance, Hash: HashSNI, MaxConnections: 10, Backends: equal(10)})
			for _, b := range p.Backends()[:out] {
				b.SetState(StateDown)
			}
			tried := make([]*Backend, 0, 3)
			client := request(1)
			if n := testing.AllocsPerRun(100, func() {
				// As the data plane calls it: the request is made on the spot.
				b, why := p.Pick(&Request{Client: client.Client, SNI: client.SNI, Tried: tried, Draw: client.Draw})
				if why == NotRefused {
					b.Release()
				}
			}); n != 0 {
				t.Errorf("%s, %s: %v allocations", name, what, n)
			}
		}
	}
}

func TestStatesHaveWords(t *testing.T) {
	words := map[State]string{StateUnknown: "unknown", StateUp: "up", StateDown: "down", StateEjected: "ejected",
		StateDrain: "drain", StateMaint: "maint", 99: "invalid"}
	for s, want := range words {
		if got := s.String(); got != want {
			t.Errorf("State(%d) is %q, want %q", s, got, want)
		}
	}
	var b Backend
	if old := b.SetState(StateDrain); old != StateUnknown || b.State() != StateDrain {
		t.Errorf("SetState returned %s and left %s", old, b.State())
	}
}
