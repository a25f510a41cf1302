package health

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

// fullEvery is how old the last full handshake may be. A certificate that was replaced is seen after that time at the
// latest, and one handshake of 24 is a full one at the default interval of 5 s.
const fullEvery = 2 * time.Minute

// avoidFor is how long a backend that could not resume a session gets full handshakes only.
const avoidFor = time.Hour

// Bounds of what is kept of a backend between two checks, which the backend has chosen. Real chains are of 1 to 6 KiB,
// and tickets of 0.2 to 2 KiB; who sends more of either always gets a full handshake. A certificate that is
// parsed takes about twice its length.
const (
	maxChain  = 8 << 10
	maxTicket = 4 << 10
)

// session is the TLS session with a target, as the cache of one that crypto/tls asks for it. It is used by one
// check at a time. The zero value has none.
type session struct {
	kept    *tls.ClientSessionState
	roots   *x509.CertPool // which the last full handshake was verified by
	renewal time.Time      // from then on, the next handshake is a full one
	avoided time.Time      // until then, all are
	tooBig  bool           // the certificates are
}

var _ tls.ClientSessionCache = (*session)(nil)

// ready tells whether there is a session for a handshake at now that trusts roots, and drops one that is to be renewed.
func (s *session) ready(now time.Time, roots *x509.CertPool) bool {
	if now.After(s.renewal) || now.Before(s.avoided) || roots != s.roots {
		s.drop()
	}
	return s.kept != nil
}

// drop makes the next handshake a full one.
func (s *session) drop() { s.kept = nil }

// avoid makes all handshakes full ones for a while.
func (s *session) avoid(now time.Time) { s.avoided = now.Add(avoidFor) }

// renewed takes note of a full handshake with these certificates, verified by roots.
func (s *session) renewed(chain []*x509.Certificate, now time.Time, roots *x509.CertPool) {
	size := 0
	for _, c := range chain {
		size += len(c.Raw)
	}
	s.roots = roots
	if s.renewal, s.tooBig = now.Add(fullEvery), size > maxChain; s.tooBig {
		s.drop()
	}
}

// Get implements [tls.ClientSessionCache]; there is one session whatever it is called.
func (s *session) Get(string) (*tls.ClientSessionState, bool) { return s.kept, s.kept != nil }

// Put implements [tls.ClientSessionCache]. state is nil if the session is to be forgotten.
func (s *session) Put(_ string, state *tls.ClientSessionState) {
	s.kept = nil
	if state == nil || s.tooBig {
		return
	}
	if ticket, _, err := state.ResumptionState(); err == nil && len(ticket) <= maxTicket {
		s.kept = state
	}
}
