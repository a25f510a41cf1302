package health

import (
	"crypto/sha256"
	"crypto/x509"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// Report is what is known of a target. It is a value: a receiver may keep it.
type Report struct {
	State pool.State // StateUnknown until Rise or Fall has decided, then StateUp or StateDown
	Since time.Time  // when State began
	Last  time.Time  // when the last check came to its result

	Failures  int // in a row, up to the last check; 0 if that passed
	Successes int // in a row; 0 if the last check failed

	// Error is why the last failed check failed: a line of printable ASCII, at most 200 bytes, the same for the same
	// reason. It stays when later checks pass; "": none has failed.
	Error   string
	Latency time.Duration // from the start to the result of the last check that passed; 0: none has

	// What the last TLS handshake that was completed has shown, whether its certificate was good or not. Zero for
	// checks without TLS, and until the first.
	Certificate *Certificate // shared by reports: not to be changed
	Version     uint16       // as in crypto/tls
	ALPN        string       // "": none was agreed upon
}

// Certificate is what is of interest in the certificate that a backend has shown for itself.
type Certificate struct {
	NotAfter    time.Time
	Names       []string // of hosts and addresses (RFC 5280 §4.2.1.6), in their order, as far as they fit into 8 KiB
	Fingerprint [sha256.Size]byte
}

// namesRoom bounds the bytes of Certificate.Names, which a stranger may have written. A hundred names, the most that
// public authorities usually put into one certificate, take 2 to 3 KiB.
const namesRoom = 8 << 10

// describe makes a Certificate of leaf.
func describe(leaf *x509.Certificate) *Certificate {
	c := &Certificate{NotAfter: leaf.NotAfter, Fingerprint: sha256.Sum256(leaf.Raw)}
	room := namesRoom
	for _, name := range leaf.DNSNames {
		c.Names = appendName(c.Names, name, &room)
	}
	for _, ip := range leaf.IPAddresses {
		c.Names = appendName(c.Names, ip.String(), &room)
	}
	return c
}

// appendName appends a name that may be one and for which there is room, with its string header.
func appendName(names []string, name string, room *int) []string {
	const longest, header = 253, 16 // RFC 1035 §2.3.4, without the root
	if name == "" || len(name) > longest || printable(name) != name || *room < len(name)+header {
		return names
	}
	*room -= len(name) + header
	return append(names, name)
}

// note takes the result of one check into r, and tells whether State has changed.
func (r *Report) note(o *outcome, check *pool.Check, now time.Time) (changed bool) {
	r.Last = now
	if o.shown {
		r.Version, r.ALPN = o.version, o.alpn
	}
	if o.certificate != nil {
		r.Certificate = o.certificate
	}
	state := r.State
	if o.reason == "" {
		r.Failures, r.Successes, r.Latency = 0, r.Successes+1, o.took
		if r.Successes >= check.Rise {
			state = pool.StateUp
		}
	} else {
		r.Failures, r.Successes, r.Error = r.Failures+1, 0, o.reason
		if r.Failures >= check.Fall {
			state = pool.StateDown
		}
	}
	if state == r.State {
		return false
	}
	r.State, r.Since = state, now
	return true
}

// changing tells whether the next checks may change State.
func (r *Report) changing() bool {
	switch r.State {
	case pool.StateUp:
		return r.Failures > 0
	case pool.StateDown:
		return r.Successes > 0
	}
	return true
}
