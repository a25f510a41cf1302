// Package resolve keeps the addresses of DNS names fresh.
//
//	                 ┌── one goroutine per name ──────────────────────────┐
//	Watch(host) ───> │ ask ─> usable addresses, sorted ─> changed? ─> tell │ ───> changed(addrs), every watcher
//	                 │  ▲                                              │  │
//	                 │  └── wait: TTL, or after an error a backoff ────┘  │
//	                 └────┬────────────────────────────────────────────────┘
//	                      ▼
//	                  Lookup: System() = hosts file, then DNS by Go's resolver; the TTLs, which it does not
//	                          tell, are read from the messages on their way through its connections
//
// The last good answer stands until a better one comes: errors, empty answers and answers without a usable address
// change nothing. A forged answer counts until the next good one, which is asked for within five minutes, and is at
// most 64 addresses. The addresses are those Go's resolver found; what is read beside it, by
// golang.org/x/net/dns/dnsmessage, are TTLs and whether a question was answered.
package resolve
