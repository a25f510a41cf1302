package balancer

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// HandshakeRate bounds the handshakes that one source may begin where TLS ends here. A source is an IPv4 address, or the
// first 64 bits of an IPv6 one: what a provider gives to one customer at the least (RFC 6177 §2). Connections that pass
// through are neither counted nor refused. The zero HandshakeRate is no bound.
type HandshakeRate struct {
	Every  time.Duration  // from one to the next, on average; 0: no bound
	Burst  int            // how many may begin at once; at least 1
	Exempt []netip.Prefix // clients that are neither counted nor refused; not changed afterwards
}

// Equal reports whether both bound alike.
func (r HandshakeRate) Equal(o HandshakeRate) bool {
	return r.Every == o.Every && r.Burst == o.Burst && slices.Equal(r.Exempt, o.Exempt)
}

// exempts reports whether addr is one of those that are not bounded.
func (r *HandshakeRate) exempts(addr netip.Addr) bool {
	if len(r.Exempt) == 0 {
		return false
	}
	addr = addr.Unmap()
	return slices.ContainsFunc(r.Exempt, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// sources are those that have begun handshakes lately, each with its allowance. All loops share them, without a lock: with
// a table for each loop a source would get its rate from every one of them. A nil *sources allows everything.
//
// An allowance is one number, as in the generic cell rate algorithm (ITU-T I.371, annex A): due, the moment at which the
// source will have paid for all that it has begun. A handshake moves it on by every, and is refused where it lies more than
// slack ahead. So a source whose due is past is as good as new, and nothing is lost when its place is given away.
//
// The table is a set-associative cache of fixed size. A new source takes the place in its set whose due comes first: that
// of a source that is as good as new, if there is one; else of the one that has used its allowance least. Whoever is
// driven out begins anew with all of it, and whoever is new is served. So a flood of sources that come once, however
// many, has nobody refused, and does not wash out those that are at their limit. If more are at their limit than there are
// places, some get more than it. Sets are chosen by a hash with a key of this table's own: nobody can aim at one.
//
// 64 Ki places take 1 MiB. A look costs less than 100 ns, half of it for the clock, and makes no garbage (BenchmarkSources):
// a handshake costs five thousand times as much.
type sources struct {
	rate  HandshakeRate
	every int64 // nanoseconds
	slack int64 // nanoseconds that due may lie ahead
	seed  maphash.Seed
	sets  [][sourceWays]source
}

const (
	// sourceWays sources are a set, which fills one cache line.
	sourceWays = 4
	// sourceSets is a power of two.
	sourceSets = 1 << 14
)

// source is one place of the table.
//
// The place changes hands in three steps: key becomes sourceMoves, which only one can bring about; then due is the new
// source's; then key is. So a due that was read between two looks at the key, both of which saw the same one, is of that key.
type source struct {
	key atomic.Uint64 // hash of the source; 0: nobody's; sourceMoves
	due atomic.Int64  // on the clock of package pool
}

// sourceMoves is the key of a place that is changing hands.
const sourceMoves = 1

// newSources makes the table for a rate; nil for none.
func newSources(r HandshakeRate) *sources {
	if r.Every <= 0 {
		return nil
	}
	every := int64(r.Every)
	return &sources{
		rate: r, every: every, slack: every * int64(max(r.Burst, 1)-1),
		seed: maphash.MakeSeed(), sets: make([][sourceWays]source, sourceSets),
	}
}

// next is the table for r in place of t. One for another rate begins empty: a debt by the old rate says nothing about the new.
// Where only others are exempt, it is the same one.
func (t *sources) next(r HandshakeRate) *sources {
	old := t.limit()
	switch {
	case old.Equal(r):
		return t
	case t != nil && old.Every == r.Every && old.Burst == r.Burst:
		return &sources{rate: r, every: t.every, slack: t.slack, seed: t.seed, sets: t.sets}
	}
	return newSources(r)
}

// limit is the rate in force.
func (t *sources) limit() HandshakeRate {
	if t == nil {
		return HandshakeRate{}
	}
	return t.rate
}

// allow reports whether addr may begin a handshake now, and counts it if so.
func (t *sources) allow(addr netip.Addr) bool {
	return t == nil || t.rate.exempts(addr) || t.take(t.keyOf(addr), pool.Clock())
}

// keyOf is the hash of the source that addr belongs to. Two sources have the same one by chance, once in 2^63.
func (t *sources) keyOf(addr netip.Addr) uint64 {
	b := addr.As16() // IPv4 as ::ffff:a.b.c.d, which is no prefix of 64 bits
	if !addr.Is4() && !addr.Is4In6() {
		clear(b[8:])
	}
	return maphash.Bytes(t.seed, b[:]) | 1<<63 // not one of the keys with a meaning
}

// take takes one handshake from the allowance of key, if there is one left.
func (t *sources) take(key uint64, now int64) bool {
	set := &t.sets[key&(sourceSets-1)]
	for range sourceTries {
		place := find(set, key)
		if place == nil {
			if t.settle(set, key, now) {
				return true
			}
			continue
		}
		due := place.due.Load()
		switch {
		case place.key.Load() != key: // driven out since it was found
		case due-now > t.slack:
			return false
		case place.due.CompareAndSwap(due, max(due, now)+t.every):
			return true
		}
	}
	return true
}

// sourceTries is how often others may come first, until it is no use to look again. Each time one of them was served or
// settled: it takes as many loops at this very set, and who is in doubt is served.
const sourceTries = 8

// find is the place of key in set; nil if it has none.
func find(set *[sourceWays]source, key uint64) *source {
	for i := range set {
		if set[i].key.Load() == key {
			return &set[i]
		}
	}
	return nil
}

// settle gives a new source the place of the one whose due comes first, and takes its first handshake from its
// allowance. It reports whether nobody else came first.
func (t *sources) settle(set *[sourceWays]source, key uint64, now int64) bool {
	var first *source
	var holder uint64
	var least int64
	for i := range set {
		k, due := set[i].key.Load(), set[i].due.Load()
		if k != sourceMoves && (first == nil || due < least) {
			first, holder, least = &set[i], k, due
		}
	}
	if first == nil || !first.key.CompareAndSwap(holder, sourceMoves) {
		return false
	}
	first.due.Store(now + t.every)
	first.key.Store(key)
	return true
}
