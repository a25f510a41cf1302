// Package balancer is the data plane: it accepts connections, reads their ClientHello without decrypting it,
// chooses a pool by the route table, and carries the bytes.
//
//	                 ┌────────────────── worker: one event loop, one goroutine ───────────────────┐
//	                 │                                                                            │
//	client ──> socket ──> session: hello ──> route ──> dial ──> answer ──> relay ──> finish       │
//	          (accept.go) (hello.go)         (hello.go) (dial.go)          (relaying.go)          │
//	                 │        └──────────────────┴──────────┴─> refuse: alert, FIN or RST (refuse.go)
//	                 └────────────────────────────────────────────────────────────────────────────┘
//	   Server: limits, stop                          recorder: one log line per connection
//	   world: listeners, table and pools, replaced as one
//
//	   Config ──> Prepare ──> Prepared: Diff, Effects ──┬─> Commit: the next world
//	   Edit ───> PrepareEdit ──┘ (checked, bound,       └─> Abort: nothing has happened
//	   State ──> PrepareState ─┘  names asked for)
//
// A Server runs one worker per core. The workers share every listening address by SO_REUSEPORT, and a connection
// lives and dies on the worker that accepted it: a session is touched by its loop's goroutine alone. What workers
// share is atomics: pools and their counters, the limits, the sources of handshakes, and the world, of which a
// session takes the present one when its hello is complete.
//
// A change of the configuration is prepared beside the traffic and made by replacing that one pointer. Backends,
// listeners and counters that stay are the same objects in both worlds; a connection is touched only when its own
// backend has left, and drains then.
//
// Every way in which a connection can end is one [Cause]. finish (for established sessions) and refuse (for those
// that a client is told about) are the only ways there.
//
// Config is data, checked by package configs or by whoever makes it; nothing here reads a file. Start at [New].
package balancer
