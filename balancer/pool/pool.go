package pool

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// Pool is a set of backends and a way to choose. Any number of goroutines may call Pick; it takes no lock.
//
// A changed configuration makes another Pool of it, see Next: whoever still holds the one before chooses as before,
// and both count on the same Backends.
type Pool struct {
	cfg     *Config // never changed
	shared  *shared
	members atomic.Pointer[members]
	entries [][]*Backend // shared.mu; by index into cfg.Backends, each sorted by address
}

// shared is what a pool and those that take its place have in common.
type shared struct {
	active atomic.Int64     // connections that hold a slot of any backend, those that left included
	turns  [2]atomic.Uint64 // where the rotations of primaries and backups stand

	panicking atomic.Bool   // too few are healthy: all that are not drained are used
	ejecting  atomic.Bool   // somebody decides whether to eject, or ends an ejection
	ejections atomic.Uint64 // so far

	mu       sync.Mutex
	left     []*Backend         // mu; out of the pool but with connections, so that limits hold if they return
	settings map[string]Setting // mu; by address, see Set
}

// New makes a pool. Backends given by address are members at once; those given by name once SetAddrs told
// their addresses.
func New(cfg Config) *Pool {
	p := &Pool{shared: &shared{settings: map[string]Setting{}}}
	p.cfg, p.entries = &cfg, make([][]*Backend, len(cfg.Backends))
	for i := range cfg.Backends {
		if b := &cfg.Backends[i]; b.Host == "" {
			p.entries[i] = []*Backend{p.newBackend(b, b.Addr.Addr().Unmap())}
		}
	}
	p.publish(p.configs())
	return p
}

func (p *Pool) newBackend(cfg *BackendConfig, addr netip.Addr) *Backend {
	at := netip.AddrPortFrom(addr, cfg.Addr.Port())
	b := &Backend{shared: p.shared, Addr: at, Name: at.String(), host: cfg.Host}
	b.configure(*cfg)
	return b
}

// Config is what the pool was made from; it is not to be changed.
func (p *Pool) Config() *Config { return p.cfg }

// Name is the name of the pool.
func (p *Pool) Name() string { return p.cfg.Name }

// Active is the number of connections that hold a slot, those on backends that left the pool included.
func (p *Pool) Active() int64 { return p.shared.active.Load() }

// Backends returns the present members in file order, those of one entry by address; the slice is not to be changed.
func (p *Pool) Backends() []*Backend { return p.members.Load().all }

// SetAddrs says which addresses a named backend entry (index into Config.Backends) has now. Addresses that stay
// keep their Backend with all its state, and so do those that come back while connections still hold slots of
// it. Backends that left are returned. An entry that is given by address, or does not exist, is left as it is.
//
// It does not keep addrs. Any goroutine may call it; it computes the tables of the balance before it returns. Of
// pools that share their Backends, only the one in force is to be told.
func (p *Pool) SetAddrs(entry int, addrs []netip.Addr) (removed []*Backend) {
	if entry < 0 || entry >= len(p.cfg.Backends) || p.cfg.Backends[entry].Host == "" {
		return nil
	}
	p.shared.mu.Lock()
	defer p.shared.mu.Unlock()
	before := p.entries[entry]
	after := p.entryOf(&p.cfg.Backends[entry], newReuse(before, p.shared.left), canonical(addrs))
	if slices.Equal(before, after) {
		return nil
	}
	all := slices.Concat(p.entries...)
	if before == nil {
		all = append(all, after...) // the first answer: they were there from the start, as it were
	}
	p.entries = slices.Clone(p.entries)
	p.entries[entry] = after
	return p.replace(all)
}

// SetHost is SetAddrs for the entry that is the DNS name host with this port. A pool without such an entry is left as
// it is.
func (p *Pool) SetHost(host string, port uint16, addrs []netip.Addr) (removed []*Backend) {
	return p.SetAddrs(slices.IndexFunc(p.cfg.Backends, func(b BackendConfig) bool {
		return b.Host == host && b.Addr.Port() == port
	}), addrs)
}

