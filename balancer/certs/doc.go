// Package certs holds the certificates of hosts whose TLS ends here, and gives one to each handshake.
//
//	file pairs ──> Open ──> checked pairs ──> index: exact names, wildcards, defaults ─┐
//	                           ▲                                                       │
//	Keeper ── every second ────┘ a changed file: the whole pair, or the old one stays  ├─> Set.Certificate
//	                                                                                   │
//	directories ──> by file name, when asked for ──> bounded cache ────────────────────┤
//	                                                                                   │
//	ACME ──> ordered and renewed while a Keeper keeps the Set ─────────────────────────┘
//
// Opening a Set starts nothing and holds nothing open, so that a file of configuration can be checked by opening what it
// names, and a Set that is not put in force is left to the collector. What is in force is given to a [Keeper], whose one
// goroutine looks at the files; a handshake reads no file of a pair, and of a directory only what is not in the cache.
//
// A name has a certificate, or there is [ErrNone]: no certificate is ever given for a name that it is not for, except
// the one that the operator has named as the default.
//
// A private key goes from its file into the [crypto/tls.Certificate] and nowhere else: no message of this package quotes
// the content of a file.
package certs
