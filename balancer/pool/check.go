package pool

import (
	"crypto/x509"
	"net/netip"
	"slices"
	"time"
)

// CheckType is what an active check does with a backend.
type CheckType uint8

// The types. Each does what the one before it does, and more; CheckHTTP leaves out TLS.
const (
	CheckTCP   CheckType = iota // connects
	CheckTLS                    // completes a TLS handshake
	CheckHTTP                   // makes a request by HTTP/1.1
	CheckHTTPS                  // makes it over TLS
)

var checkTypeWords = [...]string{CheckTCP: "tcp", CheckTLS: "tls", CheckHTTP: "http", CheckHTTPS: "https"}

// String is the word for t in the file, logs and status.
func (t CheckType) String() string {
	if int(t) < len(checkTypeWords) {
		return checkTypeWords[t]
	}
	return "invalid"
}

// ParseCheckType reads "tcp", "tls", "http" or "https".
func ParseCheckType(word string) (CheckType, bool) {
	i := slices.Index(checkTypeWords[:], word)
	return CheckType(max(i, 0)), i >= 0
}

// TLS tells whether checks of type t make a TLS handshake.
func (t CheckType) TLS() bool { return t == CheckTLS || t == CheckHTTPS }

// HTTP tells whether checks of type t make a request.
func (t CheckType) HTTP() bool { return t == CheckHTTP || t == CheckHTTPS }

// CheckVerify is by what a check verifies the backend's certificate.
type CheckVerify uint8

// What there is to verify by.
const (
	VerifyNone   CheckVerify = iota // any certificate will do
	VerifySystem                    // the system's authorities
	VerifyCA                        // the authorities in Check.CA
)

var checkVerifyWords = [...]string{VerifyNone: "none", VerifySystem: "system", VerifyCA: "ca"}

// String is the word for v in logs and status.
func (v CheckVerify) String() string {
	if int(v) < len(checkVerifyWords) {
		return checkVerifyWords[v]
	}
	return "invalid"
}

// Authorities are certificates to trust. They may come to be others while what they are Equal to stays the same: a file
// that is followed, for one.
type Authorities interface {
	Sameness
	Authorities() *x509.CertPool // those of now, which the caller must not change; others are another pointer
}

// Check describes the active check of a pool's backends. It is never changed once a Config holds it; pools whose
// checks are Equal share what is found out about an address.
type Check struct {
	Type    CheckType
	Address netip.Addr // to check instead of the backend's; zero: the backend's
	Port    uint16     // to check instead of the backend's; 0: the backend's

	SNI    string      // server name to send and, if Verify says so, to find in the certificate; "": none, and the address
	ALPN   []string    // protocols to offer; empty: none in a check by TLS, http/1.1 in one by HTTPS
	Verify CheckVerify // of the certificate
	CA     Authorities // for VerifyCA

	Interval     time.Duration // > 0; from the start of a check to that of the next
	FastInterval time.Duration // the same while the state is about to change or not known; 0: Interval
	Timeout      time.Duration // > 0; from the start of a check to its end
	Rise         int           // >= 1; checks in a row that must pass before the backend is up
	Fall         int           // >= 1; checks in a row that must fail before it is down

	Method       string // of the request; "": GET
	Path         string // with the query, if there is one; "": /
	Host         string // "": the SNI, or the address that is checked
	ExpectStatus []int  // empty: 200 to 399

	Header HeaderVersion // PROXY header before anything else, which says that the connection is our own
}

// Equal reports whether c and o do the same. Either may be nil.
func (c *Check) Equal(o *Check) bool {
	if c == nil || o == nil || c == o {
		return c == o
	}
	return c.Type == o.Type && c.Address == o.Address && c.Port == o.Port &&
		c.SNI == o.SNI && slices.Equal(c.ALPN, o.ALPN) && c.Verify == o.Verify && same(c.CA, o.CA) &&
		c.Interval == o.Interval && c.FastInterval == o.FastInterval && c.Timeout == o.Timeout &&
		c.Rise == o.Rise && c.Fall == o.Fall &&
		c.Method == o.Method && c.Path == o.Path && c.Host == o.Host && slices.Equal(c.ExpectStatus, o.ExpectStatus) &&
		c.Header == o.Header
}

// same reports whether a and b, each of which may be nil, are the same.
func same(a, b Sameness) bool { return a == nil && b == nil || a != nil && b != nil && a.Equal(b) }

// Target is the address that the check of a backend at addr connects to.
func (c *Check) Target(addr netip.AddrPort) netip.AddrPort {
	ip, port := addr.Addr(), addr.Port()
	if c.Address.IsValid() {
		ip = c.Address
	}
	if c.Port != 0 {
		port = c.Port
	}
	return netip.AddrPortFrom(ip, port)
}
