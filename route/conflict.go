package route

// What a [Conflict] can be about.
const (
	kindDuplicate       = "duplicate"        // a name or a host with the same conditions is there already
	kindUnreachable     = "unreachable"      // another route takes everything first
	kindBadHost         = "bad host"         // not a host pattern
	kindBadClient       = "bad client"       // not a usable prefix
	kindBadALPN         = "bad alpn"         // not a protocol name
	kindBadAction       = "bad action"       // none, several, or weights that give nobody a share
	kindUnknownPool     = "unknown pool"     // no pool of that name
	kindUnknownListener = "unknown listener" // no listener of that name
	kindMissing         = "missing"          // a name or all hosts
	kindUnknownRoute    = "unknown route"    // no route of that name
	kindPoolInUse       = "pool in use"      // a route or a listener names it
)

// Conflict is one thing that is wrong with a [Set] or an [Edit]: a pair of routes that cannot both be meant, or a value that
// leads nowhere. It is an error whose text is Msg.
type Conflict struct {
	// Kind is "duplicate", "unreachable", "bad host", "bad client", "bad alpn", "bad action", "unknown pool",
	// "unknown listener" or "missing"; of an Edit also "unknown route" or "pool in use".
	Kind     string
	Listener int // index into Set.Listeners of the listener to point at, -1 if it is about a route or a pool
	// Route is the index into Set.Routes or Edit.PutRoutes of the route to point at. It is -1 if the conflict is about a
	// listener or a pool, about something that an Edit deletes, or about a route outside the Edit.
	Route int
	// Field is the key to point at. Of a route: "name", "hosts", "alpn", "clients", "listeners", "pool", "split",
	// "reject", "terminate", or "" for the whole row. Of a listener: "name", "no_sni", "unknown_sni". "pools" for
	// Set.Pools and Edit.PutPools, "delete_routes" and "delete_pools" for the lists of an Edit.
	Field string
	Item  int // index into the list that Field names, -1 if it is no list or all of it is meant
	Host  int // index into Hosts of the host concerned, -1 if none
	// Other is the index of the other route (listener, pool), the same as Route for a host listed twice. It is -1 if there
	// is none, or if it is a route outside the Edit.
	Other     int
	OtherHost int    // index into the Hosts of the other route of the host concerned, -1 if none
	Msg       string // "route \"b\": host api.example.com can never match: route \"a\" …"
}

// Error returns Msg.
func (c Conflict) Error() string { return c.Msg }

// about starts a Conflict that points nowhere yet.
func about(kind string) Conflict {
	return Conflict{Kind: kind, Listener: -1, Route: -1, Item: -1, Host: -1, Other: -1, OtherHost: -1}
}

// at points c at an item of a field.
func (c Conflict) at(field string, item int) Conflict {
	c.Field, c.Item = field, item
	if field == "hosts" {
		c.Host = item
	}
	return c
}

// Check returns everything that is wrong with s, in file order: listeners, then pools, then routes, and each route by its
// keys in the order of [Route]. It returns nil exactly if [NewTable] and [Table.Replace] take s. Its time grows with the
// size of s, and not with the square of it.
func Check(s *Set) []Conflict { return newPlan(s, nil).conflicts }
