package balancer

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// hosts follows the DNS names of all backends: one watch a name, however many pools have it.
type hosts struct {
	mu     sync.Mutex // also held while a new world takes its pools over, so that no answer reaches a pool of before
	byName map[string]*host
}

// host is one name that is followed.
type host struct {
	addrs []netip.Addr  // hosts.mu; the last answer, nil before the first
	known chan struct{} // closed by the first answer
	first sync.Once
	stop  func()
}

// firstAnswer is how long a change waits for the addresses of names that it brings: longer than a lookup that has to
// ask twice, and short beside what an operator waits.
const firstAnswer = 3 * time.Second

// follow begins to watch the names of pools that are not watched yet, and returns them.
func (s *Server) follow(pools []pool.Config) (began []string) {
	for i := range pools {
		for j := range pools[i].Backends {
			name := pools[i].Backends[j].Host
			if name == "" {
				continue
			}
			s.hosts.mu.Lock()
			h := s.hosts.byName[name]
			if h == nil {
				h = &host{known: make(chan struct{})}
				s.hosts.byName[name] = h
				began = append(began, name)
			}
			s.hosts.mu.Unlock()
			if h.stop == nil {
				h.stop = s.resolver.Watch(name, func(addrs []netip.Addr) { s.answered(name, h, addrs) })
			}
		}
	}
	return began
}

// await waits until names are known, for at most firstAnswer, and returns those that are not.
func (s *Server) await(ctx context.Context, names []string) (unknown []string) {
	if len(names) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, firstAnswer)
	defer cancel()
	for _, name := range names {
		select {
		case <-s.hosts.get(name).known:
		case <-ctx.Done():
			unknown = append(unknown, name)
		}
	}
	return unknown
}

func (h *hosts) get(name string) *host {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.byName[name]
}

// answered is told of the addresses of a name, first and on every change.
func (s *Server) answered(name string, h *host, addrs []netip.Addr) {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	h.addrs = addrs
	h.first.Do(func() { close(h.known) })
	for _, p := range s.world.Load().order {
		s.tell(p, name)
	}
	s.keeper.membersMoved()
}

// tell gives p the addresses of a name, if it has backends of that name. The caller holds hosts.mu.
func (s *Server) tell(p *livePool, name string) {
	for i := range p.Config().Backends {
		if b := &p.Config().Backends[i]; b.Host == name {
			s.drainLeaving(p.Config(), p.SetAddrs(i, s.usable(s.hosts.byName[name].addrs, p.Config().Source, b.Addr.Port())))
		}
	}
}

// tellAll gives p the addresses of all its names. The caller holds hosts.mu.
func (s *Server) tellAll(p *livePool) {
	for i := range p.Config().Backends {
		if name := p.Config().Backends[i].Host; name != "" {
			if h := s.hosts.byName[name]; h != nil && h.addrs != nil {
				s.tell(p, name)
			}
		}
	}
}

// retell looks at all addresses again: which ones are usable depends on where the server listens.
func (s *Server) retell(w *world) {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	for _, p := range w.order {
		s.tellAll(p)
	}
}

// addrsFor tells what is known of the names of a pool that connects from source.
func (s *Server) addrsFor(source netip.Addr) func(*pool.BackendConfig) []netip.Addr {
	return func(b *pool.BackendConfig) []netip.Addr {
		h := s.hosts.get(b.Host)
		if h == nil {
			return nil
		}
		s.hosts.mu.Lock()
		addrs := h.addrs
		s.hosts.mu.Unlock()
		return s.usable(addrs, source, b.Addr.Port())
	}
}

// forget stops watching names that no pool of keep has.
func (s *Server) forget(keep []pool.Config) {
	used := map[string]bool{}
	for i := range keep {
		for j := range keep[i].Backends {
			used[keep[i].Backends[j].Host] = true
		}
	}
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	for name, h := range s.hosts.byName {
		if !used[name] {
			h.stop()
			delete(s.hosts.byName, name)
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
	for _, l := range s.world.Load().listeners {
		for _, bound := range l.addrs() {
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
	return slices.ContainsFunc(addrs, func(have net.Addr) bool {
		p, err := netip.ParsePrefix(have.String())
		return err == nil && p.Addr() == a
	})
}

// unresolved says which pools have backends without an address.
func unresolved(pools []pool.Config, names []string) (notes []string) {
	for i := range pools {
		for j := range pools[i].Backends {
			if name := pools[i].Backends[j].Host; slices.Contains(names, name) {
				notes = append(notes, "pool "+strconv.Quote(pools[i].Name)+": "+name+" does not resolve yet")
			}
		}
	}
	return notes
}
