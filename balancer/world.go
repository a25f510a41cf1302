package balancer

import (
	"slices"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/route"
)

// world is what connections are served by: one consistent state of listeners, table and pools. A session loads it
// once, when its hello is complete. It is never changed; a new one takes its place.
type world struct {
	routes    *route.Snapshot
	pools     map[string]*livePool
	order     []*livePool // in file order
	listeners []*listener // in file order

	maxConnections int
	drain          Drain
	handshakeEvery time.Duration
	sources        *sources
}

// livePool is a pool with what the data plane measures of it.
type livePool struct {
	*pool.Pool
	dial       *histogram
	handshakes *handshakes
	queue      *queue
}

// next is the pool as cfg has it, in place of p, which may be nil.
func (p *livePool) next(cfg pool.Config, loops int, known func(*pool.BackendConfig) []pool.Member) *livePool {
	switch {
	case p == nil:
		n := &livePool{Pool: pool.New(cfg), dial: &histogram{}, handshakes: &handshakes{}, queue: newQueue(loops)}
		for i := range cfg.Backends {
			if members := known(&cfg.Backends[i]); members != nil {
				n.SetMembers(i, members)
			}
		}
		return n
	case p.Config().Equal(&cfg):
		return p
	}
	return &livePool{Pool: p.Next(cfg, known), dial: p.dial, handshakes: p.handshakes, queue: p.queue}
}

// configs are the pools as configured, in file order.
func (w *world) configs() []pool.Config {
	all := make([]pool.Config, len(w.order))
	for i, p := range w.order {
		all[i] = *p.Config()
	}
	return all
}

// listenerConfigs are the listeners as configured, in file order.
func (w *world) listenerConfigs() []ListenerConfig {
	all := make([]ListenerConfig, len(w.listeners))
	for i, l := range w.listeners {
		all[i] = *l.cfg.Load()
	}
	return all
}

// RouteSet is the part of cfg that decides where connections go. It shares the routes with cfg.
func (cfg *Config) RouteSet() *route.Set {
	set := &route.Set{Routes: cfg.Routes}
	for i := range cfg.Pools {
		set.Pools = append(set.Pools, cfg.Pools[i].Name)
	}
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		set.Listeners = append(set.Listeners, route.Listener{Name: l.Name, NoSNI: l.NoSNI, UnknownSNI: l.UnknownSNI})
	}
	return set
}

// drainLeaving gives the connections of backends that have left p, or are in maint, the pool's drain_timeout to end by
// themselves.
func (s *Server) drainLeaving(p *pool.Config, leaving []*pool.Backend) {
	d := int64(p.DrainTimeout)
	if d == 0 || len(leaving) == 0 {
		return
	}
	for _, w := range s.workers {
		w.loop.Post(func() { w.drainBackends(leaving, d) })
	}
}

// drainBackends bounds the life of the worker's connections to these backends.
func (w *worker) drainBackends(leaving []*pool.Backend, d int64) {
	for i := range w.slabs {
		for j := range w.slabs[i] {
			s := &w.slabs[i][j]
			if (s.stage == stageRelaying || s.stage == stageTerminating) && slices.Contains(leaving, s.backendNow()) {
				w.leaveWithin(s, d)
			}
		}
	}
}
