package route

import (
	"cmp"
	"slices"
)

// editPlan is an [Edit] on its way into the database. It is the plan of a Set that begins with Edit.PutRoutes. After them
// come the routes outside the edit that it can meet: those that share a host with what is put, replaced or deleted, and
// the expressions and "*." hosts where these can meet. Groups are whole, so what is true of their order and
// reachability in this Set is true in the set of all routes.
type editPlan struct {
	plan
	edit         *Edit
	puts         map[string]int            // name -> index into PutRoutes
	former       []*Route                  // by PutRoutes: what is replaced, nil for a new one
	deleted      []*Route                  // in the order of the edit
	deletedPools map[string]*poolUsers     // by name
	gone         map[*Route]bool           // replaced or deleted
	outside      map[*Route]int            // route outside -> its place in set.Routes
	expressions  map[string]*expressionRow // of base, by canonical text; nil if none is concerned
}

// newEditPlan plans e on base.
func newEditPlan(base *Snapshot, e *Edit) *editPlan {
	p := &editPlan{
		plan:         emptyPlan(&Set{Pools: e.PutPools, Routes: slices.Clone(e.PutRoutes)}, base),
		edit:         e,
		puts:         map[string]int{},
		deletedPools: map[string]*poolUsers{},
		gone:         map[*Route]bool{},
		outside:      map[*Route]int{},
	}
	p.checkPools()
	p.findFormer()
	p.checkDeletedRoutes()
	p.checkDeletedPools()
	p.takeNames() // before checkRoutes, which looks them up
	p.checkRoutes()
	p.groupHosts()
	p.groupFormerHosts()
	p.groupWhereExpressionsMeet()
	for _, g := range p.groups {
		p.load(g)
	}
	p.finish()
	p.hideOutside()
	return p
}

// findFormer finds what is replaced, and makes the rows of what is put.
func (p *editPlan) findFormer() {
	next := p.base.nextRoute
	for i := range p.edit.PutRoutes {
		r := &p.edit.PutRoutes[i]
		old, index := p.base.Route(r.Name), next
		if old != nil {
			index = old.Index
			p.gone[old] = true
		} else {
			next++
		}
		p.puts[r.Name] = i
		p.former = append(p.former, old)
		p.stored = append(p.stored, storedRoute(r, old, index))
	}
}

// takeNames looks up the pools and listeners outside the edit that it names, so that checks know them.
func (p *editPlan) takeNames() {
	for i := range p.edit.PutRoutes {
		r := &p.edit.PutRoutes[i]
		for _, t := range r.Action.Targets {
			if p.deletedPools[t.Pool] == nil && p.base.pool(t.Pool) != nil {
				p.pools[t.Pool] = -1
			}
		}
		for _, name := range r.Listeners {
			if p.base.listener(name) != nil {
				p.listeners[name] = -1
			}
		}
	}
}

// groupFormerHosts adds the hosts of what is replaced or deleted: their rows lose a route.
func (p *editPlan) groupFormerHosts() {
	for _, r := range slices.Concat(p.former, p.deleted) {
		if r == nil {
			continue
		}
		for _, host := range r.Hosts {
			pat, err := p.pattern(host)
			must(err)
			p.group(pat)
		}
	}
}

// groupWhereExpressionsMeet adds, if the edit concerns any expression or "*." host, all expressions, and the "*." hosts
// that may take their names.
func (p *editPlan) groupWhereExpressionsMeet() {
	if !slices.ContainsFunc(p.groups, func(g *group) bool { return g.kind == kindSuffix || g.kind == kindRegexp }) {
		return
	}
	p.expressions = make(map[string]*expressionRow, len(p.base.expressions))
	for _, row := range p.base.expressions {
		p.expressions[row.expr.canonical] = row
		p.group(row.pattern())
	}
	for _, g := range p.groups {
		if g.kind != kindRegexp {
			continue
		}
		for pat := range g.expr.takenBy() {
			p.group(pat)
		}
	}
}

// load adds to g the routes outside the edit that name its host.
func (p *editPlan) load(g *group) {
	var candidates []candidate
	if g.kind == kindRegexp {
		if g.expression = p.expressions[g.key]; g.expression != nil {
			candidates = g.expression.candidates
		}
	} else if g.host = p.base.host(g.key); g.host != nil {
		candidates = g.host.candidates
	}
	for _, c := range candidates {
		if !p.gone[c.route] {
			g.add(entry{p.meet(c.route), c.host})
		}
	}
	slices.SortFunc(g.entries, func(a, b entry) int {
		return cmp.Or(byIndex(p.stored[a.route], p.stored[b.route]), cmp.Compare(a.host, b.host))
	})
}

// meet returns the place in set.Routes of a route outside the edit.
func (p *editPlan) meet(r *Route) int {
	i, ok := p.outside[r]
	if !ok {
		i = len(p.set.Routes)
		p.outside[r] = i
		p.set.Routes = append(p.set.Routes, *r)
		p.stored = append(p.stored, r)
		p.conds = append(p.conds, condsOf(r))
	}
	return i
}

// hideOutside makes conflicts point into the edit alone: their text names what is outside.
func (p *editPlan) hideOutside() {
	for i := range p.conflicts {
		c := &p.conflicts[i]
		if c.Route < 0 {
			continue
		}
		if c.Route >= len(p.edit.PutRoutes) {
			c.Route = -1
		}
		if c.Other >= len(p.edit.PutRoutes) {
			c.Other = -1
		}
	}
}

func (p *editPlan) checkDeletedRoutes() {
	for i, name := range p.edit.DeleteRoutes {
		c := about(kindDuplicate).at("delete_routes", i)
		put, ok := p.puts[name]
		r := p.base.Route(name)
		switch {
		case ok:
			c.Other = put
			p.report(c, "route %q: put and deleted at once", name)
		case r == nil:
			c.Kind = kindUnknownRoute
			p.report(c, "route %q: not there, so it cannot be deleted", name)
		case p.gone[r]:
			p.report(c, "route %q: deleted twice", name)
		default:
			p.gone[r] = true
			p.deleted = append(p.deleted, r)
		}
	}
}
