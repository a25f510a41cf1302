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

// following is what is followed of an owner.
type following struct {
	set    *certs.Set        // nil: none
	checks *certs.Set        // the authorities of checks; nil: none
	policy *terminate.Policy // nil: none, or one that names no files but those of certificates
}

// keep has the files of certificates, of client_auth and of the authorities of checks, of the routes and pools in force followed as they change, and those
// of what is gone let go. It costs what the change touches, and what there is of such routes and pools only if one of these is touched.
func (p *Prepared) keep() {
	s, touched := p.server, false
	now := func(who owner, what following) {
		if s.followed[who] == what {
			return
		}
		touched = true
		if what == (following{}) {
			delete(s.followed, who)
			return
		}
		s.followed[who] = what
	}
	changes := &p.diff.Routes
	for _, names := range [...][]string{changes.Removed, changes.Changed, changes.Added} {
		for _, name := range names {
			now(owner{name: name}, ofRoute(p.after.routes.Route(name)))
		}
	}
	for i := range p.diff.Pools {
		name := p.diff.Pools[i].Pool
		now(owner{pool: true, name: name}, ofPool(p.after.pools[name]))
	}
	if !touched {
		return
	}
	next := &kept{}
	var others []certs.Follower
	for _, f := range s.followed {
		if f.set != nil {
			next.sets = append(next.sets, f.set)
		}
		if f.checks != nil {
			next.sets = append(next.sets, f.checks)
		}
		if f.policy != nil {
			next.policies = append(next.policies, f.policy)
			others = append(others, f.policy)
		}
	}
	s.kept.Store(next)
	s.certKeeper.Keep(next.sets, others...)
	s.ordering.Store(orderings(s.followed))
}

// kept is what is followed of all owners. It is not changed.
type kept struct {
	sets     []*certs.Set
	policies []*terminate.Policy
}

// ofRoute is what a route, which may be nil, terminates with.
func ofRoute(r *route.Route) (f following) {
	if r == nil {
		return f
	}
	f.set = terminate.SetOf(r.Terminate)
	if policy, ok := r.Terminate.(*terminate.Policy); ok && policy != nil && policy.HasFiles() {
		f.policy = policy
	}
	return f
}

// ofPool is what a pool, which may be nil, shows to its backends, and trusts them and their checks by.
func ofPool(p *livePool) (f following) {
	if p == nil {
		return f
	}
	f.set = terminate.FilesOf(p.Config().TLS)
	if check := p.Config().Health; check != nil {
		f.checks, _ = check.CA.(*certs.Set)
	}
	return f
}

// expiries tells of the certificates in force.
func (s *Server) expiries() []certs.Expiry { return certs.Expiries(s.kept.Load().sets) }

// listEnds tells of the lists of revoked certificates in force.
func (s *Server) listEnds() (all []terminate.ListEnd) {
	for _, p := range s.kept.Load().policies {
		if e := p.ListEnd(); e != (terminate.ListEnd{}) {
			all = append(all, e)
		}
	}
	return all
}
