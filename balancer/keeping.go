package balancer

import (
	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/route"
)

// owner is a route whose TLS ends here, or a pool that speaks TLS.
type owner struct {
	pool bool
	name string
}

// keep has the files of certificates of the routes and pools in force followed as they change, and those of what is gone
// let go. It costs what the change touches, and what there is of such routes and pools only if one of these is touched.
func (p *Prepared) keep() {
	s, touched := p.server, false
	now := func(who owner, set *certs.Set) {
		if s.certSets[who] == set {
			return
		}
		touched = true
		if set == nil {
			delete(s.certSets, who)
			return
		}
		s.certSets[who] = set
	}
	changes := &p.diff.Routes
	for _, names := range [...][]string{changes.Removed, changes.Changed, changes.Added} {
		for _, name := range names {
			now(owner{name: name}, setOfRoute(p.after.routes.Route(name)))
		}
	}
	for i := range p.diff.Pools {
		name := p.diff.Pools[i].Pool
		now(owner{pool: true, name: name}, setOfPool(p.after.pools[name]))
	}
	if !touched {
		return
	}
	sets := []*certs.Set{}
	for _, set := range s.certSets {
		sets = append(sets, set)
	}
	s.kept.Store(&sets)
	s.ordering.Store(orderings(s.certSets))
	s.certKeeper.Keep(sets)
}

// setOfRoute is what a route, which may be nil, terminates with; nil if it does not.
func setOfRoute(r *route.Route) *certs.Set {
	if r == nil {
		return nil
	}
	policy, ok := r.Terminate.(*terminate.Policy)
	if !ok {
		return nil
	}
	set, _ := policy.Certificates().(*certs.Set)
	return set
}

// setOfPool is what a pool, which may be nil, shows to its backends and trusts them by; nil if that is nothing.
func setOfPool(p *livePool) *certs.Set {
	if p == nil {
		return nil
	}
	t, ok := p.Config().TLS.(*terminate.BackendTLS)
	if !ok || t == nil {
		return nil
	}
	return t.Files
}

// expiries tells of the certificates in force.
func (s *Server) expiries() (all []certs.Expiry) {
	if sets := s.kept.Load(); sets != nil {
		for _, set := range *sets {
			all = append(all, set.Expiries()...)
		}
	}
	return all
}
