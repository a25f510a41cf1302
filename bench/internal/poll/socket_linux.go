package poll

import (
	"fmt"
	"io"
	"net/netip"

	"golang.org/x/sys/unix"
)

// backlog is what the backend and the forwarder listen with: somaxconn's default since Linux 5.4.
const backlog = 4096

// Listen opens a non-blocking listening socket and says where, which matters when the port asked for is 0.
func Listen(addr netip.AddrPort) (fd int, bound netip.AddrPort, err error) {
	fd, err = tcpSocket(addr.Addr())
	if err != nil {
		return -1, bound, err
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err == nil {
		err = unix.Bind(fd, sockaddr(addr))
	}
	if err == nil {
		// Inherited by every accepted connection, which saves a call on each.
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err == nil {
		err = unix.Listen(fd, backlog)
	}
	if err == nil {
		bound, err = localAddr(fd)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, bound, fmt.Errorf("poll: listen %v: %w", addr, err)
	}
	return fd, bound, nil
}

// Accept takes one connection, non-blocking, or answers ErrAgain.
func Accept(listener int) (int, error) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			return fd, nil
		case unix.EINTR, unix.ECONNABORTED: // aborted: the client is gone already, the next may not be
		case unix.EAGAIN:
			return -1, ErrAgain
		default:
			return -1, fmt.Errorf("poll: accept: %w", err)
		}
	}
}

// Connect starts a connection to dst from the address src (the zero Addr: the kernel's choice).
func Connect(src netip.Addr, dst netip.AddrPort) (int, error) {
	fd, err := tcpSocket(dst.Addr())
	if err != nil {
		return -1, err
	}
	if src.IsValid() {
		if err = LateSourcePort(fd); err == nil {
			err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(src, 0)))
		}
	}
	if err == nil {
		err = unix.Connect(fd, sockaddr(dst))
	}
	if err != nil && err != unix.EINPROGRESS && err != unix.EINTR {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("poll: connect %v: %w", dst, err)
	}
	return fd, nil
}

// LateSourcePort has the kernel take the port of a bound socket when it knows the destination (IP_BIND_ADDRESS_NO_PORT,
// Linux 4.2), so that a source address has a port range for each destination and not one in all.
func LateSourcePort(fd int) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
}

// NoDelay turns Nagle's algorithm off on a connection that exchanges small messages.
func NoDelay(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }

// Read reads what is there: ErrAgain when nothing is, io.EOF when the peer has finished.
func Read(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Read(fd, b)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return 0, ErrAgain
		case err != nil:
			return 0, fmt.Errorf("poll: read: %w", err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Discard takes up to len(scratch) bytes off the socket without copying them (MSG_TRUNC on TCP, tcp(7)): the contents
// of scratch stay as they are. Errors are those of [Read].
func Discard(fd int, scratch []byte) (int, error) {
	for {
		n, _, err := unix.Recvfrom(fd, scratch, unix.MSG_TRUNC)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return 0, ErrAgain
		case err != nil:
			return 0, fmt.Errorf("poll: read: %w", err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Write writes what there is room for; n may be short, and ErrAgain comes with n of 0. An error of the connect that
// started fd is reported here.
func Write(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Write(fd, b)
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, ErrAgain
		default:
			return 0, fmt.Errorf("poll: write: %w", err)
		}
	}
}

// ResetOnClose makes the next close of fd send an RST in place of a FIN.
func ResetOnClose(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// CloseFD closes a descriptor that was never added to a loop.
func CloseFD(fd int) { _ = unix.Close(fd) }

func tcpSocket(addr netip.Addr) (int, error) {
	family := unix.AF_INET
	if addr.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("poll: socket: %w", err)
	}
	return fd, nil
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is6() {
		return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}

func localAddr(fd int) (netip.AddrPort, error) {
	sa, err := unix.Getsockname(fd)
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)), nil
	}
	return netip.AddrPort{}, err
}
