package health

import (
	"context"
	"net"
	"net/netip"
	"syscall"

	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// dial connects to an address as the data plane does: from source without using up a port for all destinations
// (IP_BIND_ADDRESS_NO_PORT), and with the last packet of the handshake left out where data or FIN follows at once.
// Keep-alive is off, as no check lives that long; TCP_NODELAY is on, as always with package net.
func dial(ctx context.Context, to netip.AddrPort, source netip.Addr) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1, ControlContext: func(_ context.Context, network, _ string, raw syscall.RawConn) error {
		var err error
		if e := raw.Control(func(fd uintptr) { err = prepare(int(fd), network == "tcp6", source) }); e != nil {
			return e
		}
		return err
	}}
	return d.DialContext(ctx, "tcp", to.String()) // DialTCP binds, even to nothing: 28 000 in TIME_WAIT, and no port is left
}

// prepare sets up a socket that is not connected yet.
func prepare(fd int, v6 bool, source netip.Addr) error {
	sys.SetSmartConnect(fd)
	if !source.IsValid() {
		return nil
	}
	if source.Is4() == v6 {
		return syscall.EAFNOSUPPORT // a name that resolves to the other family than the source's
	}
	if e := sys.BindSource(fd, source, v6); e != 0 {
		return e
	}
	return nil
}
