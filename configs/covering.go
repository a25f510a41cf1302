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
	asking := askers{map[string][]int{}, map[string][]string{}}
	for i := range routes {
		if needsClient(&routes[i]) {
			asking.add(i, made[i].Hosts)
		}
	}
	if len(asking.byHost) == 0 {
		return
	}
	for i := range routes {
		t := routes[i].Terminate
		if t == nil || !slices.Contains(protocols(t.ALPN), "h2") {
			continue
		}
		if cert, host, of := covered(routes, made, asking, i); of >= 0 {
			at := c.pairAt(t, cert)
			c.warnf(at, "give "+host+" a certificate of its own, and take its name out of this one",
				"route %q: %s is good for %s, too: clients with HTTP/2 send its requests here, past the client certificate that route %q asks for",
				routes[i].Name.V, at.V, host, routes[of].Name.V)
		}
	}
}

// pairAt is where the text names the certificate.
func (c *checker) pairAt(t *file.Terminate, cert *certs.Choice) file.Path {
	i := slices.IndexFunc(t.Certificates, func(p file.Certificate) bool { return c.path(p.Cert.V) == cert.File })
	return t.Certificates[i].Cert
}

// covered finds the first certificate of route i that is good for a host of a route in asking that asks for more; of is -1
// if there is none.
func covered(routes []file.Route, made []route.Route, asking askers, i int) (cert *certs.Choice, host string, of int) {
	own := func(host string) bool {
		return slices.ContainsFunc(made[i].Hosts, func(h string) bool { return normalHost(h) == host })
	}
	for _, cert := range pairsOf(&made[i]) {
		for _, name := range cert.Names {
			for _, host := range asking.under(name) {
				for _, j := range asking.byHost[host] {
					if asksMore(&routes[j], &routes[i]) && !own(host) && meet(made[i].Listeners, made[j].Listeners) {
						return cert, host, j
					}
				}
			}
		}
	}
	return nil, "", -1
}

// askers are the routes that need a client certificate.
type askers struct {
	byHost   map[string][]int    // by the host, as certificates have it
	byParent map[string][]string // hosts by what follows their first label
}

func (a askers) add(route int, hosts []string) {
	for _, host := range hosts {
		host = normalHost(host)
		if _, ok := a.byHost[host]; !ok {
			if label, parent, _ := strings.Cut(host, "."); label != "*" && !strings.HasPrefix(label, "~") {
				a.byParent[parent] = append(a.byParent[parent], host)
			}
		}
		a.byHost[host] = append(a.byHost[host], route)
	}
}

// under are the hosts that a name of a certificate is good for.
func (a askers) under(name string) []string {
	var hosts []string
	if _, ok := a.byHost[name]; ok {
		hosts = append(hosts, name)
	}
	if parent, wild := strings.CutPrefix(name, "*."); wild {
		hosts = append(hosts, a.byParent[parent]...)
	}
	return hosts
}

func needsClient(r *file.Route) bool {
	return r.Terminate != nil && r.Terminate.ClientAuth != nil && r.Terminate.ClientAuth.Require.V
}

// asksMore reports whether a client may be welcome on route b that is none on a.
func asksMore(a, b *file.Route) bool {
	return !needsClient(b) || a.Terminate.ClientAuth.CA.V != b.Terminate.ClientAuth.CA.V
}

// pairsOf are the certificates in files of a route whose TLS ends here.
func pairsOf(r *route.Route) []*certs.Choice {
	p, ok := r.Terminate.(*terminate.Policy)
	if !ok {
		return nil
	}
	set, ok := p.Certificates().(*certs.Set)
	if !ok {
		return nil
	}
	return set.Pairs()
}

// meet reports whether two routes have a listener in common; one that names none is on all.
func meet(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(l string) bool { return slices.Contains(b, l) })
}

// normalHost is a host as certificates have it.
func normalHost(host string) string { return strings.TrimSuffix(strings.ToLower(host), ".") }
