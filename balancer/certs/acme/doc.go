// Package acme orders certificates from an authority (RFC 8555), keeps them in a directory and renews them. What is in the
// directory, when to renew and when to try again is certmagic's business; the account, the orders and the answers to
// challenges are this package's own, on acmez, since certmagic would open listeners on ports that are not its own.
//
//	certs.Keeper ── Start, Stop ──> Manager ──> certmagic: storage, renewal, retries ──> issuer ──> the authority
//	                                   │                                                   │             │
//	handshake ── Certificate ──────────┤            challenge ── kept in the storage <─────┘             │
//	handshake for acme-tls/1 ── Challenge ────────────────> │ <───────── tls-alpn-01, to the listener ───┤
//	                                        port 80, while needed <───── http-01 ────────────────────────┘
//
// Until a Manager is started it opens no connection and writes nothing; the certificates that are in the storage are there
// from the beginning. Several processes may share one storage: one of them orders, and each of them can answer tls-alpn-01.
package acme
