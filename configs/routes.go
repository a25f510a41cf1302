package configs

import (
	"github.com/seed-23b4a313/switchyard/configs/internal/file"
	"github.com/seed-23b4a313/switchyard/route"
)

func (c *checker) routes(routes []file.Route, n *names) []route.Route {
	all := make([]route.Route, len(routes))
	for i := range routes {
		all[i] = c.oneRoute(i, &routes[i], n)
	}
	return all
}

func (c *checker) oneRoute(i int, r *file.Route, n *names) route.Route {
	c.progress.step("route", r.Name.V, r.Terminate != nil)
	cfg := route.Route{Name: r.Name.V, Index: i, Clients: prefixes(r.Clients), ALPN: protocols(r.ALPN)}
	cfg.Hosts = make([]string, len(r.Hosts))
	for j, h := range r.Hosts {
		cfg.Hosts[j] = h.V
		if h.V == route.NoName {
			c.errorf(h, "say `no_sni: true` instead", "%q is no host", h.V)
		}
	}
	if r.NoSNI.V {
		cfg.Hosts = append(cfg.Hosts, route.NoName)
	}
	for _, l := range r.Listeners {
		c.listener(n, l)
		cfg.Listeners = append(cfg.Listeners, l.V)
	}
	cfg.Action = c.routeAction(r, n)
	if t := r.Terminate; t != nil {
		if r.Has("reject") {
			c.errorf(t, "remove one of them", "route %q has both terminate and reject", r.Name.V)
		}
		if p := c.terminate(r); p != nil {
			cfg.Terminate = p
		}
	}
	return cfg
}

// routeAction reads pool, split and reject, of which a route has exactly one.
func (c *checker) routeAction(r *file.Route, n *names) route.Action {
	c.pool(n, r.Pool)
	var said []string
	for _, key := range []string{"pool", "split", "reject"} {
		if r.Has(key) {
			said = append(said, key)
		}
	}
	switch {
	case len(said) > 1:
		c.errorf(r, "remove all but one", "route %q has both %s and %s", r.Name.V, said[0], said[1])
	case len(said) == 0 && r.Sound():
		c.errorf(r, "for example `pool: "+n.examplePool()+"`", "route %q needs one of pool, split and reject", r.Name.V)
	case r.Has("pool"):
		return route.Action{Targets: []route.Target{{Pool: r.Pool.V, Weight: 1}}}
	case r.Has("split"):
		return c.split(r, n)
	}
	return route.Action{Reject: reject(r.Reject.V)}
}

// split keeps the shares in file order, without those of weight 0.
func (c *checker) split(r *file.Route, n *names) (a route.Action) {
	seen := map[string]bool{}
	for i := range r.Split {
		s := &r.Split[i]
		c.pool(n, s.Pool)
		if s.Pool.IsSet() && seen[s.Pool.V] {
			c.errorf(s.Pool, "add its weights", "route %q: pool %q is in the split twice", r.Name.V, s.Pool.V)
		}
		seen[s.Pool.V] = true
		if s.Weight.V > 0 {
			a.Targets = append(a.Targets, route.Target{Pool: s.Pool.V, Weight: s.Weight.V})
		}
	}
	if len(a.Targets) == 0 && len(r.Split) > 0 {
		c.errorf(r.Split[0], "give one pool a weight", "route %q: every weight of the split is 0", r.Name.V)
	}
	return a
}

func protocols(list []file.Protocol) []string {
	var all []string
	for _, p := range list {
		if p.IsSet() {
			all = append(all, p.V)
		}
	}
	return all
}
