package route

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hashicorp/go-memdb"
)

// plan is a Set on its way into the database: checked, and with the routes of each host in the order in which they are
// tried.
type plan struct {
	set       *Set
	conflicts []Conflict     // in file order, once newPlan is done
	listeners map[string]int // name -> index of the first one
	pools     map[string]int // likewise
	conds     []conds        // by route
	groups    []*group       // by first appearance in the file
	byHost    map[hostID]*group
}

// hostID says which hosts are the same.
type hostID struct {
	kind kind
	key  string
}

// group is one host and all that name it.
type group struct {
	pattern
	entries []entry // in the order in which they are tried; of those in conflict only the first
	cover   *cover  // of the entries; nil until it is needed
}

// entry is one mention of a host in a Set.
type entry struct{ route, host int }

func newPlan(s *Set) *plan {
	p := &plan{
		set:       s,
		listeners: make(map[string]int, len(s.Listeners)),
		pools:     make(map[string]int, len(s.Pools)),
		conds:     make([]conds, len(s.Routes)),
		byHost:    make(map[hostID]*group, len(s.Routes)),
	}
	p.checkPools() // first: the others look names up
	p.checkListeners()
	p.checkRoutes()
	p.groupHosts()
	for _, g := range p.groups {
		p.order(g)
	}
	for _, g := range p.groups {
		p.checkShadow(g)
	}
	slices.SortStableFunc(p.conflicts, fileOrder)
	return p
}

// fields are the keys a Conflict can point at, in the order in which conflicts of one row are reported.
var fields = []string{"", "name", "hosts", "alpn", "clients", "listeners", "pool", "split", "reject", "terminate", "no_sni", "unknown_sni", "pools"}

// fileOrder sorts conflicts as a file has what they point at: listeners, pools, routes.
func fileOrder(a, b Conflict) int {
	return cmp.Or(
		cmp.Compare(a.section(), b.section()),
		cmp.Compare(a.Listener, b.Listener),
		cmp.Compare(a.Route, b.Route),
		cmp.Compare(slices.Index(fields, a.Field), slices.Index(fields, b.Field)),
		cmp.Compare(a.Item, b.Item),
	)
}

// section is the place in a file of the list that c points into.
func (c *Conflict) section() int {
	switch {
	case c.Listener >= 0:
		return 0
	case c.Route < 0:
		return 1
	default:
		return 2
	}
}

func (p *plan) report(c Conflict, format string, args ...any) {
	c.Msg = fmt.Sprintf(format, args...)
	p.conflicts = append(p.conflicts, c)
}

// groupHosts parses all hosts and brings those that are the same together.
func (p *plan) groupHosts() {
	expressions, cells := 0, 0
	for i := range p.set.Routes {
		r := &p.set.Routes[i]
		p.conds[i] = condsOf(r)
		for j, host := range r.Hosts {
			pat, err := parsePattern(host)
			if err != nil {
				p.report(p.host(kindBadHost, i, j), "%s: host %s: %s", p.title(i), printable(host), err)
				continue
			}
			if g := p.group(pat); g.add(entry{i, j}) == 1 && pat.expr != nil {
				expressions++
				cells += len(pat.expr.next)
				p.checkBudget(i, j, expressions, cells)
			}
		}
	}
}

func (p *plan) group(pat pattern) *group {
	id := hostID{pat.kind, pat.key}
	g := p.byHost[id]
	if g == nil {
		g = &group{pattern: pat}
		p.byHost[id] = g
		p.groups = append(p.groups, g)
	}
	return g
}

// add appends e and says how many entries there are then.
func (g *group) add(e entry) int {
	g.entries = append(g.entries, e)
	return len(g.entries)
}

// checkBudget holds a table to what its expressions may cost together (R21).
func (p *plan) checkBudget(route, host, expressions, cells int) {
	if expressions == maxExpressions+1 {
		p.report(p.host(kindBadHost, route, host), "%s: host %s: more than %d different regexps in one table",
			p.title(route), printable(p.set.Routes[route].Hosts[host]), maxExpressions)
	}
	if cells > maxExpressionCells {
		p.report(p.host(kindBadHost, route, host), "%s: host %s: the regexps up to this one need more than %d MiB together",
			p.title(route), printable(p.set.Routes[route].Hosts[host]), maxExpressionCells*2>>20)
	}
}

