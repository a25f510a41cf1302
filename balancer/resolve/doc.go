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
// change nothing. A forged answer can add members only as long as its TTL (at most five minutes), and
// at most 64; the message parsers are Go's own, ours (golang.org/x/net/dns/dnsmessage) reads TTLs and nothing else.
package resolve
