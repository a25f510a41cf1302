package pool

import "slices"

// longestDraw bounds how often a draw is repeated because it hit a member that cannot take the connection.
const longestDraw = 8

// randomTwo draws two different members, each as likely as its weight says, and claims the one with fewer
// connections per weight, the first on a tie (Mitzenmacher, "The power of two choices in randomized load balancing",
// 2001). All that is random comes from r.Draw.
func (g *group) randomTwo(r *Request) (*Backend, uint64) {
	seed := scramble(r.Draw)
	one := g.draw(&seed, -1, r)
	if one < 0 {
		return nil, scramble(seed)
	}
	two := g.draw(&seed, one, r)
	if two >= 0 && g.lessLoaded(two, one, r.Now) {
		one, two = two, one
	}
	if b := g.members[one]; b.claim(r) == claimed {
		return b, 0
	}
	if two >= 0 && g.members[two].claim(r) == claimed {
		return g.members[two], 0
	}
	return nil, scramble(seed)
}

// lessLoaded tells whether member i has fewer connections per weight than k. An idle one that has just come back would
// win every time: during a slow start the connection itself counts, too.
func (g *group) lessLoaded(i, k int, now int64) bool {
	if g.slow == 0 || g.shareOf(g.members[i], now) == wholeShare && g.shareOf(g.members[k], now) == wholeShare {
		return g.loadOf(i, 0).less(g.loadOf(k, 0))
	}
	return g.eased(g.loadOf(i, 1), i, now).less(g.eased(g.loadOf(k, 1), k, now))
}

// draw draws a member that can take r, and is not the one with index but. It returns -1 when there is no other
// member, or when longestDraw draws found none that can.
func (g *group) draw(seed *uint64, but int, r *Request) int {
	total := g.total
	if but >= 0 {
		total -= g.weights[but]
	}
	if total == 0 {
		return -1
	}
	for range longestDraw {
		at := below(*seed, total)
		*seed = scramble(*seed)
		if but >= 0 && at >= g.bounds[but]-g.weights[but] {
			at += g.weights[but] // step over it
		}
		i, exact := slices.BinarySearch(g.bounds, at)
		if exact {
			i++
		}
		if g.members[i].fits(r) && g.admits(g.members[i], r, *seed) {
			return i
		}
	}
	return -1
}
