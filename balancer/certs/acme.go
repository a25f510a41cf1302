package certs

import (
	"crypto/tls"
	"log/slog"
)

// ACME orders certificates and renews them by itself (RFC 8555). Its methods may be called at any time, from any
// goroutine.
type ACME interface {
	// Certificate returns the certificate for one of Names, with its Leaf, or a [*Pending] as long as there is none.
	Certificate(name string) (*tls.Certificate, error)
	// Challenge returns the certificate that answers a validation by TLS-ALPN-01 (RFC 8737 §3), or [ErrNone] if no such
	// validation of this name is under way.
	Challenge(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
	// Orders tells what has come of the orders so far.
	Orders() Orders
	// Names are the names that certificates are ordered for, in lower case; the caller must not change them.
	Names() []string
	// Storage is the directory that certificates, keys and the account are kept in.
	Storage() string
	// Equal reports whether other orders the same, from the same authority, for the same account.
	Equal(other any) bool
	// Start begins to order and to renew; Stop ends it and waits for what is under way. One may follow the other.
	Start(log *slog.Logger)
	Stop()
}

// ChallengeProtocol is the application protocol of TLS-ALPN-01.
const ChallengeProtocol = "acme-tls/1"
