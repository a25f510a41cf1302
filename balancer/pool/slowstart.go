package pool

import "time"

// epoch is a little before the first thing that Clock is asked of, so that 0 is never the present.
var epoch = time.Now().Add(-time.Second)

// Clock is the present on the clock of this package: nanoseconds since shortly before the process began, monotonic.
func Clock() int64 { return ClockAt(time.Now()) }

// ClockAt is t on the same clock.
func ClockAt(t time.Time) int64 { return int64(t.Sub(epoch)) }

// TimeAt is the moment at which Clock was at.
func TimeAt(at int64) time.Time { return epoch.Add(time.Duration(at)) }

// wholeShare is a share of 1 in the arithmetic of weights: a slow start has so many steps.
const wholeShare = 1 << 10

// shareOf is the part of its weight that b has at now, in 1..wholeShare: it rises linearly over slow_start from when b
// joined, or came back. Who was there from the start of the pool has all of it.
func (g *group) shareOf(b *Backend, now int64) uint64 {
	began := b.ramp.Load()
	if g.slow == 0 || began == 0 || now-began >= g.slow {
		return wholeShare
	}
	return uint64(max(1, float64(now-began)/float64(g.slow)*wholeShare))
}

// weightOf is the weight of member i at now, beside those of the others of g at the same time.
func (g *group) weightOf(i int, now int64) uint64 {
	if g.slow == 0 { // most pools: nothing to be read of the member
		return g.weights[i]
	}
	return g.weights[i] * g.shareOf(g.members[i], now)
}

// admits tells whether b, which the balance proposes, is to take r in spite of a slow start: with the probability of its
// share. The same seed is admitted ever after once it is, so that under maglev a client moves to b once.
//
// What is not admitted goes where the balance looks next, as if b were out. So the shares are those of the weights in
// force, and nothing has to be computed anew while they change. A connection that finds nobody else is not refused.
func (g *group) admits(b *Backend, r *Request, seed uint64) bool {
	if g.slow == 0 || b.ramp.Load() == 0 {
		return true
	}
	share := g.shareOf(b, r.Now)
	return share == wholeShare || below(scramble(seed), wholeShare) < share
}

// first claims the first member in file order that can take r.
func (g *group) first(r *Request) *Backend {
	for i, b := range g.members {
		if g.admits(b, r, r.Draw+uint64(i)) && b.claim(r) == claimed {
			return b
		}
	}
	return nil
}
