package route

import (
	"fmt"
	"slices"
)

// poolUsers are those that name a pool that is to be deleted.
type poolUsers struct {
	at       int // index into Edit.DeletePools
	listener *Listener
	first    *Route // in file order
	last     *Route // that was added
	routes   int
}

// add counts r, once however often a split of it names the pool.
func (u *poolUsers) add(r *Route) {
	if r == u.last {
		return
	}
	if u.first == nil || r.Index < u.first.Index {
		u.first = r
	}
	u.last = r
	u.routes++
}

// String says who uses the pool, and what to do; "" if nobody does.
func (u *poolUsers) String() string {
	switch {
	case u.routes > 1:
		return fmt.Sprintf("route %q and %d more send connections there; change them first", u.first.Name, u.routes-1)
	case u.routes == 1:
		return fmt.Sprintf("route %q sends connections there; change it first", u.first.Name)
	case u.listener != nil:
		return fmt.Sprintf("listener %q sends connections there, by no_sni or unknown_sni; change it first", u.listener.Name)
	default:
		return ""
	}
}

// checkDeletedPools also fills p.deletedPools, which other checks look into.
func (p *editPlan) checkDeletedPools() {
	for i, name := range p.edit.DeletePools {
		c := about(kindDuplicate).at("delete_pools", i)
		_, put := p.pools[name]
		switch {
		case put:
			p.report(c, "pool %q: put and deleted at once", name)
		case p.base.pool(name) == nil:
			c.Kind = kindUnknownPool
			p.report(c, "pool %q: not there, so it cannot be deleted", name)
		case p.deletedPools[name] != nil:
			p.report(c, "pool %q: deleted twice", name)
		default:
			p.deletedPools[name] = &poolUsers{at: i}
		}
	}
	if len(p.deletedPools) > 0 {
		p.findUsers()
	}
	for name, u := range p.deletedPools {
		if said := u.String(); said != "" {
			p.report(about(kindPoolInUse).at("delete_pools", u.at), "pool %q: %s", name, said)
		}
	}
}

// findUsers looks for all outside the edit that names a deleted pool.
func (p *editPlan) findUsers() {
	for l := range rows[Listener](p.base.txn, tableListeners) {
		for _, t := range slices.Concat(l.NoSNI.Targets, l.UnknownSNI.Targets) {
			if u := p.deletedPools[t.Pool]; u != nil {
				u.listener = l
			}
		}
	}
	for r := range rows[Route](p.base.txn, tableRoutes) {
		if p.gone[r] {
			continue
		}
		for _, t := range r.Action.Targets {
			if u := p.deletedPools[t.Pool]; u != nil {
				u.add(r)
			}
		}
	}
}
