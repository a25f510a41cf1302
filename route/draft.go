package route

import (
	"bytes"
	"slices"

	"github.com/hashicorp/go-memdb"
)

// draft is a change in the making: it reads what is there from base, and writes into txn what is to be different. It
// holds the table's write lock, which it hands on to a [Pending] or gives back.
type draft struct {
	table   *Table
	base    *Snapshot
	txn     *memdb.Txn
	sizes        // of the result
	written int  // rows inserted and deleted
	done    bool // a Pending has txn and the lock
}

// begin waits for the pending change to end and starts another one. The caller defers end.
func (t *Table) begin() *draft {
	t.write.Lock()
	base := t.Snapshot()
	return &draft{table: t, base: base, txn: t.db.Txn(true), sizes: base.sizes}
}

// pending hands on what is written.
func (d *draft) pending(changes Changes) *Pending {
	p := &Pending{table: d.table, txn: d.txn, snapshot: d.base, changes: changes, written: d.written}
	if d.written > 0 {
		p.snapshot = newSnapshot(d.txn.Snapshot(), d.sizes)
	}
	d.done = true
	return p
}

// end undoes a draft from which nothing came, also by a panic: it may be recovered from, and changes must go on then.
func (d *draft) end() {
	if !d.done {
		d.txn.Abort()
		d.table.write.Unlock()
	}
}

func (d *draft) put(table string, row any) {
	must(d.txn.Insert(table, row))
	d.written++
}

func (d *draft) drop(table string, row any) {
	must(d.txn.Delete(table, row))
	d.written++
}

// replace makes the set of p the whole content.
func (d *draft) replace(p *plan) Changes {
	changes := d.replaceRoutes(p)
	d.replaceHosts(p)
	d.replacePools(p.set.Pools)
	d.replaceListeners(p.set.Listeners)
	return changes
}

// replaceRoutes writes the routes that are not as they were, and sets p.stored.
func (d *draft) replaceRoutes(p *plan) Changes {
	old, numbers := d.formerRoutes(p.set.Routes)
	p.stored = make([]*Route, len(old))
	d.sizes.routes, d.nextRoute = len(old), 0
	for i := range p.set.Routes {
		p.stored[i] = storedRoute(&p.set.Routes[i], old[i], numbers[i])
		if p.stored[i] != old[i] {
			d.put(tableRoutes, p.stored[i])
		}
		d.nextRoute = numbers[i] + 1
	}
	changes := d.base.changes(p.stored)
	for _, name := range changes.Removed {
		d.drop(tableRoutes, &Route{Name: name})
	}
	return changes
}

// formerRoutes returns for each route the one that has its name until now, or nil, and the Index that it is to have.
func (d *draft) formerRoutes(routes []Route) (old []*Route, numbers []int) {
	byName := d.base.byName()
	old, have := make([]*Route, len(routes)), make([]int, len(routes))
	for i := range routes {
		old[i], have[i] = byName[routes[i].Name], -1
		if old[i] != nil {
			have[i] = old[i].Index
		}
	}
	return old, renumber(have)
}

// storedRoute returns the row for r: old, if there is nothing new about it. A row that only moves in the file shares
// everything else with old.
func storedRoute(r, old *Route, index int) *Route {
	switch {
	case old == nil || !old.equal(r):
		return r.clone(index)
	case old.Index != index:
		moved := *old
		moved.Index = index
		return &moved
	default:
		return old
	}
}

// replaceHosts writes the hosts and expressions of p, and deletes all others.
func (d *draft) replaceHosts(p *plan) {
	for row := range rows[hostRow](d.base.txn, tableHosts) {
		if g := p.byHost[row.id()]; g != nil {
			g.host = row
		} else {
			d.drop(tableHosts, row)
		}
	}
	for _, row := range d.base.expressions {
		if g := p.byHost[hostID{kindRegexp, row.expr.canonical}]; g != nil {
			g.expression = row
		} else {
			d.drop(tableExpressions, row)
		}
	}
	d.writeGroups(p)
}

// writeGroups brings the rows of all groups of p to what their entries say.
func (d *draft) writeGroups(p *plan) {
	for _, g := range p.groups { // first: an expression may come to the place of another
		d.clearGroup(p, g)
	}
	for _, g := range p.groups {
		if len(g.entries) > 0 {
			d.writeGroup(p, g)
		}
	}
}

