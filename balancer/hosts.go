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
	"github.com/seed-23b4a313/switchyard/balancer/resolve"
)

// hosts follows the DNS names of all backends: one watch a name, however many pools have it.
type hosts struct {
	mu     sync.Mutex // also held while a new world takes its pools over, so that no answer reaches a pool of before
	byName map[string]*host
}

// host is one name that is followed, of a host or of a service.
type host struct {
	addrs []netip.Addr // hosts.mu; the last answer, nil before the first, and of a service
	// endpoints are the same of a service.
	endpoints []resolve.Endpoint // hosts.mu
	known     chan struct{}      // closed by the first answer
	first     sync.Once
	stop      func()
}

// firstAnswer is how long a change waits for the addresses of names that it brings: longer than a lookup that has to
// ask twice, and short beside what an operator waits.
const firstAnswer = 3 * time.Second

// follow begins to watch the names of pools that are not watched yet, and returns them.
func (s *Server) follow(pools []pool.Config) (began []string) {
	for i := range pools {
		for j := range pools[i].Backends {
			b := &pools[i].Backends[j]
			name := b.Named()
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
			switch {
			case h.stop != nil:
			case b.Service != "":
				h.stop = s.resolver.WatchService(b.Service, s.lookupService, func(list []resolve.Endpoint) {
					s.answered(name, h, func() { h.endpoints = list })
				})
			default:
				h.stop = s.resolver.Watch(name, func(addrs []netip.Addr) {
					s.answered(name, h, func() { h.addrs = addrs })
				})
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

// answered is told of the addresses of a name, first and on every change, and has take note them.
func (s *Server) answered(name string, h *host, take func()) {
	s.hosts.mu.Lock()
	defer s.hosts.mu.Unlock()
	take()
	h.first.Do(func() { close(h.known) })
	for _, p := range s.world.Load().order {
		s.tell(p, name)
	}
	s.keeper.membersMoved()
}

// tell gives p the addresses of a name, if it has backends of that name. The caller holds hosts.mu.
func (s *Server) tell(p *livePool, name string) {
	for i := range p.Config().Backends {
		if b := &p.Config().Backends[i]; b.Named() == name {
			s.drainLeaving(p.Config(), p.SetMembers(i, s.usable(s.hosts.byName[name].members(b), p.Config().Source)))
		}
	}
}

// members are what b stands for by the last answer, nil before the first. Of a service, the endpoints of the lowest
// priority are the ones to use, and the others are backups. Weights are beside each other; where all are 0, they are equal,
// and otherwise one of 0 is to have very little (RFC 2782): 1.
func (h *host) members(b *pool.BackendConfig) []pool.Member {
	if b.Service == "" {
		return pool.MembersAt(h.addrs, b.Addr.Port())
	}
	list := make([]pool.Member, len(h.endpoints))
	for i, e := range h.endpoints {
		list[i] = pool.Member{Addr: e.Addr, Weight: max(int(e.Weight), 1), Backup: e.Priority != h.endpoints[0].Priority}
	}
	return list
}

// tellAll gives p the addresses of all its names. The caller holds hosts.mu.
func (s *Server) tellAll(p *livePool) {
	for i := range p.Config().Backends {
		if name := p.Config().Backends[i].Named(); name != "" {
			if h := s.hosts.byName[name]; h != nil && (h.addrs != nil || h.endpoints != nil) {
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

// membersFor tells what is known of the names of a pool that connects from source; nil is nothing.
func (s *Server) membersFor(source netip.Addr) func(*pool.BackendConfig) []pool.Member {
	return func(b *pool.BackendConfig) []pool.Member {
		h := s.hosts.get(b.Named())
		if h == nil {
			return nil
		}
		s.hosts.mu.Lock()
		members := h.members(b)
		s.hosts.mu.Unlock()
		return s.usable(members, source)
	}
}

// forget stops watching names that no pool of keep has.
func (s *Server) forget(keep []pool.Config) {
	used := map[string]bool{}
	for i := range keep {
		for j := range keep[i].Backends {
			used[keep[i].Backends[j].Named()] = true
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
func (s *Server) usable(members []pool.Member, source netip.Addr) []pool.Member {
	var out []pool.Member
	for _, m := range members {
		if source.IsValid() && source.Is4() != m.Addr.Addr().Is4() {
			continue
		}
		if s.isOwn(m.Addr) {
			s.log.Warn("a backend's name resolves to a listener of this process: address ignored", "address", m.Addr.String())
			continue
		}
		out = append(out, m)
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
			if name := pools[i].Backends[j].Named(); slices.Contains(names, name) {
				notes = append(notes, "pool "+strconv.Quote(pools[i].Name)+": "+name+" does not resolve yet")
			}
		}
	}
	return notes
}
