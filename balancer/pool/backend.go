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
	state  atomic.Uint32 // a State, above it an Override, and above that whether it is ejected
	failed atomic.Uint32 // failures of real connections in a row, see Pool.Observe
	ramp   atomic.Int64  // on Clock: when its slow start began; 0: it is not in one
	limit  atomic.Int64  // on Active: max_connections, or no limit at all
	Active atomic.Int64  // connections that hold a slot; no new one beyond the limit
	gone   atomic.Bool   // it is no member now

	Addr   netip.AddrPort
	Name   string  // "10.0.0.7:443": log field and metric label
	name   string  // the DNS name it was found by, as Named has it; "" if the file has its address
	shared *shared // with the pools that it is, or was, a member of
	cfg    atomic.Pointer[BackendConfig]

	Total    atomic.Uint64 // connections that were answered by this backend
	Failures atomic.Uint64 // attempts that failed before the first byte
	BytesIn  atomic.Uint64 // client to backend
	BytesOut atomic.Uint64 // backend to client

	ejection ejection
	last     lastFailure
	report   atomic.Pointer[Report] // what the checks say of it; nil: nothing
	told     State                  // shared.mu; the state that Review reported last
	since    atomic.Int64           // on Clock: when Review saw it change; 0: it has not
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

// Where in Backend.state the Override lies, and the mark of an ejection.
const (
	overrideShift = 8
	overrideMask  = 0xff << overrideShift
	ejectedMark   = 1 << 16
)

// overridden are the states that the overrides stand for.
var overridden = [...]State{OverrideDrain: StateDrain, OverrideMaint: StateMaint}

// State returns the present state: what the operator has said, or else what was found out by checks and by real
// connections; of these two, down outweighs ejected.
func (b *Backend) State() State {
	word := b.state.Load()
	found := State(word & 0xff)
	switch {
	case word&overrideMask != 0:
		return overridden[word&overrideMask>>overrideShift]
	case word&ejectedMark != 0 && found.Usable():
		return StateEjected
	}
	return found
}

// Override returns what the operator has said.
func (b *Backend) Override() Override {
	return Override(b.state.Load() & overrideMask >> overrideShift)
}

// SetState changes the state that checks have found out, and returns the one before. An Override and an ejection stay in
// force. A backend that comes up after it was down begins its slow start. Connections that hold a slot are not touched.
func (b *Backend) SetState(s State) (old State) {
	old = State(b.change(0xff, uint32(s)) & 0xff)
	if old == StateDown && s == StateUp {
		b.ramp.Store(Clock())
	}
	return old
}

// override sets what the operator has said.
func (b *Backend) override(o Override) {
	old := b.change(overrideMask, uint32(o)<<overrideShift)
	if Override(old&overrideMask>>overrideShift) == OverrideMaint && o == OverrideNone {
		b.ramp.Store(Clock())
	}
}

// change replaces the bits of mask in the state word, and returns the word before.
func (b *Backend) change(mask, bits uint32) (old uint32) {
	for {
		old = b.state.Load()
		if b.state.CompareAndSwap(old, old&^mask|bits) {
			return old
		}
	}
}

// takes tells whether b may get new connections. In panic mode it is all the same what checks and connections found.
func (b *Backend) takes(panicking bool) bool {
	word := b.state.Load()
	return word <= uint32(StateUp) || panicking && word&overrideMask == 0
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
	case !b.takes(r.panicking) || r.tried(b):
		return unfit
	case !reserve(&b.Active, b.limit.Load()):
		return full
	}
	return claimed
}

// fits tells whether claim would succeed now.
func (b *Backend) fits(r *Request) bool {
	return b.takes(r.panicking) && b.Active.Load() < b.limit.Load() && !r.tried(b)
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
