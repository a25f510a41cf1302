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
	found   [][]Member   // shared.mu; what each of entries was made from
}

// shared is what a pool and those that take its place have in common.
type shared struct {
	panicking atomic.Bool   // too few are healthy: all that are not drained are used
	ejecting  atomic.Bool   // somebody decides whether to eject, or ends an ejection
	ejections atomic.Uint64 // so far
	_         [64]byte      // what every choice writes is on another cache line than what it only reads

	active atomic.Int64     // connections that hold a slot of any backend, those that left included
	turns  [2]atomic.Uint64 // where the rotations of primaries and backups stand

	mu       sync.Mutex
	left     []*Backend         // mu; out of the pool but with connections, so that limits hold if they return
	settings map[string]Setting // mu; by address, see Set
}

// New makes a pool. Backends given by address are members at once; those given by name once SetAddrs told
// their addresses.
func New(cfg Config) *Pool {
	p := &Pool{shared: &shared{settings: map[string]Setting{}}}
	p.cfg, p.entries, p.found = &cfg, make([][]*Backend, len(cfg.Backends)), make([][]Member, len(cfg.Backends))
	for i := range cfg.Backends {
		if b := &cfg.Backends[i]; b.Named() == "" {
			p.entries[i] = []*Backend{p.newBackend(b, unmap(b.Addr))}
		}
	}
	p.publish(p.configs())
	return p
}

func (p *Pool) newBackend(cfg *BackendConfig, at netip.AddrPort) *Backend {
	b := &Backend{shared: p.shared, Addr: at, Name: at.String(), name: cfg.Named()}
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

// SetAddrs says which addresses a named backend entry (index into Config.Backends) has now: SetMembers for an entry that
// is a host, whose port is the entry's.
func (p *Pool) SetAddrs(entry int, addrs []netip.Addr) (removed []*Backend) {
	if entry < 0 || entry >= len(p.cfg.Backends) {
		return nil
	}
	return p.SetMembers(entry, MembersAt(addrs, p.cfg.Backends[entry].Addr.Port()))
}

// MembersAt are the members that a host with these addresses stands for.
func MembersAt(addrs []netip.Addr, port uint16) []Member {
	list := make([]Member, len(addrs))
	for i, a := range addrs {
		list[i] = Member{Addr: netip.AddrPortFrom(a, port)}
	}
	return list
}

// SetMembers says which backends a named entry (index into Config.Backends) stands for now. Addresses that stay keep their
// Backend with all its state, and so do those that come back while connections still hold slots of it. Backends that left
// are returned. An entry that is given by address, or does not exist, is left as it is.
//
// It does not keep members. Any goroutine may call it; it computes the tables of the balance before it returns. Of
// pools that share their Backends, only the one in force is to be told.
func (p *Pool) SetMembers(entry int, members []Member) (removed []*Backend) {
	if entry < 0 || entry >= len(p.cfg.Backends) || p.cfg.Backends[entry].Named() == "" {
		return nil
	}
	p.shared.mu.Lock()
	defer p.shared.mu.Unlock()
	before, found := p.entries[entry], canonical(members)
	after := p.entryOf(&p.cfg.Backends[entry], newReuse(before, p.shared.left), found)
	if slices.Equal(before, after) && slices.Equal(p.found[entry], found) {
		return nil
	}
	all := slices.Concat(p.entries...)
	if before == nil {
		all = append(all, after...) // the first answer: they were there from the start, as it were
	}
	p.entries, p.found = slices.Clone(p.entries), slices.Clone(p.found)
	p.entries[entry], p.found[entry] = after, found
	return p.replace(all)
}

// Next makes the pool that cfg, whose name is that of p, describes. Backends whose address stays are the same ones in
// both, with their connections, counters, state and what an operator has said of them. Nothing of p changes, nor of
// its Backends, until Take; and not at all if Take is never called. known tells what a DNS name stands for as far as that
// is known.
func (p *Pool) Next(cfg Config, known func(*BackendConfig) []Member) *Pool {
	n := &Pool{cfg: &cfg, shared: p.shared, entries: make([][]*Backend, len(cfg.Backends)), found: make([][]Member, len(cfg.Backends))}
	p.shared.mu.Lock()
	defer p.shared.mu.Unlock()
	old := newReuse(slices.Concat(p.entries...), p.shared.left)
	for i := range cfg.Backends {
		b := &cfg.Backends[i]
		if b.Named() == "" {
			n.found[i] = []Member{{Addr: unmap(b.Addr)}}
		} else {
			n.found[i] = canonical(known(b))
		}
		n.entries[i] = n.entryOf(b, old, n.found[i])
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

// canonical sorts members by address, 4-in-6 addresses as IPv4. Of those with the same address the first one counts.
func canonical(members []Member) []Member {
	var c []Member
	for _, m := range members {
		if m.Addr.IsValid() {
			m.Addr = unmap(m.Addr)
			c = append(c, m)
		}
	}
	slices.SortStableFunc(c, func(a, b Member) int { return a.Addr.Compare(b.Addr) })
	return slices.CompactFunc(c, func(a, b Member) bool { return a.Addr == b.Addr })
}

func unmap(ap netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()) }

// entryOf lists the Backends of members: those there are, those that come back, and new ones.
func (p *Pool) entryOf(cfg *BackendConfig, old reuse, members []Member) []*Backend {
	list := make([]*Backend, 0, len(members))
	for _, m := range members {
		b := old.take(cfg.Named(), m.Addr)
		if b == nil {
			b = p.newBackend(cfg, m.Addr)
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

func (r reuse) take(name string, addr netip.AddrPort) *Backend {
	have := r[addr]
	if len(have) == 0 {
		return nil
	}
	i := max(slices.IndexFunc(have, func(b *Backend) bool { return b.name == name }), 0)
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
