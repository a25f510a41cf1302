package balancer

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/seed-23b4a313/switchyard/route"
)

// Effects are what a change would do to the traffic there is: the open connections, and the names seen lately, whose
// pool would be another one. A change leaves open connections alone; they show what the next ones would meet.
type Effects struct {
	Connections int      `json:"connections"` // open ones concerned
	Names       int      `json:"names"`       // names concerned
	Examples    []Effect `json:"examples"`    // the busiest names first, then connections
}

// Effect is one name, or one connection, that would go elsewhere.
type Effect struct {
	What     string `json:"what"` // "name" or "connection"
	SNI      string `json:"sni"`  // "" for a hello without a name
	Client   string `json:"client"`
	Listener string `json:"listener"`
	From     string `json:"from"`  // "pool web", "split web, canary" or "reject alert"
	To       string `json:"to"`    // likewise
	Count    uint64 `json:"count"` // connections that the name had
}

// Effects looks at the connections that are open and the names that are remembered; see [Server.Names]. Examples has
// at most limit of each. What protocols a client offered is not kept: it is taken to be one of those that its
// route asks for.
func (p *Prepared) Effects(limit int) Effects {
	e := Effects{Examples: []Effect{}}
	routed, unrouted := p.server.seen()
	e.names(p.effectsOnNames(slices.Concat(routed, unrouted)), limit)
	shown := 0
	for _, l := range p.server.live(&ConnectionFilter{}) {
		if l.pool == nil || l.listener.final.Load() != nil {
			continue
		}
		to := (&asker{l.name, l.client.Addr(), l.route, l.listener.name()}).goesTo(p.after.routes)
		if slices.Contains(to.pools, l.pool.Name()) {
			continue
		}
		if e.Connections++; shown < limit {
			shown++
			e.Examples = append(e.Examples, Effect{What: "connection", SNI: l.name.String(), Client: l.client.String(),
				Listener: l.listener.name(), From: "pool " + l.pool.Name(), To: to.text, Count: 1})
		}
	}
	return e
}

// names takes over the effects on names.
func (e *Effects) names(all []Effect, limit int) {
	e.Names = len(all)
	slices.SortFunc(all, func(a, b Effect) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.SNI, b.SNI))
	})
	e.Examples = append(e.Examples, all[:min(limit, len(all))]...)
}

// effectsOnNames are the names that would go elsewhere, each once.
func (p *Prepared) effectsOnNames(seen []seenBy) (all []Effect) {
	at := map[route.Name]int{}
	for i := range seen {
		n := &seen[i]
		if j, ok := at[n.name]; ok {
			all[j].Count += n.count - n.before
			continue
		}
		who := &asker{n.name, n.client, n.route, n.listener}
		from, to := who.goesTo(p.before.routes), who.goesTo(p.after.routes)
		if from.text == to.text {
			continue
		}
		at[n.name] = len(all)
		all = append(all, Effect{What: "name", SNI: n.name.String(), Client: n.client.String(), Listener: n.listener,
			From: from.text, To: to.text, Count: n.count - n.before})
	}
	return all
}

// asker is what is kept of a connection that was routed.
type asker struct {
	name     route.Name
	client   netip.Addr
	route    *route.Route // that took it; nil if none did
	listener string
}

// place is where a table sends an asker.
type place struct {
	pools []string // those with a share; none if it is refused
	text  string
}

// goesTo asks a table where the next connection of the same kind would go.
func (a *asker) goesTo(table *route.Snapshot) place {
	q := route.Query{Name: a.name, Client: a.client, Listener: a.listener}
	if a.route != nil && len(a.route.ALPN) > 0 {
		q.ALPN = route.ProtocolList(a.route.ALPN)
	}
	e := table.Explain(&q)
	if e.Decision.Reject != route.RejectNone {
		return place{text: "reject " + e.Decision.Reject.String()}
	}
	var p place
	for _, t := range e.Action.Targets {
		if t.Weight > 0 {
			p.pools = append(p.pools, t.Pool)
		}
	}
	p.text = "pool " + strings.Join(p.pools, ", ")
	if len(p.pools) > 1 {
		p.text = "split " + strings.Join(p.pools, ", ")
	}
	return p
}