// clearGroup deletes the row of a host that no route names any more, or of an expression that moves.
func (d *draft) clearGroup(p *plan, g *group) {
	gone := len(g.entries) == 0
	switch {
	case g.host != nil && gone:
		d.drop(tableHosts, g.host)
	case g.expression != nil && (gone || g.expression.order != p.mention(g.first)):
		d.drop(tableExpressions, g.expression)
	}
}

// writeGroup writes the row of a host, unless it is there.
func (d *draft) writeGroup(p *plan, g *group) {
	switch {
	case g.kind != kindRegexp:
		if g.host == nil || !p.areStored(g, g.host.candidates) {
			d.put(tableHosts, &hostRow{key: g.key, candidates: p.candidates(g)})
		}
	case g.expression == nil || g.expression.order != p.mention(g.first) || !p.areStored(g, g.expression.candidates):
		d.put(tableExpressions, &expressionRow{order: p.mention(g.first), expr: g.expr, candidates: p.candidates(g)})
	}
}

// mention returns the place in the file of an entry.
func (p *plan) mention(e entry) mention { return mention{p.stored[e.route].Index, e.host} }

func (p *plan) candidates(g *group) []candidate {
	candidates := make([]candidate, len(g.entries))
	for i, e := range g.entries {
		candidates[i] = candidate{p.stored[e.route], e.host}
	}
	return candidates
}

// areStored reports whether candidates are those of g.
func (p *plan) areStored(g *group, candidates []candidate) bool {
	return slices.EqualFunc(g.entries, candidates, func(e entry, c candidate) bool {
		return c == candidate{p.stored[e.route], e.host}
	})
}

func (d *draft) replacePools(names []string) {
	old := map[string]*poolRow{}
	for row := range rows[poolRow](d.base.txn, tablePools) {
		old[row.name] = row
	}
	have := make([]int, len(names))
	for i, name := range names {
		have[i] = -1
		if row := old[name]; row != nil {
			have[i] = row.order
		}
	}
	d.nextPool = 0
	for i, order := range renumber(have) {
		if order != have[i] {
			d.put(tablePools, &poolRow{order: order, name: names[i]})
		}
		d.nextPool = order + 1
		delete(old, names[i])
	}
	for _, row := range old {
		d.drop(tablePools, row)
	}
}

func (d *draft) replaceListeners(listeners []Listener) {
	left := map[string]*Listener{}
	for row := range rows[Listener](d.base.txn, tableListeners) {
		left[row.Name] = row
	}
	for _, l := range listeners {
		if old := left[l.Name]; old == nil || !old.equal(&l) {
			l.NoSNI, l.UnknownSNI = l.NoSNI.clone(), l.UnknownSNI.clone()
			d.put(tableListeners, &l)
		}
		delete(left, l.Name)
	}
	for _, row := range left {
		d.drop(tableListeners, row)
	}
}

// restore makes the rows of s the content.
func (d *draft) restore(s *Snapshot) Changes {
	if s == d.base {
		return Changes{}
	}
	for table := range schema.Tables {
		d.restoreTable(table, s)
	}
	d.sizes = s.sizes
	return d.base.changes(s.Routes())
}

// restoreTable reads a table as it is and as it was beside each other, in the order of their keys.
func (d *draft) restoreTable(table string, s *Snapshot) {
	is, was := objects(d.base.txn, table), objects(s.txn, table)
	key := func(obj any) []byte {
		_, key, err := schema.Tables[table].Indexes["id"].Indexer.(memdb.SingleIndexer).FromObject(obj)
		must(err)
		return key
	}
	a, b := is.Next(), was.Next()
	for a != nil || b != nil {
		order := 0
		switch {
		case a == b:
		case a == nil:
			order = 1
		case b == nil:
			order = -1
		default:
			order = bytes.Compare(key(a), key(b))
		}
		if order < 0 {
			d.drop(table, a)
		} else if a != b {
			d.put(table, b)
		}
		if order <= 0 {
			a = is.Next()
		}
		if order >= 0 {
			b = was.Next()
		}
	}
}
