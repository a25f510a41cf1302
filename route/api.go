package route

import "net/netip"

// Name is a normalised host name: lower case, no trailing dot, checked. The zero Name means "no name".
type Name struct{ s string }

// ParseName normalises a host name as it came over the wire or from a file.
func ParseName[T string | []byte](raw T) (Name, error) { panic("stub") }

func (n Name) String() string { return n.s }
func (n Name) IsZero() bool   { return n.s == "" }

// Reject is how a connection is refused. The zero Reject means "not rejected".
type Reject uint8

const (
	RejectNone  Reject = iota
	RejectAlert        // TLS alert, then FIN
	RejectClose        // FIN
	RejectReset        // RST
)

// Target is one pool of an Action with its share.
type Target struct {
	Pool   string
	Weight int // > 0; 1 for a plain `pool:`
}

// Action is what happens to a connection: exactly one of Targets and Reject is set.
type Action struct {
	Targets []Target
	Reject  Reject
}

// Route is one row of `routes:`. It is never changed once it is in a Table.
type Route struct {
	Name      string
	Index     int      // position in the file, from 0; breaks ties
	Hosts     []string // as written: exact, "*.suffix", "~regexp", "*"
	ALPN      []string // any of these; empty: any
	Clients   []netip.Prefix
	Listeners []string
	Action    Action
	// Terminate, when not nil, says that TLS ends here. Its content is not route's business.
	Terminate any
}

// Listener is what the table has to know of a listener.
type Listener struct {
	Name       string
	NoSNI      Action
	UnknownSNI Action
}

// Set is a whole routing table as data.
type Set struct {
	Listeners []Listener
	Pools     []string
	Routes    []Route
}

// Conflict is a pair of routes that cannot both be meant, or a reference that leads nowhere.
type Conflict struct {
	Kind  string // "duplicate", "unreachable", "bad host", "unknown pool", "unknown listener", …
	Route int    // index into Set.Routes of the route to point at
	Other int    // index of the other route, -1 if none
	Host  int    // index into Hosts of the host concerned, -1 if none
	Msg   string // "route \"b\": host api.example.com can never match: route \"a\" …"
}

// Check returns everything that is wrong with s, in file order.
func Check(s *Set) []Conflict { panic("stub") }

// Table is the live routing table.
type Table struct{}

// NewTable builds a table from s. The error joins everything that Check finds.
func NewTable(s *Set) (*Table, error) { panic("stub") }

// Replace makes s the content of the table in one write transaction.
func (t *Table) Replace(s *Set) error { panic("stub") }

// Snapshot is a consistent view of the table; it stays as it is while the table changes. Any number of
// goroutines may use one.
type Snapshot struct{}

// Snapshot returns the present content.
func (t *Table) Snapshot() *Snapshot { panic("stub") }

// Protocols says whether the client offers an application protocol; peek.ProtocolList is one.
type Protocols interface{ Contains(proto string) bool }

// ProtocolList is a Protocols made from strings.
type ProtocolList []string

func (l ProtocolList) Contains(proto string) bool { panic("stub") }

// Query is what is known of a connection when it is routed.
type Query struct {
	Name     Name      // zero: no server name
	ALPN     Protocols // nil: none offered
	Client   netip.Addr
	Listener string
	Draw     uint64 // uniform random number that chooses among the Targets of a split
}

// Verdict says which rule of the table decided.
type Verdict uint8

const (
	VerdictRoute      Verdict = iota // a route matched
	VerdictNoSNI                     // the listener's no_sni
	VerdictUnknownSNI                // the listener's unknown_sni
)

// Decision is where a connection goes. Exactly one of Pool and Reject is set.
type Decision struct {
	Verdict Verdict
	Route   *Route // nil unless VerdictRoute
	Pool    string
	Reject  Reject
}

// Match decides. It never fails: an unmatched name gets the listener's unknown_sni.
func (s *Snapshot) Match(q *Query) Decision { panic("stub") }

// Explanation is a decision with its reasons.
type Explanation struct {
	Decision Decision
	Action   Action // all targets of a split, with weights
	Steps    []Step // candidates in the order they were tried
}

// Step is one candidate and what became of it.
type Step struct {
	Host   string `json:"host"`            // the pattern, as written
	Route  string `json:"route,omitempty"` // the route it belongs to
	Won    bool   `json:"won"`
	Reason string `json:"reason"` // "alpn: wants acme-tls/1; the client offers h2, http/1.1"
}

// Explain decides as Match does, and tells everything.
func (s *Snapshot) Explain(q *Query) Explanation { panic("stub") }
