package balancer

import (
	"net"
	"net/netip"
	"slices"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/route"
)

// world is what connections are routed by: one consistent state of table and pools. A session loads it once,
// when its hello is complete. It is never changed; a new one takes its place.
type world struct {
	routes *route.Snapshot
	pools  map[string]*livePool
	order  []*livePool // in file order
}

// livePool is a pool with what the data plane measures of it.
type livePool struct {
	*pool.Pool
	dial histogram
}

// newWorld builds the pools and the table.
func newWorld(cfg *Config) (*world, error) {
	w := &world{pools: make(map[string]*livePool, len(cfg.Pools))}
	set := route.Set{Routes: cfg.Routes}
	for i := range cfg.Pools {
		p := &livePool{Pool: pool.New(cfg.Pools[i])}
		w.pools[p.Name()] = p
		w.order = append(w.order, p)
		set.Pools = append(set.Pools, p.Name())
	}
	for _, l := range cfg.Listeners {
		set.Listeners = append(set.Listeners, route.Listener{Name: l.Name, NoSNI: l.NoSNI, UnknownSNI: l.UnknownSNI})
	}
	table, err := route.NewTable(&set)
	if err != nil {
		return nil, err
	}
	w.routes = table.Snapshot()
	return w, nil
}

// watchNames keeps the members of pools with named backends up to date.
func (s *Server) watchNames(w *world) {
	for _, p := range w.order {
		for i, b := range p.Config().Backends {
			if b.Host == "" {
				continue
			}
			s.stopNames = append(s.stopNames, s.resolver.Watch(b.Host, func(addrs []netip.Addr) {
				s.drainRemoved(p, p.SetAddrs(i, s.usable(addrs, p.Config().Source, b.Addr.Port())))
			}))
		}
	}
}

// drainRemoved gives the connections of backends that left p the pool's drain_timeout to end by themselves.
func (s *Server) drainRemoved(p *livePool, removed []*pool.Backend) {
	d := int64(p.Config().DrainTimeout)
	if d == 0 || len(removed) == 0 {
		return
	}
	for _, w := range s.workers {
		w.loop.Post(func() { w.drainBackends(removed, d) })
	}
}

// drainBackends bounds the life of the worker's connections to backends that left their pool.
func (w *worker) drainBackends(removed []*pool.Backend, d int64) {
	for i := range w.slabs {
		for j := range w.slabs[i] {
			s := &w.slabs[i][j]
			if s.stage == stageRelaying && s.leaveBy == 0 && slices.Contains(removed, s.backend) {
				s.leaveBy = w.loop.Now() + d
				w.wakeAt(s, s.leaveBy)
			}
		}
	}
}

// usable leaves out addresses at which this server itself listens: a connection sent there would come back for
// ever. And those that cannot be reached from the pool's source address, which is of the other family. They can
// come from DNS only; the configuration's own are refused when it is loaded.
func (s *Server) usable(addrs []netip.Addr, source netip.Addr, port uint16) []netip.Addr {
	var out []netip.Addr
	for _, a := range addrs {
		if source.IsValid() && source.Is4() != a.Is4() {
			continue
		}
		if s.isOwn(netip.AddrPortFrom(a, port)) {
			s.log.Warn("a backend's name resolves to a listener of this process: address ignored",
				"address", netip.AddrPortFrom(a, port).String())
			continue
		}
		out = append(out, a)
	}
	return out
}

// isOwn reports whether a connection to ap would reach a listener of this server.
func (s *Server) isOwn(ap netip.AddrPort) bool {
	for _, l := range s.listeners {
		for _, bound := range l.addrs {
			if bound.Port() != ap.Port() {
				continue
			}
			if bound.Addr() == ap.Addr() || bound.Addr().IsUnspecified() && isLocal(ap.Addr()) {
				return true
			}
		}
	}
	return false
}

// isLocal reports whether a is an address of this machine.
func isLocal(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, have := range addrs {
		if p, err := netip.ParsePrefix(have.String()); err == nil && p.Addr() == a {
			return true
		}
	}
	return false
}
