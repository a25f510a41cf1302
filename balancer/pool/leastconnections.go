package pool

// load is how busy a member is: connections per weight, compared without dividing.
type load struct{ connections, weight uint64 }

func (l load) less(m load) bool  { return l.connections*m.weight < m.connections*l.weight }
func (l load) equal(m load) bool { return l.connections*m.weight == m.connections*l.weight }

// loadOf is the load of member i with more connections than it has now, at its full weight.
func (g *group) loadOf(i int, more int64) load {
	return load{uint64(max(0, g.members[i].Active.Load()+more)), g.weights[i]}
}

// eased is the load l of member i at the weight that it has in a slow start, if the pool has one: small enough to be
// inlined, loadOf is a third of what least costs.
func (g *group) eased(l load, i int, now int64) load {
	return load{l.connections, l.weight * g.shareOf(g.members[i], now)}
}

// leastConnections claims a member with the least load it would have with this connection. Those that tie get it
// in turn: a count of choices says which of them, so that none gains from standing behind one that does not tie.
func (g *group) leastConnections(r *Request) (*Backend, uint64) {
	turn := g.turn.Add(1)
	for range 4 { // a claim fails only when somebody else took the last slot since
		least, ties := g.least(r)
		if ties == 0 {
			break
		}
		if b := g.tied(least, turn%ties, r); b != nil && b.claim(r) == claimed {
			return b, 0
		}
	}
	return nil, scramble(turn)
}

// least finds the least load among the members that can take r, and how many have it.
func (g *group) least(r *Request) (least load, ties uint64) {
	for i, b := range g.members {
		if !b.fits(r) {
			continue
		}
		l := g.loadOf(i, 1)
		if g.slow != 0 {
			l = g.eased(l, i, r.Now)
		}
		switch {
		case ties == 0 || l.less(least):
			least, ties = l, 1
		case l.equal(least):
			ties++
		}
	}
	return least, ties
}

// tied returns the member after skip others with a load no higher than least. Loads move while we look: it may be
// the last of fewer than expected, and nil when all have moved up.
func (g *group) tied(least load, skip uint64, r *Request) (last *Backend) {
	for i, b := range g.members {
		if !b.fits(r) {
			continue
		}
		l := g.loadOf(i, 1)
		if g.slow != 0 {
			l = g.eased(l, i, r.Now)
		}
		if least.less(l) {
			continue
		}
		if last = b; skip == 0 {
			break
		}
		skip--
	}
	return last
}
