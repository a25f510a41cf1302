package balancer

import (
	"cmp"
	"slices"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
)

// refusals are the files in force that have changed and are not taken, by name. Routes may share one, and are told of once.
func (s *Server) refusals() []certs.Refusal {
	now := s.kept.Load()
	all := certs.Refusals(now.sets)
	for _, p := range now.policies {
		all = append(all, p.Refusals()...)
	}
	slices.SortStableFunc(all, func(a, b certs.Refusal) int { return cmp.Compare(a.File, b.File) })
	return slices.CompactFunc(all, func(a, b certs.Refusal) bool { return a.File == b.File })
}
