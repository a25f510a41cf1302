package balancer

import (
	"cmp"
	"hash/maphash"
	"net/netip"
	"slices"
	"time"

	"github.com/seed-23b4a313/switchyard/route"
)

// seenNames is what a worker remembers of the names that clients ask for: the busiest of those that a route took, and
// of those that none took. It belongs to the loop. Its size never changes, whatever names arrive, and a flood of names
// that no route takes leaves the others alone.
//
// Each half is a set-associative table that keeps the busiest by the rule of Metwally, Agrawal and El Abbadi,
// "Efficient Computation of Frequent and Top-k Elements in Data Streams" (2005): a name that is new takes the place,
// and the count, of the least busy one of its set. A key that is drawn at random decides about the sets, so that
// nobody can aim at one.
type seenNames struct {
	seed     maphash.Seed
	routed   []seenName
	unrouted []seenName
}

const (
	seenWays = 4
	// routedSets and unroutedSets are, times seenWays, how many names a worker remembers at the most: 1024 and 96 of
	// about 100 bytes, and the names themselves.
	routedSets, unroutedSets = 256, 24
)

// seenName is one name with its last connection.
type seenName struct {
	name     route.Name
	count    uint64 // connections, those of names that had the place before included
	before   uint64 // of the names that had the place before
	at       int64  // loop time of the last one
	client   netip.Addr
	listener string
	route    *route.Route
	pool     string
}

func newSeenNames() seenNames {
	return seenNames{
		seed: maphash.MakeSeed(), routed: make([]seenName, routedSets*seenWays), unrouted: make([]seenName, unroutedSets*seenWays),
	}
}

// note remembers the name of s, which was routed just now.
func (n *seenNames) note(s *session, pool string, now int64) {
	if s.name.IsZero() {
		return
	}
	table := n.unrouted
	if s.route != nil {
		table = n.routed
	}
	at := int(maphash.String(n.seed, s.name.String()) % uint64(len(table)/seenWays))
	set := table[at*seenWays : (at+1)*seenWays]
	least := &set[0]
	for i := range set {
		if set[i].name == s.name {
			least = &set[i]
			break
		}
		if set[i].count < least.count {
			least = &set[i]
		}
	}
	if least.name != s.name {
		least.name, least.before = s.name, least.count
	}
	least.count++
	least.at, least.client, least.listener, least.route, least.pool = now, s.client.Addr(), s.listener.name(), s.route, pool
}

// Names are the busiest names, busiest first.
type Names struct {
	Routed   []NameCount `json:"routed"`   // that a route took
	Unrouted []NameCount `json:"unrouted"` // that no route took
}

// NameCount is one name. Count is a lower bound where many more names arrive than are remembered.
type NameCount struct {
	Name     string    `json:"name"`
	Count    uint64    `json:"count"`    // connections since the name is remembered
	Pool     string    `json:"pool"`     // of the last one; "" if it was refused
	Route    string    `json:"route"`    // of the last one
	Listener string    `json:"listener"` // of the last one
	Last     time.Time `json:"last"`
}

// Names lists the names that clients have asked for lately, at most limit of those that a route took, and of those that
// none took. What is remembered is bounded; see docs/admin-api.md.
func (s *Server) Names(limit int) Names {
	routed, unrouted := s.seen()
	return Names{Routed: busiest(routed, limit), Unrouted: busiest(unrouted, limit)}
}

// seenBy is a seenName with the clock of its worker.
type seenBy struct {
	seenName
	base time.Time
}

// seen copies what all workers remember.
func (s *Server) seen() (routed, unrouted []seenBy) {
	for _, w := range s.workers {
		w.do(func() {
			routed = appendSeen(routed, w.seen.routed, w.loop.Base())
			unrouted = appendSeen(unrouted, w.seen.unrouted, w.loop.Base())
		})
	}
	return routed, unrouted
}

func appendSeen(all []seenBy, table []seenName, base time.Time) []seenBy {
	for i := range table {
		if table[i].count > 0 {
			all = append(all, seenBy{table[i], base})
		}
	}
	return all
}

// busiest adds up what workers have counted for the same name.
func busiest(all []seenBy, limit int) []NameCount {
	sum := make(map[route.Name]*NameCount, len(all))
	for i := range all {
		n := &all[i]
		c := sum[n.name]
		if c == nil {
			c = &NameCount{Name: n.name.String()}
			sum[n.name] = c
		}
		c.Count += n.count - n.before
		if at := n.base.Add(time.Duration(n.at)); at.After(c.Last) {
			c.Last, c.Pool, c.Listener, c.Route = at, n.pool, n.listener, ""
			if n.route != nil {
				c.Route = n.route.Name
			}
		}
	}
	counts := make([]NameCount, 0, len(sum))
	for _, c := range sum {
		counts = append(counts, *c)
	}
	slices.SortFunc(counts, func(a, b NameCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	return counts[:min(max(limit, 0), len(counts))]
}
