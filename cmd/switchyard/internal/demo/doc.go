// Package demo is three TLS services to put behind a balancer, and a client that checks what came of it.
//
//	Authority ── Issue ──> Backend (its own certificate and key, in memory only)
//	                          ^                        │ keying material of each session it ended
//	Probe ── TLS handshake ── balancer under test      │
//	   └──── keying material of its session ──> equal? ┘
//
// The proof that nobody decrypted a connection on the way is the keying material that both ends export from it (RFC
// 8446 §7.5): whoever ends TLS in the middle has one session with each side, and the two export different bytes.
package demo
