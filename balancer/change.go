package balancer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/route"
)

// ErrStopping is the answer to a change of a server that is being stopped.
var ErrStopping = errors.New("balancer: the server is stopping")

// State is everything that a server serves at one time, as configured, so that it can be put back. It holds memory in
// common with the server, and costs little beside it. It is never changed.
type State struct {
	routes         *route.Snapshot
	pools          []pool.Config
	listeners      []ListenerConfig
	maxConnections int
	drain          Drain
	handshakeEvery time.Duration
	handshakes     HandshakeRate
}

// State is what is served now.
func (s *Server) State() *State {
	w := s.world.Load()
	return &State{w.routes, w.configs(), w.listenerConfigs(), w.maxConnections, w.drain, w.handshakeEvery, w.sources.limit()}
}

// Prepared is a change of what a server serves: checked, its addresses bound, its names asked for, and not made yet.
// Exactly one of Commit and Abort ends it. Until then the next change waits.
type Prepared struct {
	server *Server
	table  *route.Pending
	before *world
	after  *world
	sites  sites
	began  []string // names that are followed because of this change
	diff   Diff
	once   sync.Once
}

// Prepare makes ready to serve cfg, and nothing else, in place of what is served now. Backends, pools and listeners that
// stay keep their connections, counters and state. Names of backends that are new are asked for first, for a few
// seconds at the most.
//
// An error changes nothing: one that joins route.Conflicts, a [*BindError] for an address that cannot be had,
// [ErrStopping], or that of ctx, which bounds the waiting. cfg.Settings is not looked at: they are the operator's.
func (s *Server) Prepare(ctx context.Context, cfg *Config) (*Prepared, error) {
	return s.prepare(ctx, s.contentOf(cfg), ctx)
}

// contentOf is what prepare asks of a whole configuration.
func (s *Server) contentOf(cfg *Config) func() (*route.Pending, *State, error) {
	st := &State{
		pools: cfg.Pools, listeners: cfg.Listeners, maxConnections: cfg.MaxConnections, drain: cfg.Drain,
		handshakeEvery: cfg.HandshakeEvery, handshakes: cfg.Handshakes,
	}
	return func() (*route.Pending, *State, error) {
		table, err := s.table.Prepare(cfg.RouteSet())
		return table, st, err
	}
}

// PrepareEdit is Prepare for a few routes and pools. Its cost does not grow with the number of routes.
func (s *Server) PrepareEdit(ctx context.Context, e *Edit) (*Prepared, error) {
	return s.prepare(ctx, func() (*route.Pending, *State, error) {
		st := s.State()
		st.pools = e.pools(st.pools)
		table, err := s.table.PrepareEdit(e.routes())
		return table, st, err
	}, ctx)
}

// PrepareState is Prepare for what State returned earlier.
func (s *Server) PrepareState(ctx context.Context, st *State) (*Prepared, error) {
	return s.prepare(ctx, func() (*route.Pending, *State, error) {
		return s.table.PrepareSnapshot(st.routes), st, nil
	}, ctx)
}

