package admin

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/seed-23b4a313/switchyard/control"
	"github.com/seed-23b4a313/switchyard/route"
)

// Route is a route as the file would have it, with its origin. It can be sent back as the body of a PUT without that
// and without Terminates.
type Route struct {
	Name      string         `json:"name"`
	Hosts     []string       `json:"hosts"`
	ALPN      []string       `json:"alpn,omitempty"`
	Clients   []netip.Prefix `json:"clients,omitempty"`
	Listeners []string       `json:"listeners,omitempty"`
	// One of these three is set. Shares of weight 0 are not among those of Split.
	Pool   string  `json:"pool,omitempty"`
	Split  []Share `json:"split,omitempty"`
	Reject string  `json:"reject,omitempty"`
	// Terminates says that TLS would end here. GET /v1/certificates has the certificates.
	Terminates bool   `json:"terminates,omitempty"`
	Origin     string `json:"origin"` // "file" or "overlay"
}

// Share is one pool of a split.
type Share struct {
	Pool   string `json:"pool"`
	Weight int    `json:"weight"`
}

// RouteList is one page of what GET /v1/routes answers, in file order.
type RouteList struct {
	Routes []Route `json:"routes"` // never null
	Total  int     `json:"total"`  // that the filter lets through, on all pages
	// Next is what to give as `after` for the next page; "": this was the last.
	Next string `json:"next,omitempty"`
}

// Bounds on one page. A route takes about 200 bytes of JSON.
const (
	usualRoutes = 100
	maxRoutes   = 10000
)

// Where a route or a pool comes from.
const (
	fromFile    = "file"
	fromOverlay = "overlay"
)

func listRoutes(a *api, r *request) (any, error) {
	q := r.query
	limit, after := q.limit(usualRoutes, maxRoutes), q.text("after")
	if err := q.err(); err != nil {
		return nil, err
	}
	snapshot, origins := a.balancer.Routes(), originsOf(a.control.Status().Overlay, "route")
	if after != "" && snapshot.Route(after) == nil {
		return nil, notFound("it may have been deleted: begin again without after", "no route %s to go on after", clipped(after))
	}
	filter := routeFilter{name: q.text("name"), host: strings.ToLower(q.text("host")), pool: q.text("pool")}
	list := &RouteList{Routes: []Route{}}
	on := after == ""
	for _, x := range snapshot.Routes() {
		if filter.takes(x) {
			list.Total++
			list.add(x, on, limit, origins)
		}
		on = on || x.Name == after
	}
	return list, nil
}

// add puts x on the page if it is on it, which begins with on.
func (l *RouteList) add(x *route.Route, on bool, limit int, origins map[string]bool) {
	switch {
	case !on || l.Next != "":
	case len(l.Routes) == limit:
		l.Next = l.Routes[limit-1].Name
	default:
		l.Routes = append(l.Routes, showRoute(x, origins))
	}
}

func getRoute(a *api, r *request) (any, error) {
	name := r.value("name")
	x := a.balancer.Routes().Route(name)
	if x == nil {
		return nil, notFound("`switchyard routes` lists those there are", "there is no route %s", clipped(name))
	}
	return showRoute(x, originsOf(a.control.Status().Overlay, "route")), nil
}

// routeFilter chooses among routes. What is "" lets everything through.
type routeFilter struct {
	name string // the whole name, in which each * stands for any text
	host string // a part of any of the hosts, in lower case
	pool string // the pool, or one of the split
}

func (f *routeFilter) takes(x *route.Route) bool {
	host := func(h string) bool { return strings.Contains(strings.ToLower(h), f.host) }
	target := func(t route.Target) bool { return t.Pool == f.pool }
	return (f.name == "" || matchStars(f.name, x.Name)) &&
		(f.host == "" || slices.ContainsFunc(x.Hosts, host)) &&
		(f.pool == "" || slices.ContainsFunc(x.Action.Targets, target))
}

// matchStars compares s with pattern, in which each * stands for any text. Its time grows with the product of their
// lengths at the most.
func matchStars(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return true
}

// originsOf are the names of the routes, or pools, that the overlay has put in place.
func originsOf(overlay []control.OverlayEntry, kind string) map[string]bool {
	put := make(map[string]bool)
	for _, e := range overlay {
		if e.Kind == kind {
			put[e.Name] = true
		}
	}
	return put
}

func showRoute(x *route.Route, origins map[string]bool) Route {
	out := Route{
		Name: x.Name, Hosts: notNil(x.Hosts), ALPN: x.ALPN, Clients: x.Clients, Listeners: x.Listeners,
		Terminates: x.Terminate != nil, Origin: originOf(origins, x.Name),
	}
	t := x.Action.Targets
	switch {
	case x.Action.Reject != route.RejectNone:
		out.Reject = x.Action.Reject.String()
	case len(t) == 1 && t[0].Weight == 1:
		out.Pool = t[0].Pool
	default:
		for _, s := range t {
			out.Split = append(out.Split, Share{Pool: s.Pool, Weight: s.Weight})
		}
	}
	return out
}

func originOf(overlay map[string]bool, name string) string {
	if overlay[name] {
		return fromOverlay
	}
	return fromFile
}
