package route

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
)

// Set is a whole routing table as data. [NewTable] and [Table.Replace] copy what they need of it, except for
// what [Route.Terminate] points at.
type Set struct {
	Listeners []Listener
	Pools     []string
	Routes    []Route
}

// Listener is what the table has to know of a listener.
type Listener struct {
	Name       string
	NoSNI      Action // for a sound hello without a server name that no route takes; the zero Action means alert
	UnknownSNI Action // for a name that no route matches; the zero Action means alert
}

// Route is one row of `routes:`. It is never changed once it is in a [Table].
type Route struct {
	Name      string
	Index     int            // ascending in file order, with holes after a change; breaks ties. [Table] sets it
	Hosts     []string       // as written: exact, "*.suffix", "~regexp", "*"; or NoName
	ALPN      []string       // any of these in the client's list; empty: no condition
	Clients   []netip.Prefix // the client's address is in one of them; empty: no condition
	Listeners []string       // any of these by name; empty: no condition
	Action    Action
	// Terminate, when not nil, says that TLS ends here. Its content is not route's business; it is kept as it
	// is, and must not change afterwards. Two are the same if the first one's method Equal(any) bool says so, or,
	// where it has none, if reflect.DeepEqual does. An [Explanation] shows what its methods Describe(Name) []string and
	// Foresee(*Query) (cause, why string) say, if it has them.
	Terminate any
}

// Action is what happens to a connection: exactly one of Targets and Reject is set.
type Action struct {
	Targets []Target
	Reject  Reject
}

// Target is one pool of an [Action] with its share.
type Target struct {
	Pool   string
	Weight int // 0 to 1 000 000, at least one of an Action above 0; 1 for a plain `pool:`
}

// maxWeight keeps sums of weights far from overflow and shares printable.
const maxWeight = 1_000_000

// Reject is how a connection is refused. The zero Reject means "not rejected".
type Reject uint8

// The ways to refuse a connection.
const (
	RejectNone  Reject = iota
	RejectAlert        // TLS alert, then FIN
	RejectClose        // FIN
	RejectReset        // RST
)

var rejectWords = [...]string{RejectNone: "none", RejectAlert: "alert", RejectClose: "close", RejectReset: "reset"}

// ParseReject reads "alert", "close" or "reset".
func ParseReject(word string) (Reject, error) {
	if i := slices.Index(rejectWords[RejectAlert:], word); i >= 0 {
		return RejectAlert + Reject(i), nil
	}
	return RejectNone, fmt.Errorf("route: reject %q: want alert, close or reset", word)
}

// String returns the word of the configuration, "none" for the zero Reject.
func (r Reject) String() string {
	if int(r) < len(rejectWords) {
		return rejectWords[r]
	}
	return fmt.Sprintf("Reject(%d)", uint8(r))
}

// MarshalText makes a Reject the same word in JSON and in logs.
func (r Reject) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// pick chooses the target for draw: any run of as many consecutive draws as the weights add up to gives each target
// exactly its weight, and a uniform draw is off by less than one in 2^43. It returns "" for an Action without targets.
func (a *Action) pick(draw uint64) string {
	if len(a.Targets) == 1 {
		return a.Targets[0].Pool
	}
	sum := a.weight()
	if sum == 0 {
		return ""
	}
	rest := draw % sum
	for _, t := range a.Targets {
		if rest < uint64(t.Weight) {
			return t.Pool
		}
		rest -= uint64(t.Weight)
	}
	panic("route: weights changed while a target was picked")
}

// weight is the sum of the weights.
func (a *Action) weight() (sum uint64) {
	for _, t := range a.Targets {
		sum += uint64(t.Weight)
	}
	return sum
}

func (a *Action) isZero() bool { return len(a.Targets) == 0 && a.Reject == RejectNone }

func (a Action) clone() Action {
	a.Targets = slices.Clone(a.Targets)
	return a
}

// equal reports whether r and q are the same but for Index.
func (r *Route) equal(q *Route) bool {
	return r.Name == q.Name &&
		slices.Equal(r.Hosts, q.Hosts) &&
		slices.Equal(r.ALPN, q.ALPN) &&
		slices.Equal(r.Clients, q.Clients) &&
		slices.Equal(r.Listeners, q.Listeners) &&
		r.Action.equal(&q.Action) &&
		terminatesAs(r.Terminate, q.Terminate)
}

func (a *Action) equal(b *Action) bool {
	return a.Reject == b.Reject && slices.Equal(a.Targets, b.Targets)
}

func (l *Listener) equal(m *Listener) bool {
	return l.Name == m.Name && l.NoSNI.equal(&m.NoSNI) && l.UnknownSNI.equal(&m.UnknownSNI)
}

// terminatesAs reports whether two values of Terminate say the same.
func terminatesAs(a, b any) bool {
	if x, ok := a.(interface{ Equal(any) bool }); ok {
		return x.Equal(b)
	}
	return reflect.DeepEqual(a, b)
}

// clone copies r so that its owner may go on changing the original.
func (r *Route) clone(index int) *Route {
	c := *r
	c.Index = index
	c.Hosts = slices.Clone(r.Hosts)
	c.ALPN = slices.Clone(r.ALPN)
	c.Clients = slices.Clone(r.Clients)
	c.Listeners = slices.Clone(r.Listeners)
	c.Action = r.Action.clone()
	return &c
}
