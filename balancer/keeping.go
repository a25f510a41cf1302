package balancer

import (
	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
)

// keep has the certificates of the routes in force followed as their files change, and those of no route any more let go.
// It costs what the change touches, and what there is of routes that terminate only if one of these is touched.
func (p *Prepared) keep() {
	s, touched := p.server, false
	changes := &p.diff.Routes
	for _, names := range [...][]string{changes.Removed, changes.Changed, changes.Added} {
		for _, name := range names {
			_, had := s.policies[name]
			delete(s.policies, name)
			r := p.after.routes.Route(name)
			if r == nil {
				touched = touched || had
				continue
			}
			policy, has := r.Terminate.(*terminate.Policy)
			if has {
				s.policies[name] = policy
			}
			touched = touched || had || has
		}
	}
	if !touched {
		return
	}
	sets := []*certs.Set{}
	for _, policy := range s.policies {
		if set, ok := policy.Certificates().(*certs.Set); ok {
			sets = append(sets, set)
		}
	}
	s.kept.Store(&sets)
	s.certKeeper.Keep(sets)
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