// order puts the entries of g in the order in which they are tried, and reports those that are never reached.
func (p *plan) order(g *group) {
	if len(g.entries) == 1 {
		return
	}
	g.cover = new(cover)
	slices.SortStableFunc(g.entries, func(a, b entry) int {
		return cmp.Compare(p.conds[b.route].count(), p.conds[a.route].count())
	})
	kept := g.entries[:0]
	for _, e := range g.entries {
		if first, ok := g.cover.find(&p.conds[e.route]); ok {
			p.reportCovered(e, first)
			continue
		}
		g.cover.add(e, &p.conds[e.route])
		kept = append(kept, e)
	}
	g.entries = kept
}

// reportCovered says that e is never reached, because first takes all that it would take.
func (p *plan) reportCovered(e, first entry) {
	host := printable(p.set.Routes[e.route].Hosts[e.host])
	c := p.host(kindDuplicate, e.route, e.host)
	c.Other, c.OtherHost = first.route, first.host
	switch {
	case e.route == first.route:
		p.report(c, "%s: host %s is listed twice", p.title(e.route), host)
	case p.conds[e.route].equal(&p.conds[first.route]):
		p.report(c, "%s: host %s can never match: %s has the same host and conditions, and comes first",
			p.title(e.route), host, p.title(first.route))
	default:
		c.Kind = kindUnreachable
		p.report(c, "%s: host %s can never match: %s has the same host, is tried first, and its conditions hold whenever these do",
			p.title(e.route), host, p.title(first.route))
	}
}

// checkShadow reports an expression all of whose names a "*." host takes before it.
func (p *plan) checkShadow(g *group) {
	if g.kind != kindRegexp {
		return
	}
	for _, e := range g.entries {
		if wild, first, ok := p.shadow(g.expr.suffix, &p.conds[e.route]); ok {
			c := p.host(kindUnreachable, e.route, e.host)
			c.Other, c.OtherHost = first.route, first.host
			p.report(c, "%s: host %s can never match: names that end so belong to %s of %s, which is tried before any regexp",
				p.title(e.route), printable(p.set.Routes[e.route].Hosts[e.host]), wild, p.title(first.route))
		}
	}
}

// shadow finds a "*." host that takes every name with the given ending before any expression does.
func (p *plan) shadow(ending string, c *conds) (wild string, first entry, ok bool) {
	for i := range len(ending) {
		if ending[i] != '.' {
			continue
		}
		pat, err := parsePattern("*" + ending[i:])
		if err != nil {
			continue
		}
		g := p.byHost[hostID{kindSuffix, pat.key}]
		if g == nil {
			continue
		}
		if g.cover == nil {
			g.cover = new(cover)
			g.cover.add(g.entries[0], &p.conds[g.entries[0].route])
		}
		if first, ok := g.cover.find(c); ok {
			return p.set.Routes[first.route].Hosts[first.host], first, true
		}
	}
	return "", entry{}, false
}

// insert writes everything into the database, which is empty.
func (p *plan) insert(txn *memdb.Txn) {
	routes := make([]*Route, len(p.set.Routes))
	for i := range p.set.Routes {
		routes[i] = p.set.Routes[i].clone(i)
		must(txn.Insert(tableRoutes, routes[i]))
	}
	for i, g := range p.groups {
		candidates := make([]candidate, len(g.entries))
		for j, e := range g.entries {
			candidates[j] = candidate{host: routes[e.route].Hosts[e.host], route: routes[e.route]}
		}
		if g.kind == kindRegexp {
			must(txn.Insert(tableExpressions, &expressionRow{order: i, expr: g.expr, candidates: candidates}))
		} else {
			must(txn.Insert(tableHosts, &hostRow{key: g.key, candidates: candidates}))
		}
	}
	for i, name := range p.set.Pools {
		must(txn.Insert(tablePools, &poolRow{order: i, name: name}))
	}
	for _, l := range p.set.Listeners {
		l.NoSNI, l.UnknownSNI = l.NoSNI.clone(), l.UnknownSNI.clone()
		must(txn.Insert(tableListeners, &l))
	}
}

// host starts a Conflict that points at a host.
func (p *plan) host(kind string, route, host int) Conflict {
	c := about(kind).at("hosts", host)
	c.Route = route
	return c
}

// title names a route for a person.
func (p *plan) title(route int) string {
	if name := p.set.Routes[route].Name; name != "" {
		return fmt.Sprintf("route %q", name)
	}
	return fmt.Sprintf("routes[%d]", route)
}
