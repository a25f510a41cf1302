package pool

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// Pool is a set of backends and a way to choose. Any number of goroutines may call Pick; it takes no lock.
type Pool struct {
	cfg     Config
	members atomic.Pointer[members]
	active  atomic.Int64     // connections that hold a slot of any backend, those that left included
	turns   [2]atomic.Uint64 // where the rotations of primaries and backups stand; outlives the snapshots

	mu      sync.Mutex
	entries [][]*Backend           // mu; by index into cfg.Backends, each sorted by address
	left    map[entryAddr]*Backend // mu; out of the pool but with connections, so that limits hold if they return
}

// entryAddr names a backend within its pool.
type entryAddr struct {
	entry int
	addr  netip.Addr
}

// New makes a pool. Backends given by address are members at once; those given by name once SetAddrs told
// their addresses.
func New(cfg Config) *Pool {
	p := &Pool{cfg: cfg, entries: make([][]*Backend, len(cfg.Backends)), left: make(map[entryAddr]*Backend)}
	for i := range cfg.Backends {
		if b := &cfg.Backends[i]; b.Host == "" {
			p.entries[i] = []*Backend{p.newBackend(i, b.Addr.Addr().Unmap())}
		}
	}
	p.publish()
	return p
}

func (p *Pool) newBackend(entry int, addr netip.Addr) *Backend {
	cfg := p.cfg.Backends[entry]
	at := netip.AddrPortFrom(addr, cfg.Addr.Port())
	return &Backend{limit: limitOf(cfg.MaxConnections), Pool: p, Config: cfg, Addr: at, Name: at.String()}
}

// Config is what the pool was made from; it is not to be changed.
func (p *Pool) Config() *Config { return &p.cfg }

// Name is the name of the pool.
func (p *Pool) Name() string { return p.cfg.Name }

// Active is the number of connections that hold a slot, those on backends that left the pool included.
func (p *Pool) Active() int64 { return p.active.Load() }

// Backends returns the present members in file order, those of one entry by address; the slice is not to be changed.
func (p *Pool) Backends() []*Backend { return p.members.Load().all }

// SetAddrs says which addresses a named backend entry (index into Config.Backends) has now. Addresses that stay
// keep their Backend with all its state, and so do those that come back while connections still hold slots of
// it. Backends that left are returned. An entry that is given by address, or does not exist, is left as it is.
//
// It does not keep addrs. Any goroutine may call it; it computes the tables of the balance before it returns.
func (p *Pool) SetAddrs(entry int, addrs []netip.Addr) (removed []*Backend) {
	if entry < 0 || entry >= len(p.cfg.Backends) || p.cfg.Backends[entry].Host == "" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.entries[entry]
	after := p.entryOf(entry, before, canonical(addrs))
	if slices.Equal(before, after) {
		return nil
	}
	for _, b := range before {
		if !slices.Contains(after, b) {
			removed = append(removed, b)
		}
	}
	p.remember(entry, removed)
	p.entries[entry] = after
	p.publish()
	return removed
}

// canonical sorts addrs by value, 4-in-6 addresses as IPv4, without repetitions.
func canonical(addrs []netip.Addr) []netip.Addr {
	var c []netip.Addr
	for _, a := range addrs {
		if a.IsValid() {
			c = append(c, a.Unmap())
		}
	}
	slices.SortFunc(c, netip.Addr.Compare)
	return slices.Compact(c)
}

// entryOf lists the Backends of addrs: those there are, those that come back, and new ones.
func (p *Pool) entryOf(entry int, before []*Backend, addrs []netip.Addr) []*Backend {
	after := make([]*Backend, 0, len(addrs))
	for _, a := range addrs {
		at := slices.IndexFunc(before, func(b *Backend) bool { return b.Addr.Addr() == a })
		key := entryAddr{entry, a}
		switch back := p.left[key]; {
		case at >= 0:
			after = append(after, before[at])
		case back != nil:
			after = append(after, back)
			delete(p.left, key)
		default:
			after = append(after, p.newBackend(entry, a))
		}
	}
	return after
}

// remember keeps the removed backends that still have connections, and forgets those whose last one ended.
func (p *Pool) remember(entry int, removed []*Backend) {
	for _, b := range removed {
		p.left[entryAddr{entry, b.Addr.Addr()}] = b
	}
	for key, b := range p.left {
		if b.Active.Load() == 0 {
			delete(p.left, key)
		}
	}
}

// publish makes the entries the members. The caller holds mu, or is the only one to know p.
func (p *Pool) publish() {
	m := &members{all: slices.Concat(p.entries...)}
	m.primary.init(p.cfg.Balance, &p.turns[0], m.all, false)
	m.backup.init(p.cfg.Balance, &p.turns[1], m.all, true)
	p.members.Store(m)
}

// members is who belongs to the pool at one time. It is never changed once published.
type members struct {
	all     []*Backend
	primary group
	backup  group
}
