package balancer

import (
	"cmp"
	"slices"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
)

// RouteOrders is what has come of the certificates that ACME orders for a route, since its acme was last changed: a reload that
// changes it begins from nothing.
type RouteOrders struct {
	Route string
	certs.Orders
}

// ordering is a route whose TLS ends here, and that may order certificates.
type ordering struct {
	route string
	set   *certs.Set
}

// orderings are the routes among the owners of what is followed, by name.
func orderings(followed map[owner]following) *[]ordering {
	all := []ordering{}
	for who, what := range followed {
		if !who.pool && what.set != nil {
			all = append(all, ordering{who.name, what.set})
		}
	}
	slices.SortFunc(all, func(a, b ordering) int { return cmp.Compare(a.route, b.route) })
	return &all
}

// orders tells of the orders of the routes in force.
func (s *Server) orders() (all []RouteOrders) {
	if of := s.ordering.Load(); of != nil {
		for _, o := range *of {
			if orders, ok := o.set.Orders(); ok {
				all = append(all, RouteOrders{o.route, orders})
			}
		}
	}
	return all
}
