// Package pool holds the backends of a pool, with their live state, and chooses one for each connection.
//
//	file ──> Config ──> New, Next ┐                        ┌─ round_robin ──────┐
//	DNS ──> SetAddrs ─────────────┼─> members (immutable) ─┼─ least_connections ┤
//	operator ──> Set ─────────────┘   behind one atomic    ├─ random_two        ├─> claim ─> *Backend
//	                                  pointer, replaced    ├─ maglev            │   state? tried? full?
//	checks ──> Checked ─────> Backend                      └─ first ────────────┘
//	connections ──> Observe ───┘ ▲                                                     │
//	                             └───────────────────── Release ◀──────────────────────┘
//
// Everything that costs time (sequences, tables) is computed when the members change, by whoever changes them.
// [Pool.Pick] reads one snapshot of the members, takes no lock and allocates nothing; any number of event loops
// call it at once. A choice is only a proposal: the backend is had once claim has reserved a slot on it, and when
// that fails the choice goes on. After a bounded number of proposals an exhaustive look at all members decides,
// so that Pick finds a backend whenever there is one and its refusals are true.
//
// What checks and connections show of a backend is one atomic word, and so is when its slow start began. [Pool.Review],
// which one goroutine calls now and then for all pools, ends ejections, decides on panic mode and tells what changed:
// there are no timers here.
//
// A changed configuration makes another Pool out of the one before, with the same Backends where addresses stay, so that
// a caller can put many pools and its routing table in force at one moment.
//
// How each balance chooses, and what it costs, is told to operators in docs/balancing.md.
package pool
