package balancer

import (
	"fmt"
	"slices"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/route"
)

// NotFoundError says that there is no pool, or no backend in it, by that name.
type NotFoundError struct {
	Kind string   // "pool" or "backend"
	Name string   // as asked for
	Have []string // what there is
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("balancer: there is no %s %q", e.Kind, e.Name)
}

// Set puts in force what an operator says of a backend: it gets no new connections, or the weight in place of the
// file's. It stays so over every change of the configuration, and for whatever has the address later, until a Setting
// without state and weight takes it back. matched is the number of members it applies to now: a name stands for all of
// its addresses.
//
// Connections go on; those of a backend in maint end within the pool's drain_timeout. The error is a [*NotFoundError],
// or ErrStopping.
func (s *Server) Set(st Setting) (matched int, err error) {
	s.change <- struct{}{}
	defer func() { <-s.change }()
	if s.stopping.Load() {
		return 0, ErrStopping
	}
	p, set := s.poolBefore(st.Pool), pool.Setting{State: st.State, Weight: st.Weight}
	if !set.IsZero() {
		if err := s.known(&st); err != nil {
			return 0, err
		}
	}
	is := func(o Setting) bool { return o.Pool == st.Pool && o.Address == st.Address }
	s.settings = slices.DeleteFunc(slices.Clone(s.settings), is)
	if !set.IsZero() {
		s.settings = append(s.settings, st)
	}
	if p == nil {
		return 0, nil // what was said of a pool that is no more is taken back
	}
	backends := p.Set(st.Address, set)
	s.keeper.membersMoved()
	if s.world.Load().pools[st.Pool] != p {
		return 0, nil // it has connections yet, and no members
	}
	if st.State == pool.OverrideMaint {
		s.drainLeaving(p.Config(), backends)
	}
	return len(backends), nil
}

// known reports a pool or a backend that is not there.
func (s *Server) known(st *Setting) error {
	p := s.world.Load().pools[st.Pool]
	if p == nil {
		return &NotFoundError{"pool", st.Pool, s.poolNames()}
	}
	if have := addressesOf(p); !slices.Contains(have, st.Address) {
		return &NotFoundError{"backend", st.Address, have}
	}
	return nil
}

// Settings are what operators have said of backends, in the order in which they said it. Some may be of pools and backends
// that are not there now.
func (s *Server) Settings() []Setting {
	s.change <- struct{}{}
	defer func() { <-s.change }()
	return slices.Clone(s.settings)
}

// poolNames are the names of the pools in file order.
func (s *Server) poolNames() (names []string) {
	for _, p := range s.world.Load().order {
		names = append(names, p.Name())
	}
	return names
}

// addressesOf are the ways to name the backends of p: each address, and what the file says where that is another.
func addressesOf(p *livePool) (all []string) {
	for _, b := range p.Backends() {
		all = append(all, b.Name)
	}
	for i := range p.Config().Backends {
		if text := p.Config().Backends[i].Text(); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

// Explain tells where a connection would go now, and why.
func (s *Server) Explain(q *route.Query) route.Explanation { return s.world.Load().routes.Explain(q) }

// Routes is the table in force.
func (s *Server) Routes() *route.Snapshot { return s.world.Load().routes }

// Pools are the pools in force, in file order. The slice is the caller's.
func (s *Server) Pools() []pool.Config { return s.world.Load().configs() }

// Listeners are the listeners in force, in file order. The slice is the caller's.
func (s *Server) Listeners() []ListenerConfig { return s.world.Load().listenerConfigs() }

// LogConnections says whether a line is written when a connection ends, from now on.
func (s *Server) LogConnections(on bool) { s.logConnections.Store(on) }
