package balancer

import (
	"slices"
	"strings"

	"github.com/seed-23b4a313/switchyard/route"
)

// Overlap is a certificate that is good for more than its pool serves. A client with a connection to Pool may send the
// requests for Host on it, too, since the certificate is for Host and the address is the same (HTTP/2 connection
// coalescing, RFC 9113 §9.1.1): they reach Pool and not OtherPool, past every route.
type Overlap struct {
	Listener   string `json:"listener"`
	Route      string `json:"route"`       // the first one that leads to Pool
	Pool       string `json:"pool"`        // whose backends show the certificate
	Name       string `json:"name"`        // in the certificate
	Host       string `json:"host"`        // that it covers
	OtherRoute string `json:"other_route"` // that Host takes
	OtherPool  string `json:"other_pool"`  // that it leads to
}

// Overlaps are the overlaps that the certificates show which checks by TLS have seen.
type Overlaps struct {
	Total int
	First []Overlap // at most mostOverlaps, by listener, pool and name
}

// mostOverlaps bounds what is kept of them: a wildcard certificate on every pool of thousands makes a great many.
const mostOverlaps = 100

// findOverlaps looks for them. certificates are the names in the certificates of pools.
func findOverlaps(table *route.Snapshot, listeners []string, certificates map[string][]string) (found Overlaps) {
	if len(certificates) == 0 {
		return found
	}
	routes := table.Routes()
	for _, l := range listeners {
		o := newOverlapper(table, l, routes)
		for _, name := range o.order {
			if names := certificates[name]; len(names) > 0 {
				o.look(name, names, &found)
			}
		}
	}
	return found
}

// overlapper knows what one listener serves.
type overlapper struct {
	table    *route.Snapshot
	listener string
	hosts    map[string][]string     // exact hosts by the domain they are in
	suffixes map[string]*route.Route // of "*." hosts, by their domain
	first    map[string]string       // the first route to each pool
	order    []string                // pools, in the order of their routes
}

func newOverlapper(table *route.Snapshot, listener string, routes []*route.Route) *overlapper {
	o := &overlapper{
		table: table, listener: listener,
		hosts: map[string][]string{}, suffixes: map[string]*route.Route{}, first: map[string]string{},
	}
	for _, r := range routes {
		if len(r.Listeners) > 0 && !slices.Contains(r.Listeners, listener) {
			continue
		}
		for _, t := range r.Action.Targets {
			if _, ok := o.first[t.Pool]; !ok && r.Terminate == nil {
				o.first[t.Pool] = r.Name
				o.order = append(o.order, t.Pool)
			}
		}
		for _, h := range r.Hosts {
			o.host(r, strings.ToLower(h))
		}
	}
	return o
}

func (o *overlapper) host(r *route.Route, host string) {
	if domain, ok := strings.CutPrefix(host, "*."); ok {
		if o.suffixes[domain] == nil {
			o.suffixes[domain] = r
		}
	} else if _, domain, ok := strings.Cut(host, "."); ok && !strings.HasPrefix(host, "~") {
		o.hosts[domain] = append(o.hosts[domain], host)
	}
}

// look tells of the hosts that the names in the certificate of a pool cover, and that others serve.
func (o *overlapper) look(pool string, names []string, found *Overlaps) {
	seen := map[string]bool{}
	for _, name := range names {
		name = strings.ToLower(name)
		domain, wild := strings.CutPrefix(name, "*.")
		covered := []string{name}
		if wild {
			covered = o.hosts[domain]
		}
		for _, host := range covered {
			if n, err := route.ParseName(host); err == nil && !seen[host] {
				seen[host] = true
				o.compare(pool, name, host, o.routeOf(n), found)
			}
		}
		if r := o.suffixes[domain]; wild && r != nil && !seen[name] {
			seen[name] = true
			o.compare(pool, name, name, r, found)
		}
	}
}

// routeOf is the route that a browser takes for name; nil if it is refused.
func (o *overlapper) routeOf(name route.Name) *route.Route {
	return o.table.Match(&route.Query{Name: name, ALPN: route.ProtocolList{"h2", "http/1.1"}, Listener: o.listener}).Route
}

// compare notes that a host is covered, unless its route leads to the pool as well, or to none.
func (o *overlapper) compare(pool, name, host string, r *route.Route, found *Overlaps) {
	if r == nil || len(r.Action.Targets) == 0 || r.Name == o.first[pool] {
		return
	}
	if slices.ContainsFunc(r.Action.Targets, func(t route.Target) bool { return t.Pool == pool }) {
		return
	}
	found.Total++
	if len(found.First) < mostOverlaps {
		found.First = append(found.First, Overlap{o.listener, o.first[pool], pool, name, host, r.Name, r.Action.Targets[0].Pool})
	}
}

// certificates are the names in the certificates that checks have seen, by pool.
func certificates(pools []*livePool) map[string][]string {
	all := map[string][]string{}
	for _, p := range pools {
		for _, b := range p.Backends() {
			if r := b.Report(); r != nil {
				for _, name := range r.Names {
					if !slices.Contains(all[p.Name()], name) {
						all[p.Name()] = append(all[p.Name()], name)
					}
				}
			}
		}
	}
	return all
}
