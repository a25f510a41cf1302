package pool

import (
	"cmp"
	"math/bits"
	"slices"
	"sync/atomic"
)

// maxWeight bounds weights so that sums and products of weights and connection counts cannot overflow.
const maxWeight = 1 << 24

// group is the backends among which one choice is made: all that are not backups, or all that are, without those
// of weight 0. It is never changed after init; only *turn is.
type group struct {
	members []*Backend // in file order; by name for maglev
	weights []uint64   // of members, each in 1..maxWeight
	total   uint64     // sum of weights
	turn    *atomic.Uint64
	slow    int64 // slow_start in nanoseconds

	smooth []uint32 // round_robin: indices into members, one period
	bounds []uint64 // random_two: bounds[i] is the sum of weights[:i+1]
	table  []uint32 // maglev: indices into members, a prime number of them
}

// init makes g the part of all that is, or is not, backup. cfgs are what is to be in force for each of all.
func (g *group) init(pool *Config, turn *atomic.Uint64, all []*Backend, cfgs []BackendConfig, backup bool) {
	g.turn, g.slow = turn, int64(pool.SlowStart)
	var order []int // indices into all
	for i := range all {
		if cfgs[i].Backup == backup && cfgs[i].Weight > 0 {
			order = append(order, i)
		}
	}
	if pool.Balance == Maglev {
		slices.SortStableFunc(order, func(a, b int) int {
			return cmp.Or(cmp.Compare(all[a].Name, all[b].Name), cmp.Compare(cfgs[a].Weight, cfgs[b].Weight))
		})
	}
	g.members, g.weights = make([]*Backend, len(order)), make([]uint64, len(order))
	for i, at := range order {
		g.members[i] = all[at]
		g.weights[i] = uint64(min(cfgs[at].Weight, maxWeight))
		g.total += g.weights[i]
	}
	switch pool.Balance {
	case RoundRobin:
		g.smooth = smoothSequence(g.weights)
	case RandomTwo:
		g.bounds = runningSums(g.weights)
	case Maglev:
		g.table = maglevTable(g.members, g.weights)
	}
}

// pick proposes members by the pool's balance, then looks at all of them.
func (g *group) pick(cfg *Config, r *Request) (*Backend, Refusal) {
	if len(g.members) == 0 {
		return nil, NoBackend
	}
	var b *Backend
	var seed uint64
	switch cfg.Balance {
	case RoundRobin:
		b, seed = g.roundRobin(r)
	case LeastConnections:
		b, seed = g.leastConnections(r)
	case RandomTwo:
		b, seed = g.randomTwo(r)
	case Maglev:
		b, seed = g.maglev(cfg.Hash, r)
	case First:
		if b = g.first(r); b == nil {
			return g.sweep(0, r)
		}
	}
	if b != nil {
		return b, NotRefused
	}
	return g.any(seed, r)
}

// any is the last resort of every balance: a member that can take r if there is one, each as likely as its
// weight says when seed is uniform, and always the same one for the same seed and the same choice.
func (g *group) any(seed uint64, r *Request) (*Backend, Refusal) {
	var able uint64
	for i, b := range g.members {
		if b.fits(r) {
			able += g.weightOf(i, r.Now)
		}
	}
	if able == 0 {
		return g.sweep(0, r)
	}
	at := below(seed, able)
	for i, b := range g.members {
		if !b.fits(r) {
			continue
		}
		w := g.weightOf(i, r.Now)
		if at < w {
			return g.sweep(i, r)
		}
		at -= min(w, at)
	}
	return g.sweep(0, r) // fewer fit than a moment ago
}

// sweep claims the first member that can take r, from index start on and once around. Its refusal is the
// authority: NoBackend only if every member was unfit.
func (g *group) sweep(start int, r *Request) (*Backend, Refusal) {
	why := NoBackend
	for k := range g.members {
		i := start + k
		if i >= len(g.members) {
			i -= len(g.members)
		}
		switch b := g.members[i]; b.claim(r) {
		case claimed:
			return b, NotRefused
		case full:
			why = BackendFull
		}
	}
	return nil, why
}

// runningSums returns the sums of weights[:1], weights[:2], … weights.
func runningSums(weights []uint64) []uint64 {
	sums := make([]uint64, len(weights))
	var sum uint64
	for i, w := range weights {
		sum += w
		sums[i] = sum
	}
	return sums
}

// below maps a uniform x to 0..n-1, each equally likely to within n/2^64.
func below(x, n uint64) uint64 {
	hi, _ := bits.Mul64(x, n)
	return hi
}

// scramble turns neighbouring numbers into unrelated ones; it is the finaliser of SplitMix64 (Steele, Lea and
// Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014) after one step of its counter.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
