package configs

import (
	"slices"

	"github.com/seed-23b4a313/switchyard/configs/internal/file"
	"github.com/seed-23b4a313/switchyard/route"
)

// encrypted checks the TLS towards backends beside the routes that lead to it.
func (c *checker) encrypted(f *file.File, routes []route.Route, n *names) {
	pools, terminated := make(map[string]*file.Pool, len(f.Pools)), map[string]bool{}
	for i := range f.Pools {
		pools[f.Pools[i].Name.V] = &f.Pools[i]
	}
	for i := range f.Routes {
		r := &f.Routes[i]
		if r.Terminate == nil {
			continue
		}
		terminated[r.Pool.V] = true
		for j := range r.Split { // one of weight 0, too: it may get one later
			terminated[r.Split[j].Pool.V] = true
		}
	}
	c.nameless(f.Routes, routes, func(pool string) bool { return pools[pool] != nil && asksForName(pools[pool]) })
	if n.misspelt {
		return
	}
	for i := range f.Pools {
		p := &f.Pools[i]
		if p.TLS != nil && p.Name.IsSet() && n.used[p.Name.V] && !terminated[p.Name.V] {
			c.warnf(p.TLS, "", "pool %q: tls does nothing: no route that leads to it has terminate, and what passes through is not encrypted again", p.Name.V)
		}
	}
}

// asksForName reports whether the backends of a pool are verified by the name that the client asked for.
func asksForName(p *file.Pool) bool { return p.TLS != nil && p.TLS.Verify.V && !p.TLS.Has("sni") }

// nameless points at routes that take clients without a server name to a pool that needs one, as asks tells: there is
// nothing to verify its backends by, and each such client would be cut off.
func (c *checker) nameless(routes []file.Route, made []route.Route, asks func(pool string) bool) {
	for i := range routes {
		r := &routes[i]
		if !r.NoSNI.V || r.Terminate == nil {
			continue
		}
		for _, t := range made[i].Action.Targets {
			if asks(t.Pool) {
				c.errorf(r.NoSNI, "set sni in the tls of the pool",
					"route %q: clients without a server name have none that backends of pool %q could be verified by", r.Name.V, t.Pool)
			}
		}
	}
}

// nameless checks the routes and pools of an edit beside each other and beside those that run.
func (e *edit) nameless() {
	pools := map[string]bool{}
	for i := range e.putPools {
		p := &e.putPools[i]
		pools[p.Name.V] = asksForName(p)
	}
	e.checker.nameless(e.result.routes, e.result.Edit.PutRoutes, func(pool string) bool {
		asks, put := pools[pool]
		return asks || !put && e.names.running.AsksForName(pool)
	})
	for i := range e.putPools {
		p := &e.putPools[i]
		if !asksForName(p) {
			continue
		}
		led := slices.DeleteFunc(e.names.running.NamelessRoutes(p.Name.V), func(name string) bool {
			_, touched := e.touched[ref{"route", name}]
			return touched
		})
		if len(led) > 0 {
			e.errorf(p.TLS, "set sni in it", "pool %q: clients of route %q without a server name have none that backends could be verified by", p.Name.V, led[0])
		}
	}
}
