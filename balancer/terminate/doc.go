// Package terminate ends the TLS of clients: a loop hands it a socket with the bytes that were read of it, and one
// goroutine owns the connection from then on.
//
//	             ┌──────────────────────────────── Conn ────────────────────────────────┐
//	loop ─ fd ──▶│ turn ─▶ handshake ─▶ pick ─▶ dial ─▶ PROXY header ─▶ (TLS) ─▶ relay  │──▶ Job.Done, once
//	    bytes    │  Budget   Policy      pool              └──── next backend ◀──┘        │
//	             └──────────────────────────────────────────────────────────────────────┘
//
// A [Policy] says how TLS is spoken with the clients of a route: certificates, versions, ciphers, groups, protocols,
// client certificates and tickets. The Policy is chosen by the name that chose the route. crypto/tls reads the name once
// more out of the same bytes; a handshake in which the two differ is refused.
//
// A session is resumed for the name it was made for and under the Policy it was made under, or not at all: the keys of
// tickets are derived from the Policy and the authorities it trusts, and a ticket carries its name. Certificates of clients are
// verified again each time.
//
// The files of client_auth are followed without a reload. Authorities and lists of revoked certificates that go together are
// put in force by one swap of a pointer, and what is in force when a handshake ends is what its client is held to.
//
// A [Budget] bounds how many handshakes are computed at one time, so that those never take all cores from the loops. A
// handshake that waits for its client holds no turn of the budget.
//
// A connection that waits holds two goroutines and no buffer. The loop keeps its time: it looks at what the [Conn] tells
// of its progress, and stops it.
package terminate
