package configs

import (
	"slices"
	"strings"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/configs/internal/file"
	"github.com/seed-23b4a313/switchyard/route"
)

// covering points at certificates that are good for a host of another route, too, where that one asks clients for
// certificates and this one does not, or trusts others: with HTTP/2, clients send requests for that host on a connection they
// have to this one (RFC 9113 §9.1.1), past what was asked of them. It is told once for each route. What directories and ACME
// have is not known here.
func (c *checker) covering(routes []file.Route, made []route.Route) {
	all := askers{}
	for i := range routes {
		if needsClient(&routes[i]) {
			all.add(i, routes[i].Terminate.ClientAuth.CA.V, &made[i])
		}
	}
	if len(all) == 0 {
		return
	}
	for i := range routes {
		t := routes[i].Terminate
		if t == nil || !slices.Contains(protocols(t.ALPN), "h2") {
			continue
		}
		if cert, of := all.covered(&routes[i], &made[i]); cert != nil {
			at := c.pairAt(t, cert)
			c.warnf(at, "give "+of.host+" a certificate of its own, and take its name out of this one",
				"route %q: %s is good for %s, too: clients with HTTP/2 send its requests here, past the client certificate that route %q asks for",
				routes[i].Name.V, at.V, of.host, routes[of.route].Name.V)
		}
	}
}

// pairAt is where the text names the certificate.
func (c *checker) pairAt(t *file.Terminate, cert *certs.Choice) file.Path {
	i := slices.IndexFunc(t.Certificates, func(p file.Certificate) bool { return c.path(p.Cert.V) == cert.File })
	return t.Certificates[i].Cert
}

// askers are the routes that need a client certificate, by each name of a certificate that is good for a host of theirs, and then
// by their listeners. Very many can have one name and one ca: what is not asking more is passed over at once.
type askers map[string]map[string]*asking

// asking are those on the same listeners.
type asking struct {
	listeners []string
	cas       []string // in the order of the file
	byCA      map[string][]asker
}

// asker is a host of a route that needs a client certificate.
type asker struct {
	host  string // as certificates have it
	route int
}

func (a askers) add(route int, ca string, made *route.Route) {
	for _, host := range made.Hosts {
		host = normalHost(host)
		a.put(host, made.Listeners, ca, asker{host, route})
		if label, parent, _ := strings.Cut(host, "."); label != "*" && !strings.HasPrefix(label, "~") {
			a.put("*."+parent, made.Listeners, ca, asker{host, route})
		}
	}
}

func (a askers) put(name string, listeners []string, ca string, who asker) {
	if a[name] == nil {
		a[name] = map[string]*asking{}
	}
	key := strings.Join(listeners, "\n")
	on := a[name][key]
	if on == nil {
		on = &asking{listeners: listeners, byCA: map[string][]asker{}}
		a[name][key] = on
	}
	if on.byCA[ca] == nil {
		on.cas = append(on.cas, ca)
	}
	on.byCA[ca] = append(on.byCA[ca], who)
}

// covered finds the first certificate of a route that is good for a host of another one that asks for more, and that host; nil if
// there is none.
func (a askers) covered(r *file.Route, made *route.Route) (*certs.Choice, asker) {
	own := map[string]bool{}
	for _, host := range made.Hosts {
		own[normalHost(host)] = true
	}
	set := terminate.SetOf(made.Terminate)
	if set == nil {
		return nil, asker{}
	}
	for _, cert := range set.Pairs() {
		for _, name := range cert.Names {
			var first *asker
			for _, on := range a[name] { // in no order
				if !meet(made.Listeners, on.listeners) {
					continue
				}
				if s := on.more(r, own); s != nil && (first == nil || s.route < first.route) {
					first = s
				}
			}
			if first != nil {
				return cert, *first
			}
		}
	}
	return nil, asker{}
}

// more finds a host, no own one, whose clients are asked for what route r does not ask for; nil if there is none.
func (on *asking) more(r *file.Route, own map[string]bool) *asker {
	for _, ca := range on.cas {
		if needsClient(r) && r.Terminate.ClientAuth.CA.V == ca {
			continue
		}
		all := on.byCA[ca]
		if i := slices.IndexFunc(all, func(s asker) bool { return !own[s.host] }); i >= 0 {
			return &all[i]
		}
	}
	return nil
}

func needsClient(r *file.Route) bool {
	return r.Terminate != nil && r.Terminate.ClientAuth != nil && r.Terminate.ClientAuth.Require.V
}

// meet reports whether two routes have a listener in common; one that names none is on all.
func meet(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(l string) bool { return slices.Contains(b, l) })
}

// normalHost is a host as certificates have it.
func normalHost(host string) string { return strings.TrimSuffix(strings.ToLower(host), ".") }
