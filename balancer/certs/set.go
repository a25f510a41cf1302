package certs

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"time"
)

// ErrNone says that there is no certificate for the name of a handshake, or none for a handshake without a name. It
// never means that one could not be read now: that is another error. A caller of crypto/tls returns neither certificate
// nor error in its place, and the client gets the alert unrecognized_name.
var ErrNone = errors.New("certs: no certificate for this name")

// Source gives the certificate for a handshake. Implementations are safe for any number of goroutines.
type Source interface {
	// Certificate returns the certificate to show, which the caller must not change, or [ErrNone].
	Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
}

// Config says where the certificates of a Set are. Its paths are absolute. It is not changed once given to [Open].
type Config struct {
	Pairs []PairFile // of equal fitness, the first is preferred
	Dirs  []string   // directories of certificates, asked after Pairs, in this order
	ACME  ACME       // asked after both; nil: none
}

// PairFile is a certificate with its chain, and its private key.
type PairFile struct {
	Cert         string // PEM: the certificate, then its chain
	Key          string // PEM; the same path as Cert if one file holds both
	Default      bool   // also for handshakes whose name no certificate is for, or without one
	AllowExpired bool   // an expired certificate is a warning and no mistake
}

// ACME is a source of certificates that are ordered and renewed by themselves (RFC 8555). Its methods may be called at any
// time, from any goroutine.
type ACME interface {
	Source
	// Challenge returns the certificate that answers a validation by TLS-ALPN-01 (RFC 8737 §3), or [ErrNone] if no such
	// validation of this name is under way.
	Challenge(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
	// Names are the names that certificates are ordered for.
	Names() []string
	// Expiries tells of the certificates that there are.
	Expiries() []Expiry
	// Equal reports whether other orders the same, from the same authority, for the same account.
	Equal(other any) bool
	// Start begins to order and to renew; Stop ends it and waits for what is under way. One may follow the other.
	Start(log *slog.Logger)
	Stop()
}

// Expiry is until when a certificate is good.
type Expiry struct {
	Name     string // the first name that the certificate is for
	NotAfter time.Time
	File     string // of the certificate; for a directory and for ACME, the directory
}

// Set is what one route terminates with. It is safe for any number of goroutines.
type Set struct{ cfg *Config }

// Open reads and checks what cfg names, keeps it in memory and starts nothing: files are looked at again once the Set is
// given to a [Keeper]. Directories are only looked at, and their certificates read when they are asked for. The error is
// [Errors], with all that is wrong.
func Open(cfg *Config) (*Set, error) { return nil, errors.ErrUnsupported }

// Certificate returns the certificate for a handshake, which must not be changed: one for the very name before one for its
// wildcard, ECDSA before RSA where the client can use both, and a default only where the operator has named one. If the
// client can use none of those for its name, it is the first of them, and crypto/tls refuses with the alert that is right.
//
// The error is [ErrNone], or says what is wrong with the file that would be for the name.
func (s *Set) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, ErrNone }

// Challenge returns the certificate that answers a validation by TLS-ALPN-01, or [ErrNone]. It is for a hello that offers
// [ChallengeProtocol] and nothing else: the handshake must choose that protocol, and must ask for no client certificate; the connection
// ends after it (RFC 8737 §3).
func (s *Set) Challenge(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, ErrNone }

// ChallengeProtocol is the application protocol of TLS-ALPN-01.
const ChallengeProtocol = "acme-tls/1"

// Choice is a certificate that a Set has for a name.
type Choice struct {
	File     string    // of the certificate; for ACME, the storage directory
	Key      string    // "ECDSA P-256", "RSA 2048", "Ed25519"
	Names    []string  // that the certificate is for
	NotAfter time.Time // when it expires
	Default  bool      // no certificate is for the name: this is the default
}

// Choices tells what Certificate chooses from for a name, the preferred first. The client decides among them by what it
// can use. The empty name stands for a handshake without one.
func (s *Set) Choices(name string) ([]Choice, error) { return nil, ErrNone }

// FileOf tells where a certificate that Certificate has returned comes from: the path of its file, for ACME the storage
// directory; "" for any other certificate.
func (s *Set) FileOf(cert *tls.Certificate) string { return "" }

// Covers reports whether a host of a route can be terminated: a name has a certificate, or will have by ACME; below a
// wildcard "*.example.com", a regular expression "~^…$" or "*" there may be certificates.
func (s *Set) Covers(host string) bool { return false }

// Names are the names that the certificates of pairs are for and that ACME orders for, sorted. Those of directories
// are not among them.
func (s *Set) Names() []string { return nil }

// Expiries tells of every certificate of a pair and of ACME, and of each directory the one that expires first of those in the cache.
func (s *Set) Expiries() []Expiry { return nil }

// Warnings are what Open found that is allowed, and yet probably not meant.
func (s *Set) Warnings() []*Error { return nil }

// Equal reports whether other is a *Set that was opened with the same Config. What the files hold does not matter: both
// follow them.
func (s *Set) Equal(other any) bool { return false }