// Next makes the pool that cfg, whose name is that of p, describes. Backends whose address stays are the same ones in
// both, with their connections, counters, state and what an operator has said of them. Nothing of p changes, nor of
// its Backends, until Take; and not at all if Take is never called. addrs tells the addresses of a DNS name as far as
// they are known.
func (p *Pool) Next(cfg Config, addrs func(*BackendConfig) []netip.Addr) *Pool {
	n := &Pool{cfg: &cfg, shared: p.shared, entries: make([][]*Backend, len(cfg.Backends))}
	p.shared.mu.Lock()
	defer p.shared.mu.Unlock()
	old := newReuse(slices.Concat(p.entries...), p.shared.left)
	for i := range cfg.Backends {
		b := &cfg.Backends[i]
		if b.Host == "" {
			n.entries[i] = n.entryOf(b, old, []netip.Addr{b.Addr.Addr().Unmap()})
		} else {
			n.entries[i] = n.entryOf(b, old, canonical(addrs(b)))
		}
	}
	all, cfgs, _ := n.configs()
	n.lay(all, cfgs)
	return n
}

// Take puts p in the place of the pool before, which Next was called on. Backends that are no members any more are
// returned; they keep the slots that are held.
func (p *Pool) Take(before *Pool) (removed []*Backend) {
	p.shared.mu.Lock()
	defer p.shared.mu.Unlock()
	return p.replace(slices.Concat(before.entries...))
}

// Leave says that the pool is no more: all its members are returned as removed. Take of a pool made by Next revives it.
func (p *Pool) Leave() (removed []*Backend) {
	gone := &Pool{cfg: p.cfg, shared: p.shared}
	return gone.Take(p)
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
func (p *Pool) entryOf(cfg *BackendConfig, old reuse, addrs []netip.Addr) []*Backend {
	list := make([]*Backend, 0, len(addrs))
	for _, a := range addrs {
		b := old.take(cfg.Host, netip.AddrPortFrom(a, cfg.Addr.Port()))
		if b == nil {
			b = p.newBackend(cfg, a)
		}
		list = append(list, b)
	}
	return list
}

// reuse hands out the Backends there are, each once. An address may be in a pool twice, once written out and once
// behind a name: who asks for it by the same name as before gets its own.
type reuse map[netip.AddrPort][]*Backend

func newReuse(lists ...[]*Backend) reuse {
	r := reuse{}
	for _, b := range slices.Concat(lists...) {
		r[b.Addr] = append(r[b.Addr], b)
	}
	return r
}

func (r reuse) take(host string, addr netip.AddrPort) *Backend {
	have := r[addr]
	if len(have) == 0 {
		return nil
	}
	i := max(slices.IndexFunc(have, func(b *Backend) bool { return b.host == host }), 0)
	b := have[i]
	r[addr] = slices.Delete(have, i, i+1)
	return b
}

// replace makes the entries the members in force, and returns those of before that are none any more. The caller holds
// mu.
func (p *Pool) replace(before []*Backend) (removed []*Backend) {
	stay, were := make(map[*Backend]bool), make(map[*Backend]bool, len(before))
	for _, b := range before {
		were[b] = true
	}
	for _, b := range slices.Concat(p.entries...) {
		stay[b] = true
		b.gone.Store(false)
		if !were[b] {
			b.ramp.Store(Clock())
		}
	}
	for _, b := range before {
		if !stay[b] {
			removed = append(removed, b)
			b.gone.Store(true)
		}
	}
	p.shared.left = slices.DeleteFunc(append(p.shared.left, removed...), func(b *Backend) bool {
		return stay[b] || b.Active.Load() == 0
	})
	p.publish(p.configs())
	return removed
}

// publish puts in force what the members are to be, and makes them the choice. The caller holds mu, or is the only one
// to know p.
func (p *Pool) publish(all []*Backend, cfgs []BackendConfig, states []Override) {
	for i, b := range all {
		b.configure(cfgs[i])
		b.override(states[i])
	}
	p.lay(all, cfgs)
}

// lay computes the choice among the members.
func (p *Pool) lay(all []*Backend, cfgs []BackendConfig) {
	m := &members{all: all}
	m.primary.init(p.cfg, &p.shared.turns[0], all, cfgs, false)
	m.backup.init(p.cfg, &p.shared.turns[1], all, cfgs, true)
	p.members.Store(m)
}

// members is who belongs to the pool at one time. It is never changed once published.
type members struct {
	all     []*Backend
	primary group
	backup  group
}
