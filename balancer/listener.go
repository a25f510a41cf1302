package balancer

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"syscall"

	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// listener is one entry of `listeners:` with what its sockets share. It lives as long as a listener of its name does.
type listener struct {
	cfg      atomic.Pointer[ListenerConfig] // never changed, replaced when its options change
	active   atomic.Int64                   // connections of all its sockets
	counters []listenerCounters             // by worker
	bound    atomic.Pointer[[]*binding]     // in file order; the slice and the bindings are never changed
	final    atomic.Pointer[world]          // set when it is removed: what the last of its connections are routed by
}

func newListener(cfg *ListenerConfig, workers int) *listener {
	l := &listener{counters: make([]listenerCounters, workers)}
	l.cfg.Store(cfg)
	l.bound.Store(new([]*binding))
	return l
}

// name is that of the file, and never changes.
func (l *listener) name() string { return l.cfg.Load().Name }

// addrs are the addresses that l is bound to.
func (l *listener) addrs() (all []netip.AddrPort) {
	for _, b := range *l.bound.Load() {
		all = append(all, b.addr)
	}
	return all
}

// expectsHeader reports whether connections from peer start with a PROXY header.
func (cfg *ListenerConfig) expectsHeader(peer netip.Addr) bool {
	for _, p := range cfg.ProxyFrom {
		if p.Contains(peer) {
			return true
		}
	}
	return false
}

// binding is one address of a listener: a socket for each worker. Whose connections its sockets take can change, see
// handover.
type binding struct {
	want    netip.AddrPort // as configured
	addr    netip.AddrPort // with the real port
	sockets []*socket      // by worker
}

// backlog is how many connections may wait to be accepted on one socket; the kernel caps it at somaxconn.
const backlog = 4096

// bind opens one socket per worker on the address want of the listener named name. They do not listen yet. With port 0
// the first socket gets a port, and the others share it.
func bind(name string, want netip.AddrPort, workers int) (*binding, error) {
	b := &binding{want: want}
	addr := want
	for range workers {
		fd, e := bindShared(addr)
		if e == syscall.EAFNOSUPPORT && !addr.Addr().IsValid() {
			addr = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port()) // no IPv6 here: ":port" is IPv4 then
			fd, e = bindShared(addr)
		}
		if e != 0 {
			b.close()
			return nil, bindError(name, want, e)
		}
		sock := &socket{fd: fd, burst: 1, spare: newSpare()}
		b.sockets = append(b.sockets, sock)
		if sock.spare.fd < 0 { // it could refuse nobody
			b.close()
			return nil, bindError(name, want, syscall.EMFILE)
		}
		if len(b.sockets) == 1 {
			b.addr = sys.LocalAddr(fd)
			addr = netip.AddrPortFrom(addr.Addr(), b.addr.Port())
		}
	}
	return b, nil
}

// listen makes the sockets of b take connections, which wait in their queues from now on.
func (b *binding) listen(name string) error {
	for _, sock := range b.sockets {
		if e := sys.Listen(sock.fd, backlog); e != 0 {
			return bindError(name, b.want, e)
		}
		sys.SetSmartAccept(sock.fd)
	}
	return nil
}

// close closes sockets that no loop has.
func (b *binding) close() {
	for _, sock := range b.sockets {
		sock.close()
	}
}

// overlaps reports whether a probe of want would meet b. Where it listens on all addresses, all of its port are its.
func (b *binding) overlaps(want netip.AddrPort) bool {
	everything := func(a netip.Addr) bool { return !a.IsValid() || a.IsUnspecified() }
	return b.addr.Port() == want.Port() &&
		(b.addr.Addr() == want.Addr() || everything(b.want.Addr()) || everything(want.Addr()))
}

// probe finds out whether somebody listens on addr already. The workers' sockets share it by SO_REUSEPORT, which
// another process of the same user could join unnoticed, and take half of the connections.
func probe(addr netip.AddrPort) syscall.Errno {
	if addr.Port() == 0 {
		return 0
	}
	fd, e := bound(addr, sys.SetReuseAddr)
	if e == syscall.EAFNOSUPPORT && !addr.Addr().IsValid() {
		fd, e = bound(netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port()), sys.SetReuseAddr)
	}
	if e == 0 {
		sys.Close(fd)
	}
	return e
}

// bindShared makes a socket bound to addr, which the workers share. What is set here, connections inherit: no delay,
// keepalive, user timeout.
func bindShared(addr netip.AddrPort) (int, syscall.Errno) {
	return bound(addr, func(fd int) {
		sys.SetReusePort(fd)
		sys.SetNoDelay(fd)
		sys.Keepalive(fd, keepIdle, keepInterval, keepCount, userTimeout)
	})
}

// bound makes a socket that is bound to addr, after options has prepared it. The zero Addr means IPv6 and IPv4 in
// one socket.
func bound(addr netip.AddrPort, options func(fd int)) (int, syscall.Errno) {
	both := !addr.Addr().IsValid()
	if both {
		addr = netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port())
	}
	v6 := addr.Addr().Is6() && !addr.Addr().Is4In6()
	fd, e := sys.Socket(v6)
	if e != 0 {
		return -1, e
	}
	if v6 {
		e = sys.SetOnlyV6(fd, !both)
	}
	options(fd)
	if e == 0 {
		e = sys.Bind(fd, addr, v6)
	}
	if e != 0 {
		sys.Close(fd)
		return -1, e
	}
	return fd, 0
}

// bindText is an address to accept on as the file writes it.
func bindText(addr netip.AddrPort) string {
	if !addr.Addr().IsValid() {
		return fmt.Sprintf(":%d", addr.Port())
	}
	return addr.String()
}

// bindError says what to do about the errors that operators meet.
func bindError(name string, addr netip.AddrPort, e syscall.Errno) error {
	err := &BindError{Listener: name, Address: bindText(addr), Err: e}
	switch {
	case errors.Is(e, syscall.EADDRINUSE):
		err.Hint = "another process listens there: `ss -ltnp` shows which"
	case errors.Is(e, syscall.EACCES):
		err.Hint = "ports below 1024 need CAP_NET_BIND_SERVICE, or a lower net.ipv4.ip_unprivileged_port_start"
	case errors.Is(e, syscall.EADDRNOTAVAIL):
		err.Hint = "this machine does not have that address: `ip address` shows those it has"
	}
	return err
}

// BindError says that an address of a listener could not be bound.
type BindError struct {
	Listener string
	Address  string
	Err      error  // the errno
	Hint     string // what to do; may be empty
}

func (e *BindError) Error() string {
	return fmt.Sprintf("listener %q: bind %s: %v", e.Listener, e.Address, e.Err)
}

func (e *BindError) Unwrap() error { return e.Err }
