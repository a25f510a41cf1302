package route

import (
	"cmp"
	"fmt"
	"slices"
)

// plan is a Set on its way into the database: checked, and with the routes of each host in the order in which they are
// tried. The plan of an [Edit] is that of the Set of all routes which it can meet, see [newEditPlan].
type plan struct {
	base      *Snapshot // what there is already: nil for a plan that is only checked
	set       *Set
	conflicts []Conflict     // in file order, once newPlan is done
	listeners map[string]int // name -> index of the first one
	pools     map[string]int // likewise
	conds     []conds        // by route
	stored    []*Route       // by route: the row that it is, or will be, once that is known
	groups    []*group       // by first appearance in the file
	byHost    map[hostID]*group
	known     map[string]pattern // by host, as written: the expressions of base; nil until the first is looked for
}

// hostID says which hosts are the same.
type hostID struct {
	kind kind
	key  string
}

// group is one host and all that name it.
type group struct {
	pattern
	entries    []entry        // in the order in which they are tried; of those in conflict only the first
	first      entry          // in the file
	cover      *cover         // of the entries; nil until it is needed
	host       *hostRow       // what base has of it, nil if nothing; not set by newPlan
	expression *expressionRow // likewise, if it is one
}

// entry is one mention of a host in a Set.
type entry struct{ route, host int }

// newPlan plans to make s the content of a table that has base, which may be nil.
func newPlan(s *Set, base *Snapshot) *plan {
	p := emptyPlan(s, base)
	p.checkPools() // first: the others look names up
	p.checkListeners()
	p.checkRoutes()
	p.groupHosts()
	p.finish()
	return &p
}

func emptyPlan(s *Set, base *Snapshot) plan {
	return plan{
		base:      base,
		set:       s,
		listeners: make(map[string]int, len(s.Listeners)),
		pools:     make(map[string]int, len(s.Pools)),
		conds:     make([]conds, len(s.Routes)),
		byHost:    make(map[hostID]*group, len(s.Routes)),
	}
}

// finish checks all groups, each by itself and beside the others. Their entries must be in file order.
func (p *plan) finish() {
	p.checkBudget()
	for _, g := range p.groups {
		p.order(g)
	}
	for _, g := range p.groups {
		p.checkShadow(g)
	}
	slices.SortStableFunc(p.conflicts, fileOrder)
}

// fields are the keys a Conflict can point at, in the order in which conflicts of one row are reported.
var fields = []string{"", "name", "hosts", "alpn", "clients", "listeners", "pool", "split", "reject", "terminate", "no_sni", "unknown_sni", "pools", "delete_routes", "delete_pools"}

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
	for i := range p.set.Routes {
		r := &p.set.Routes[i]
		p.conds[i] = condsOf(r)
		for j, host := range r.Hosts {
			pat, err := p.pattern(host)
			if err != nil {
				p.report(p.host(kindBadHost, i, j), "%s: host %s: %s", p.title(i), printable(host), err)
				continue
			}
			p.group(pat).add(entry{i, j})
		}
	}
}

// pattern is parsePattern, but for expressions that base has already: what was compiled once is taken again.
func (p *plan) pattern(host string) (pattern, error) {
	if p.base == nil || host == "" || host[0] != '~' {
		return parsePattern(host)
	}
	if p.known == nil {
		p.known = p.base.patterns()
	}
	if pat, ok := p.known[host]; ok {
		return pat, nil
	}
	return parsePattern(host)
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

func (g *group) add(e entry) { g.entries = append(g.entries, e) }

// checkBudget holds a table to what its expressions may cost together (R21). Those that are there already come first, so
// that an edit that exceeds it hears of what it adds.
func (p *plan) checkBudget() {
	var spent budget
	for _, g := range p.groups {
		if g.expression != nil && len(g.entries) > 0 {
			spent.add(g.expr)
		}
	}
	for _, g := range p.groups {
		if g.kind != kindRegexp || g.expression != nil {
			continue
		}
		spent.add(g.expr)
		e := g.entries[0]
		c, host := p.host(kindBadHost, e.route, e.host), printable(p.set.Routes[e.route].Hosts[e.host])
		if spent.expressions == maxExpressions+1 {
			p.report(c, "%s: host %s: more than %d different regexps in one table", p.title(e.route), host, maxExpressions)
		}
		if spent.cells > maxExpressionCells {
			p.report(c, "%s: host %s: the regexps up to this one need more than %d MiB together", p.title(e.route), host, maxExpressionCells*2>>20)
		}
	}
}

// budget counts what the expressions of a table cost.
type budget struct{ expressions, cells int }

func (b *budget) add(x *expression) {
	b.expressions++
	b.cells += len(x.next)
}

// order puts the entries of g in the order in which they are tried, and reports those that are never reached.
func (p *plan) order(g *group) {
	if len(g.entries) == 0 {
		return // an edit takes the last one
	}
	g.first = g.entries[0]
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
		if first, ok := p.shadow(g.expr, &p.conds[e.route]); ok {
			c := p.host(kindUnreachable, e.route, e.host)
			c.Other, c.OtherHost = first.route, first.host
			p.report(c, "%s: host %s can never match: names that end so belong to %s of %s, which is tried before any regexp",
				p.title(e.route), printable(p.set.Routes[e.route].Hosts[e.host]), p.set.Routes[first.route].Hosts[first.host], p.title(first.route))
		}
	}
}

// shadow finds a "*." host that takes every name of x before x is tried.
func (p *plan) shadow(x *expression, c *conds) (entry, bool) {
	for pat := range x.takenBy() {
		g := p.byHost[hostID{kindSuffix, pat.key}]
		if g == nil || len(g.entries) == 0 {
			continue
		}
		if g.cover == nil {
			g.cover = new(cover)
			g.cover.add(g.entries[0], &p.conds[g.entries[0].route])
		}
		if first, ok := g.cover.find(c); ok {
			return first, true
		}
	}
	return entry{}, false
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
