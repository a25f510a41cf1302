package configs

import (
	"net/netip"

	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

// bound is an address that this process accepts on.
type bound struct {
	addr netip.AddrPort // the zero Addr: both families
	what string         // "listener \"public\""
	at   file.At        // no place where it is taken from the running process
}

// ports are all addresses that this process accepts on, by port.
type ports map[uint16][]bound

// addresses checks the addresses of the whole file against each other: nothing is bound twice, and no backend is
// this process itself, which would connect to itself until no descriptor is left.
func (c *checker) addresses(f *file.File) {
	all := ports{}
	for i := range f.Listeners {
		l := &f.Listeners[i]
		for _, b := range l.Bind {
			c.bind(all, bound{b.V, "listener \"" + l.Name.V + "\"", b.At})
		}
	}
	c.bind(all, bound{f.Admin.Listen.V, "admin.listen", f.Admin.Listen.At})
	c.loops(f.Pools, all)
}

// portsOf are the addresses that the running process accepts on.
func portsOf(r Running) ports {
	all := ports{}
	for _, l := range r.Listeners() {
		for _, a := range l.Bind {
			all[a.Port()] = append(all[a.Port()], bound{addr: a, what: "listener \"" + l.Name + "\""})
		}
	}
	if a := r.AdminListen(); a.IsValid() {
		all[a.Port()] = append(all[a.Port()], bound{addr: a, what: "admin.listen"})
	}
	return all
}

// bind adds an address, unless it is taken.
func (c *checker) bind(all ports, b bound) {
	port := b.addr.Port()
	if !b.at.IsSet() || port == 0 { // port 0 is another one each time
		return
	}
	for _, other := range all[port] {
		if same(b.addr.Addr(), other.addr.Addr()) {
			c.errorf(b.at, "", "%s: the address is taken by %s on %s", b.what, other.what, c.line(other.at, b.at))
			return
		}
	}
	all[port] = append(all[port], b)
}

// same reports whether one port cannot be bound on both addresses. A single address beside all addresses can: the
// kernel prefers the single one.
func same(a, b netip.Addr) bool {
	if a.IsValid() && b.IsValid() {
		return a == b
	}
	return everything(a) && everything(b)
}

// everything reports whether a listener on a gets connections to all addresses of a family.
func everything(a netip.Addr) bool { return !a.IsValid() || a.IsUnspecified() }

// loops refuses backends that are this process itself.
func (c *checker) loops(pools []file.Pool, all ports) {
	for i := range pools {
		for _, b := range pools[i].Backends {
			c.loop(&pools[i], b.Address, all)
		}
	}
}

// loop refuses a backend that is one of our own addresses. Of a listener on all addresses only the loopback ones are known
// to be ours here: the file must mean the same on every machine.
func (c *checker) loop(p *file.Pool, t file.Target, all ports) {
	if !t.IsSet() {
		return
	}
	for _, b := range all[t.Addr.Port()] {
		if reaches(t, b.addr.Addr()) {
			c.errorf(t, "", "pool %q: the backend %s is %s itself: it would connect to itself without end",
				p.Name.V, targetText(t), b.what)
			return
		}
	}
}

// reaches reports whether a connection to t arrives at a listener on the address a.
func reaches(t file.Target, a netip.Addr) bool {
	loopback := t.Host == "localhost" || t.Addr.Addr().IsLoopback()
	switch {
	case everything(a):
		family := !a.IsValid() || t.Host != "" || a.Is4() == t.Addr.Addr().Is4()
		return loopback && family
	case t.Host == "localhost":
		return a == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || a == netip.IPv6Loopback()
	}
	return t.Host == "" && t.Service == "" && t.Addr.Addr() == a
}
