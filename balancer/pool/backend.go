package pool

import (
	"math"
	"net/netip"
	"slices"
	"sync/atomic"
)

// Backend is one address of a pool with its live state. It is shared by all loops; its fields are atomics,
// and those that are not never change. It stays valid after it left the pool: connections that hold a slot use
// and release it as before. As long as a pool has its address it is the same Backend, whatever else is reloaded.
type Backend struct {
	// What a choice reads of every member comes first: it lies within one cache line.
	state  atomic.Uint32 // a State, and above it an Override
	limit  atomic.Int64  // on Active: max_connections, or no limit at all
	Active atomic.Int64  // connections that hold a slot; no new one beyond the limit
	gone   atomic.Bool   // it is no member now

	Addr   netip.AddrPort
	Name   string  // "10.0.0.7:443": log field and metric label
	host   string  // the DNS name it was found by; "" if the file has its address
	shared *shared // with the pools that it is, or was, a member of
	cfg    atomic.Pointer[BackendConfig]

	Total    atomic.Uint64 // connections that were answered by this backend
	Failures atomic.Uint64 // attempts that failed before the first byte
	BytesIn  atomic.Uint64 // client to backend
	BytesOut atomic.Uint64 // backend to client
}

// State says whether a backend is to get connections. The zero value is StateUnknown.
type State uint8

// The states, as whoever checks or administers a backend sets them.
const (
	StateUnknown State = iota // nobody has said anything yet: chosen
	StateUp                   // chosen
	StateDown                 // failed its checks: not chosen
	StateEjected              // failed real connections: not chosen for now
	StateDrain                // keeps the connections it has: not chosen
	StateMaint                // taken out by hand: not chosen
)

var stateNames = [...]string{"unknown", "up", "down", "ejected", "drain", "maint"}

// String is the word for s in logs and status.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "invalid"
}

// Usable tells whether a backend in state s may get new connections.
func (s State) Usable() bool { return s <= StateUp }

// Override is what an operator has said of a backend. While it is not OverrideNone it decides, whatever checks say.
type Override uint8

// The overrides.
const (
	OverrideNone  Override = iota // ready: checks and real connections decide
	OverrideDrain                 // keeps the connections it has, without limit; gets no new ones
	OverrideMaint                 // out of use: gets no new ones, and those it has are given the pool's drain_timeout
)

var overrideWords = [...]string{OverrideNone: "ready", OverrideDrain: "drain", OverrideMaint: "maint"}

// String is the word for o in the API, on the command line and in the log.
func (o Override) String() string {
	if int(o) < len(overrideWords) {
		return overrideWords[o]
	}
	return "invalid"
}

// ParseOverride reads "ready", "drain" or "maint".
func ParseOverride(word string) (Override, bool) {
	i := slices.Index(overrideWords[:], word)
	return Override(max(i, 0)), i >= 0
}

// overrideShift is where in Backend.state the Override lies.
const overrideShift = 8

// overridden are the states that the overrides stand for.
var overridden = [...]State{OverrideDrain: StateDrain, OverrideMaint: StateMaint}

// State returns the present state: what the operator has said, or else what was found out.
func (b *Backend) State() State {
	word := b.state.Load()
	if o := word >> overrideShift; o != 0 {
		return overridden[o]
	}
	return State(word)
}

// Override returns what the operator has said.
func (b *Backend) Override() Override { return Override(b.state.Load() >> overrideShift) }

// SetState changes the state that was found out, and returns the one before. An Override stays in force.
// Connections that hold a slot are not touched.
func (b *Backend) SetState(s State) (old State) {
	for {
		word := b.state.Load()
		if b.state.CompareAndSwap(word, word&^0xff|uint32(s)) {
			return State(word & 0xff)
		}
	}
}

// override sets what the operator has said.
func (b *Backend) override(o Override) {
	for {
		word := b.state.Load()
		if b.state.CompareAndSwap(word, word&0xff|uint32(o)<<overrideShift) {
			return
		}
	}
}

// Config is what is in force for b: the entry of the file, with the weight that an operator may have given it.
func (b *Backend) Config() BackendConfig { return *b.cfg.Load() }

// Gone reports whether b has left its pool. It may return.
func (b *Backend) Gone() bool { return b.gone.Load() }

// Leaving reports whether the connections of b are to end within the pool's drain_timeout.
func (b *Backend) Leaving() bool { return b.Gone() || b.Override() == OverrideMaint }

// configure puts cfg in force. The pool's lock is held, or nobody knows b yet.
func (b *Backend) configure(cfg BackendConfig) {
	if old := b.cfg.Load(); old != nil && *old == cfg {
		return
	}
	b.cfg.Store(&cfg)
	b.limit.Store(limitOf(cfg.MaxConnections))
}

// Release gives back the slot that Pick reserved. Exactly once per Pick, also after b has left the pool.
func (b *Backend) Release() {
	b.Active.Add(-1)
	b.shared.active.Add(-1)
}

// verdict is what came of trying to claim a backend.
type verdict uint8

const (
	claimed verdict = iota // a slot is reserved
	full                   // would have been right, but has no slot left
	unfit                  // tried already, or not usable
)

// claim reserves a slot on b for r if b can take it.
func (b *Backend) claim(r *Request) verdict {
	switch {
	case !b.State().Usable() || r.tried(b):
		return unfit
	case !reserve(&b.Active, b.limit.Load()):
		return full
	}
	return claimed
}

// fits tells whether claim would succeed now.
func (b *Backend) fits(r *Request) bool {
	return b.State().Usable() && b.Active.Load() < b.limit.Load() && !r.tried(b)
}

// unlimited is the limit where the file states none.
const unlimited = math.MaxInt64

// limitOf reads max_connections: 0 is no limit.
func limitOf(maxConnections int) int64 {
	if maxConnections <= 0 {
		return unlimited
	}
	return int64(maxConnections)
}

// reserve counts one more in n unless that would exceed limit. It compares and swaps rather than adding and taking
// back: n never shows more than limit, and a refusal is never due to somebody else's refused attempt.
func reserve(n *atomic.Int64, limit int64) bool {
	if limit == unlimited {
		n.Add(1)
		return true
	}
	for {
		have := n.Load()
		if have >= limit {
			return false
		}
		if n.CompareAndSwap(have, have+1) {
			return true
		}
	}
}
