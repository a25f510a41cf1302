package balancer

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"syscall"

	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// listener is one entry of `listeners:` with what its sockets share. cfg is never changed.
type listener struct {
	cfg    ListenerConfig
	index  int
	max    int64        // 0: no limit of its own
	active atomic.Int64 // connections of all its sockets
	addrs  []netip.AddrPort
}

// expectsHeader reports whether connections from peer start with a PROXY header.
func (l *listener) expectsHeader(peer netip.Addr) bool {
	for _, p := range l.cfg.ProxyFrom {
		if p.Contains(peer) {
			return true
		}
	}
	return false
}

// backlog is how many connections may wait to be accepted on one socket; the kernel caps it at somaxconn.
const backlog = 4096

// bind opens one socket per worker on every address of l. With port 0 the first socket gets a port, and the
// others share it.
func (l *listener) bind(workers []*worker) error {
	for _, want := range l.cfg.Bind {
		if e := probe(want); e != 0 {
			return l.bindError(want, e)
		}
		addr := want
		for i, w := range workers {
			fd, e := listenOn(addr)
			if e == syscall.EAFNOSUPPORT && !addr.Addr().IsValid() {
				addr = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port()) // no IPv6 here: ":port" is IPv4 then
				fd, e = listenOn(addr)
			}
			if e != 0 {
				return l.bindError(want, e)
			}
			w.addSocket(l, fd)
			if i == 0 {
				addr = netip.AddrPortFrom(addr.Addr(), sys.LocalAddr(fd).Port())
				l.addrs = append(l.addrs, sys.LocalAddr(fd))
			}
		}
	}
	return nil
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

// listenOn makes a listening socket. What is set here, connections inherit: no delay, keepalive, user timeout.
func listenOn(addr netip.AddrPort) (int, syscall.Errno) {
	fd, e := bound(addr, func(fd int) {
		sys.SetReusePort(fd)
		sys.SetNoDelay(fd)
		sys.Keepalive(fd, keepIdle, keepInterval, keepCount, userTimeout)
	})
	if e != 0 {
		return -1, e
	}
	if e = sys.Listen(fd, backlog); e != 0 {
		sys.Close(fd)
		return -1, e
	}
	sys.SetSmartAccept(fd)
	return fd, 0
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

// bindError says what to do about the errors that operators meet.
func (l *listener) bindError(addr netip.AddrPort, e syscall.Errno) error {
	where := addr.String()
	if !addr.Addr().IsValid() {
		where = fmt.Sprintf(":%d", addr.Port())
	}
	err := &BindError{Listener: l.cfg.Name, Address: where, Err: e}
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

// addSocket gives w a listening socket of l.
func (w *worker) addSocket(l *listener, fd int) {
	spare, _ := sys.OpenSpare()
	w.sockets = append(w.sockets, &socket{
		fd: fd, token: uint64(len(w.sockets))<<slotShift | kindSocket, listener: l, burst: 1, spare: spare,
	})
}

// listen makes the loop watch the worker's sockets.
func (w *worker) listen() error {
	for _, sock := range w.sockets {
		if e := w.loop.WatchListener(sock.fd, sock.token); e != 0 {
			return fmt.Errorf("listener %q: epoll_ctl: %w", sock.listener.cfg.Name, e)
		}
	}
	return nil
}