// prepare makes ready what content says once it is this change's turn. It waits for names until their ctx is done.
func (s *Server) prepare(ctx context.Context, content func() (*route.Pending, *State, error), names context.Context) (*Prepared, error) {
	select {
	case s.change <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.stopping.Load() {
		<-s.change
		return nil, ErrStopping
	}
	table, st, err := content()
	if err != nil {
		<-s.change
		return nil, err
	}
	p := &Prepared{server: s, table: table, before: s.world.Load()}
	if p.sites, err = planSites(p.before.listeners, st.listeners, len(s.workers)); err != nil {
		p.Abort()
		return nil, err
	}
	p.began = s.follow(st.pools)
	unknown := s.await(names, p.began)
	p.after = s.worldOf(st, p.sites.listeners)
	p.after.routes = table.Snapshot()
	p.diff = Diff{
		Routes:    routeDiff(table.Changes()),
		Pools:     poolDiffs(p.before.configs(), st.pools),
		Listeners: listenerDiffs(p.before.listenerConfigs(), st.listeners),
		Options:   processDiff(p.before, p.after),
		Notes:     list(unresolved(st.pools, unknown)),
	}
	return p, nil
}

// worldOf is the world of st, with the pools there are as far as they stay.
func (s *Server) worldOf(st *State, listeners []*listener) *world {
	w := &world{
		pools: make(map[string]*livePool, len(st.pools)), order: make([]*livePool, len(st.pools)),
		listeners: listeners, maxConnections: st.maxConnections, drain: st.drain,
		handshakeEvery: st.handshakeEvery, sources: s.world.Load().sources.next(st.handshakes),
	}
	for i := range st.pools {
		cfg := &st.pools[i]
		p := s.poolBefore(cfg.Name).next(*cfg, len(s.workers), s.membersFor(cfg.Source))
		w.pools[cfg.Name], w.order[i] = p, p
	}
	return w
}

// poolBefore is the pool of that name that there is, or was and still has connections; nil if there is none.
func (s *Server) poolBefore(name string) *livePool {
	if p := s.world.Load().pools[name]; p != nil {
		return p
	}
	return s.left[name]
}

// Diff is what the change makes different. It is not to be changed.
func (p *Prepared) Diff() *Diff { return &p.diff }

// Routes is the table that the change would make.
func (p *Prepared) Routes() *route.Snapshot { return p.after.routes }

// Commit makes the change: every hello that is completed after it returns is served by it, and so is every connection
// that an address accepts from then on. A removed listener has served what was waiting in its queue. Established
// connections go on; those to backends that left end within drain_timeout.
//
// An error, that an address cannot be listened on or that the server is stopping, changes nothing.
func (p *Prepared) Commit() error {
	var err error
	p.once.Do(func() {
		if err = p.ready(); err != nil {
			p.abort()
			return
		}
		leaving := p.takeOver()
		p.keep()
		p.sites.apply(p.server)
		for _, l := range leaving {
			p.server.drainLeaving(l.cfg, l.backends)
		}
		p.server.forget(p.after.configs())
		p.server.keeper.membersMoved()
		if len(p.sites.opened)+len(p.sites.closed) > 0 {
			p.server.retell(p.after)
		}
		<-p.server.change
	})
	return err
}

// ready reports what is in the way of the change at the last moment.
func (p *Prepared) ready() error {
	if p.server.stopping.Load() {
		return ErrStopping
	}
	return p.sites.listen()
}

// leaving are backends that left a pool.
type leaving struct {
	cfg      *pool.Config // of the pool they left
	backends []*pool.Backend
}

// takeOver puts the new world in the place of the old one.
func (p *Prepared) takeOver() (left []leaving) {
	s := p.server
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	for _, l := range p.sites.removed {
		l.final.Store(p.before)
	}
	for _, n := range p.after.order {
		switch old := s.poolBefore(n.Name()); {
		case old == nil:
			s.settle(n)
		case old != n || p.before.pools[n.Name()] == nil: // changed, or back again
			left = append(left, leaving{old.Config(), n.Take(old.Pool)})
		}
	}
	for _, old := range p.before.order {
		if p.after.pools[old.Name()] == nil {
			left = append(left, leaving{old.Config(), old.Leave()})
			s.left[old.Name()] = old
		}
	}
	p.table.Commit()
	s.world.Store(p.after)
	s.terminator.Pace(p.after.handshakeEvery)
	for _, n := range p.after.order {
		delete(s.left, n.Name())
		if p.before.pools[n.Name()] != n {
			s.tellAll(n) // what was answered since the change was prepared
		}
	}
	for name, old := range s.left {
		if old.Active() == 0 {
			delete(s.left, name)
		}
	}
	return left
}

// settle gives a pool that is new what the operator has said of its backends.
func (s *Server) settle(p *livePool) {
	for _, st := range s.settings {
		if st.Pool == p.Name() {
			p.Set(st.Address, pool.Setting{State: st.State, Weight: st.Weight})
		}
	}
}

// Abort gives the change up: nothing has happened. After Commit it does nothing.
func (p *Prepared) Abort() { p.once.Do(p.abort) }

func (p *Prepared) abort() {
	p.sites.abandon()
	p.table.Abort()
	if len(p.began) > 0 {
		p.server.forget(p.before.configs())
	}
	<-p.server.change
}
