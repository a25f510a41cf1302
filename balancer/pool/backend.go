package pool

import (
	"math"
	"net/netip"
	"sync/atomic"
)

// Backend is one address of a pool with its live state. It is shared by all loops; its fields are atomics,
// and those that are not never change. It stays valid after it left the pool: connections that hold a slot use
// and release it as before.
type Backend struct {
	// What a choice reads of every member comes first: it lies within one cache line.
	state  atomic.Uint32 // a State
	limit  int64         // on Active: Config.MaxConnections, or no limit at all
	Active atomic.Int64  // connections that hold a slot; never more than Config.MaxConnections

	Pool   *Pool
	Config BackendConfig
	Addr   netip.AddrPort
	Name   string // "10.0.0.7:443": log field and metric label

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

// State returns the present state.
func (b *Backend) State() State { return State(b.state.Load()) }

// SetState changes the state and returns the one before. Connections that hold a slot are not touched.
func (b *Backend) SetState(s State) (old State) { return State(b.state.Swap(uint32(s))) }

// Release gives back the slot that Pick reserved. Exactly once per Pick, also after b has left the pool.
func (b *Backend) Release() {
	b.Active.Add(-1)
	b.Pool.active.Add(-1)
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
	case !reserve(&b.Active, b.limit):
		return full
	}
	return claimed
}

// fits tells whether claim would succeed now.
func (b *Backend) fits(r *Request) bool {
	return b.State().Usable() && b.Active.Load() < b.limit && !r.tried(b)
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
