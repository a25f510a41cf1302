package route

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Query is what is known of a connection when it is routed.
type Query struct {
	Name     Name       // zero: no server name
	ALPN     Protocols  // nil: none offered
	Client   netip.Addr // after any PROXY header; zero: not known, then no `clients` condition holds
	Listener string     // name of the listener that accepted it; "": not known, then no `listeners` condition holds
	Draw     uint64     // uniform random number that chooses among the targets of a split
	Dot      bool       // the name was sent with a dot at its end; it makes no difference to the decision, and is for Explain alone
}

// Protocols says whether the client offers an application protocol; peek.ProtocolList is one.
type Protocols interface{ Contains(proto string) bool }

// ProtocolList is a [Protocols] made from strings.
type ProtocolList []string

// Contains reports whether proto is in the list. Protocol names are bytes and compare as such (RFC 7301 §3.2).
func (l ProtocolList) Contains(proto string) bool { return slices.Contains(l, proto) }

// String lists the protocols for a person, quoted where they hold anything but printable ASCII.
func (l ProtocolList) String() string {
	words := make([]string, len(l))
	for i, proto := range l {
		words[i] = printable(proto)
	}
	return strings.Join(words, ", ")
}

// Verdict says which rule of the table decided.
type Verdict uint8

// The rules that can decide.
const (
	VerdictRoute      Verdict = iota // a route matched
	VerdictNoSNI                     // the listener's no_sni
	VerdictUnknownSNI                // the listener's unknown_sni
)

var verdictWords = [...]string{VerdictRoute: "route", VerdictNoSNI: "no_sni", VerdictUnknownSNI: "unknown_sni"}

// String returns "route", "no_sni" or "unknown_sni".
func (v Verdict) String() string {
	if int(v) < len(verdictWords) {
		return verdictWords[v]
	}
	return fmt.Sprintf("Verdict(%d)", uint8(v))
}

// MarshalText makes a Verdict the same word in JSON and in logs.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Decision is where a connection goes. Exactly one of Pool and Reject is set.
type Decision struct {
	Verdict Verdict
	Route   *Route // nil unless VerdictRoute; read only
	Pool    string
	Reject  Reject
}

// holds reports whether every condition of r holds for q.
func (r *Route) holds(q *Query) bool {
	return r.listenerHolds(q) && r.clientHolds(q) && r.alpnHolds(q)
}

func (r *Route) listenerHolds(q *Query) bool {
	return len(r.Listeners) == 0 || slices.Contains(r.Listeners, q.Listener)
}

func (r *Route) clientHolds(q *Query) bool {
	if len(r.Clients) == 0 {
		return true
	}
	_, ok := r.clientPrefix(q)
	return ok
}

// clientPrefix finds the first prefix that holds the client. An IPv4 client of a socket that takes both families
// looks like ::ffff:192.0.2.1 and counts as IPv4; a zone says which link, not who.
func (r *Route) clientPrefix(q *Query) (netip.Prefix, bool) {
	client := q.Client.Unmap().WithZone("")
	for _, p := range r.Clients {
		if p.Contains(client) {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

func (r *Route) alpnHolds(q *Query) bool {
	if len(r.ALPN) == 0 {
		return true
	}
	_, ok := r.offered(q)
	return ok
}

// offered finds the first protocol of the condition that the client offers.
func (r *Route) offered(q *Query) (string, bool) {
	if q.ALPN == nil {
		return "", false
	}
	for _, proto := range r.ALPN {
		if q.ALPN.Contains(proto) {
			return proto, true
		}
	}
	return "", false
}
