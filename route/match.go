package route

import "sync"

// Match decides. It never fails: an unmatched name gets the listener's unknown_sni, an unmatched hello without one its
// no_sni, and both get an alert where the listener is not known or says nothing. A hello that could not be read has no
// business here: its sender must be refused before.
func (s *Snapshot) Match(q *Query) Decision {
	r := s.find(q, nil)
	if r == nil {
		return s.fallback(q, q.unmatched())
	}
	return Decision{Verdict: VerdictRoute, Route: r, Pool: r.Action.pick(q.Draw), Reject: r.Action.Reject}
}

// unmatched is the verdict where no route takes q.
func (q *Query) unmatched() Verdict {
	if q.Name.IsZero() {
		return VerdictNoSNI
	}
	return VerdictUnknownSNI
}

// find returns the route for a name, or for none, or nil. Every candidate it looks at is noted in steps, which may be nil.
//
// Hosts are tried from the most to the least specific one; where no candidate of a host holds, the search goes on with
// the next. No host but NoName is for a hello without a name, not even "*".
func (s *Snapshot) find(q *Query, steps *steps) *Route {
	if q.Name.IsZero() {
		if row := s.host(noNameKey); row != nil {
			return firstThatHolds(row.candidates, q, steps)
		}
		return nil
	}
	key := newSearchKey(q.Name)
	defer key.release()
	row := s.longest(key)
	for ; row != nil && !row.matchesAny(); row = s.longest(key) {
		if r := firstThatHolds(row.candidates, q, steps); r != nil {
			return r
		}
		key.above(row)
	}
	for _, x := range s.expressions {
		if x.expr.match(q.Name) {
			if r := firstThatHolds(x.candidates, q, steps); r != nil {
				return r
			}
		}
	}
	if row == nil {
		return nil
	}
	return firstThatHolds(row.candidates, q, steps)
}

// firstThatHolds returns the first candidate whose conditions hold, or nil.
func firstThatHolds(candidates []candidate, q *Query, steps *steps) *Route {
	for i := range candidates {
		c := &candidates[i]
		won := c.route.holds(q)
		if steps != nil {
			steps.note(c, q, won)
		}
		if won {
			return c.route
		}
	}
	return nil
}

// matchesAny reports whether the row is that of "*", whose key is a prefix of every name's.
func (r *hostRow) matchesAny() bool { return r.key == "" }

// fallback is what the listener does with a connection that no route takes.
func (s *Snapshot) fallback(q *Query, v Verdict) Decision {
	a := s.fallbackAction(q.Listener, v)
	return Decision{Verdict: v, Pool: a.pick(q.Draw), Reject: a.Reject}
}

var alertAction = Action{Reject: RejectAlert}

func (s *Snapshot) fallbackAction(listener string, v Verdict) *Action {
	l := s.listener(listener)
	if l == nil {
		return &alertAction
	}
	a := &l.UnknownSNI
	if v == VerdictNoSNI {
		a = &l.NoSNI
	}
	if a.isZero() {
		return &alertAction
	}
	return a
}

// searchKey is where a search stands in the host tree. memdb takes keys as interfaces: a pooled pointer makes none
// of them garbage.
type searchKey struct {
	bytes []byte
	buf   [maxName + 1]byte
}

var searchKeys = sync.Pool{New: func() any { return new(searchKey) }}

// newSearchKey returns the exact key of name.
func newSearchKey(name Name) *searchKey {
	k := searchKeys.Get().(*searchKey)
	k.bytes = appendKey(k.buf[:0], name, endExact)
	return k
}

// above leaves of the key what hosts less specific than row can be a prefix of.
func (k *searchKey) above(row *hostRow) { k.bytes = k.bytes[:len(row.key)-1] }

func (k *searchKey) release() { searchKeys.Put(k) }
