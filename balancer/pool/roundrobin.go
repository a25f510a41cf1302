package pool

import "slices"

const (
	// longestPeriod bounds the smooth sequence: 64 Ki indices are 256 KiB, and are made in about 0.1 s for 1000 members.
	longestPeriod = 1 << 16

	// longestSkip bounds how many turns of members that cannot take a connection it passes over.
	longestSkip = 64
)

// roundRobin takes the next turn of the smooth sequence. A turn whose member cannot take r is used up, and the turn
// after it is taken from the shared count, too: that is the sequence without this member, so that its share
// goes to all others as their weights say, and not to its neighbours. Only where longestSkip turns in a row are
// passed over does a weighted draw take the place of the sequence.
func (g *group) roundRobin(r *Request) (*Backend, uint64) {
	period := uint64(len(g.smooth))
	var turn uint64
	for range min(len(g.smooth), longestSkip) {
		turn = g.turn.Add(1)
		b := g.members[g.smooth[(turn-1)%period]]
		if g.admits(b, r, r.Draw+turn) && b.claim(r) == claimed {
			return b, 0
		}
	}
	return nil, scramble(turn)
}

// smoothSequence lists the choices of nginx's smooth weighted round robin over one period: each index appears as
// often as its weight says, spread as evenly as can be ({5,1,1} is a a b a c a a). In each step everybody gains
// its weight, the richest is chosen, and pays the sum of all weights.
func smoothSequence(weights []uint64) []uint32 {
	turns, period := turnsOf(weights)
	sequence := make([]uint32, period)
	if period == int64(len(turns)) { // all equal: the algorithm gives file order
		for i := range sequence {
			sequence[i] = uint32(i)
		}
		return sequence
	}
	credit := make([]int64, len(turns))
	for step := range sequence {
		best := 0
		for i, t := range turns {
			credit[i] += t
			if credit[i] > credit[best] {
				best = i
			}
		}
		credit[best] -= period
		sequence[step] = uint32(best)
	}
	return sequence
}

// turnsOf says how many turns of a period each member gets, and how many there are in all. These are the weights
// divided by their greatest common divisor, exactly, as long as that makes no more than longestPeriod turns (or as
// many as there are members). Beyond it they are scaled to that many: each is rounded up or down to a neighbouring
// whole number by the method of largest remainders, but never to 0, and what those raised to 1 gain is taken
// evenly from the largest. No share is then off by more than n/longestPeriod for n members.
func turnsOf(weights []uint64) (turns []int64, period int64) {
	var divisor, sum uint64
	for _, w := range weights {
		divisor = gcd(w, divisor)
		sum += w
	}
	if len(weights) == 0 {
		return nil, 0
	}
	limit := uint64(max(longestPeriod, len(weights)))
	turns = make([]int64, len(weights))
	if sum/divisor <= limit {
		for i, w := range weights {
			turns[i] = int64(w / divisor)
		}
		return turns, int64(sum / divisor)
	}
	given, rest := int64(0), make([]int, len(weights)) // rest: indices by remainder, largest first
	for i, w := range weights {
		turns[i] = max(1, int64(w*limit/sum))
		given += turns[i]
		rest[i] = i
	}
	slices.SortStableFunc(rest, func(a, b int) int {
		return int(weights[b]*limit%sum) - int(weights[a]*limit%sum)
	})
	level(turns, rest, int64(limit)-given)
	return turns, int64(limit)
}

// level hands out spare turns in the order of rest, or takes missing ones from the largest.
func level(turns []int64, rest []int, spare int64) {
	for i := 0; spare > 0; i = (i + 1) % len(rest) {
		turns[rest[i]]++
		spare--
	}
	for ; spare < 0; spare++ {
		largest := 0
		for i, t := range turns {
			if t > turns[largest] {
				largest = i
			}
		}
		turns[largest]--
	}
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
