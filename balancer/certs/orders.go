package certs

import (
	"strings"
	"time"
)

// Orders is what has come of the orders of an [ACME] since it was made.
type Orders struct {
	Obtained uint64 // certificates for names that had none
	Renewed  uint64
	Failed   uint64 // tries that came to nothing
	Missing  int    // names that there is no certificate for now

	LastSuccess time.Time // zero: none yet
	LastFailure time.Time // likewise
}

// Orders tells what has come of the orders; ok is false for a Set that orders nothing.
func (s *Set) Orders() (o Orders, ok bool) {
	if s.acme == nil {
		return o, false
	}
	return s.acme.Orders(), true
}

// Pending says that there is no certificate for a name, since ACME has not obtained it yet. It is an [ErrNone].
type Pending struct {
	Since time.Time // of the first try; zero: this process does not try
	Next  time.Time // of the next try; zero: it is under way, or not known
	Last  string    // what was wrong with the last try, in printable ASCII of bounded length; ""
}

// Is says that a Pending is an [ErrNone].
func (*Pending) Is(target error) bool { return target == ErrNone }

func (p *Pending) Error() string {
	var b strings.Builder
	b.WriteString("certs: ACME has not obtained the certificate yet")
	if p.Since.IsZero() {
		b.WriteString(": the process that orders it says more: switchyard certificates NAME")
		return b.String()
	}
	b.WriteString(" (tried since " + p.Since.UTC().Format(time.RFC3339))
	if !p.Next.IsZero() {
		b.WriteString(", again at " + p.Next.UTC().Format(time.RFC3339))
	}
	b.WriteString(")")
	if p.Last != "" {
		b.WriteString(": " + p.Last)
	}
	return b.String()
}
