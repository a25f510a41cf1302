// Package balancer is the data plane: it accepts connections, reads their ClientHello without decrypting it,
// chooses a pool by the route table, and carries the bytes.
//
//	                 ┌────────────────── worker: one event loop, one goroutine ───────────────────┐
//	                 │                                                                            │
//	client ──> socket ──> session: hello ──> route ──> dial ──> answer ──> relay ──> finish       │
//	          (accept.go) (hello.go)         (hello.go) (dial.go)          (relaying.go)          │
//	                 │        └──────────────────┴──────────┴─> refuse: alert, FIN or RST (refuse.go)
//	                 └────────────────────────────────────────────────────────────────────────────┘
//	   Server: listeners, pools, limits, stop        recorder: one log line per connection
//	   world: the table and the pools, replaced as one
//
// A Server runs one worker per core. The workers share every listening address by SO_REUSEPORT, and a connection
// lives and dies on the worker that accepted it: a session is touched by its loop's goroutine alone. What workers
// share is atomics: pools and their counters, the limits, and the world, of which a session takes the present one
// when its hello is complete.
//
// Every way in which a connection can end is one [Cause]. finish (for established sessions) and refuse (for those
// that a client is told about) are the only ways there.
//
// Config is data, checked by package configs or by whoever makes it; nothing here reads a file. Start at [New].
package balancer
