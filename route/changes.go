package route

import (
	"maps"
	"slices"
)

// Changes are the differences between the routes of two snapshots, by name and in file order: that of the
// new one, of Removed that of the old one. The zero Changes means that all routes are as they were.
type Changes struct {
	Added, Removed, Changed []string
	Reordered               bool // the routes that stayed come in another order
}

// changes compares the routes of s with next, which is in file order and has each name once.
func (s *Snapshot) changes(next []*Route) (c Changes) {
	left := s.byName()
	last := -1
	for _, r := range next {
		old := left[r.Name]
		delete(left, r.Name)
		switch {
		case old == nil:
			c.Added = append(c.Added, r.Name)
			continue
		case old != r && !old.equal(r):
			c.Changed = append(c.Changed, r.Name)
		}
		c.Reordered = c.Reordered || old.Index < last
		last = old.Index
	}
	c.Removed = namesOf(slices.SortedFunc(maps.Values(left), byIndex))
	return c
}

// byName returns all routes. To look for a good part of them, it is several times faster than Route.
func (s *Snapshot) byName() map[string]*Route {
	routes := make(map[string]*Route, s.routes)
	for r := range rows[Route](s.txn, tableRoutes) {
		routes[r.Name] = r
	}
	return routes
}

func namesOf(routes []*Route) (names []string) {
	for _, r := range routes {
		names = append(names, r.Name)
	}
	return names
}
