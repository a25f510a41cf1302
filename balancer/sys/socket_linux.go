package sys

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockaddr is room for an IPv4 or IPv6 socket address as the kernel lays it out (ip(7), ipv6(7)).
type sockaddr struct {
	raw unix.RawSockaddrInet6
	len uint32
}

// encode fills a from ap. An IPv6 socket (v6) takes IPv4 addresses in their mapped form.
func (a *sockaddr) encode(ap netip.AddrPort, v6 bool) {
	addr, port := ap.Addr(), swap16(ap.Port())
	if !v6 {
		in4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw))
		*in4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: addr.Unmap().As4()}
		a.len = unix.SizeofSockaddrInet4
		return
	}
	a.raw = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port, Addr: addr.As16(), Scope_id: scope(addr)}
	a.len = unix.SizeofSockaddrInet6
}

// decode is the address in a, mapped IPv4 unmapped.
func (a *sockaddr) decode() netip.AddrPort {
	switch a.raw.Family {
	case unix.AF_INET:
		in4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw))
		return netip.AddrPortFrom(netip.AddrFrom4(in4.Addr), swap16(in4.Port))
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.raw.Addr).Unmap(), swap16(a.raw.Port))
	}
	return netip.AddrPort{}
}

// swap16 turns a port between host order and the network order of a socket address.
func swap16(v uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], v)
	return binary.BigEndian.Uint16(b[:])
}

// scope is the numeric zone of a link-local address; a zone that is no number counts as none.
func scope(a netip.Addr) uint32 {
	var n uint32
	for _, c := range []byte(a.Zone()) {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + uint32(c-'0')
	}
	return n
}

// Socket makes a non-blocking TCP socket of the family of addr.
func Socket(v6 bool) (int, syscall.Errno) {
	family := uintptr(unix.AF_INET)
	if v6 {
		family = unix.AF_INET6
	}
	fd, _, e := syscall.RawSyscall(unix.SYS_SOCKET, family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	return fdResult(fd, e)
}

// Bind binds fd.
func Bind(fd int, ap netip.AddrPort, v6 bool) syscall.Errno {
	var a sockaddr
	a.encode(ap, v6)
	_, _, e := syscall.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(a.len))
	return e
}

// Listen starts listening. The kernel caps backlog at net.core.somaxconn.
func Listen(fd, backlog int) syscall.Errno {
	_, _, e := syscall.RawSyscall(unix.SYS_LISTEN, uintptr(fd), uintptr(backlog), 0)
	return e
}

// Connect starts to connect; EINPROGRESS is the usual answer.
func Connect(fd int, ap netip.AddrPort, v6 bool) syscall.Errno {
	var a sockaddr
	a.encode(ap, v6)
	_, _, e := syscall.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(a.len))
	return e
}

// Accept takes a connection from the queue; the new socket is non-blocking.
func Accept(fd int) (int, netip.AddrPort, syscall.Errno) {
	var a sockaddr
	a.len = unix.SizeofSockaddrInet6
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)),
			uintptr(unsafe.Pointer(&a.len)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch e {
		case 0:
			return int(n), a.decode(), 0
		case unix.EINTR, unix.ECONNABORTED: // gone while it waited: the next one may be fine
			continue
		}
		return -1, netip.AddrPort{}, e
	}
}

// LocalAddr is the address fd is bound to; the zero AddrPort if the kernel does not tell.
func LocalAddr(fd int) netip.AddrPort {
	var a sockaddr
	a.len = unix.SizeofSockaddrInet6
	syscall.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&a.raw)), uintptr(unsafe.Pointer(&a.len)))
	return a.decode()
}

// TakeError returns the pending error of a socket, and clears it (SO_ERROR).
func TakeError(fd int) syscall.Errno {
	var v int32
	n := uint32(4)
	_, _, e := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ERROR,
		uintptr(unsafe.Pointer(&v)), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 {
		return e
	}
	return syscall.Errno(v)
}

// Keepalive makes the kernel find out that the peer is gone: probes after idle seconds of silence, every
// interval seconds, count times; and at most userTimeout milliseconds for sent bytes to be acknowledged (tcp(7)).
// Sockets accepted from a listening socket inherit all of it.
func Keepalive(fd, idle, interval, count, userTimeout int) {
	SetInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	SetInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, idle)
	SetInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, interval)
	SetInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, count)
	SetUserTimeout(fd, userTimeout)
}

// SetUserTimeout sets TCP_USER_TIMEOUT in milliseconds; 0 is the system's default.
func SetUserTimeout(fd, ms int) {
	SetInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, ms)
}

// SetNoDelay switches Nagle's algorithm off.
func SetNoDelay(fd int) { SetInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }

// SetSmartConnect lets the acknowledgement that completes a connect travel with the first bytes sent, one packet
// less (HAProxy calls this tcp-smart-connect). The kernel saves it for a socket that is in the middle of an
// exchange, which switching TCP_QUICKACK off claims (net/ipv4/tcp_input.c, tcp_rcv_synsent_state_process).
func SetSmartConnect(fd int) { SetInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0) }

// SetSmartAccept lets the acknowledgement of a client's first bytes travel with the answer: connections inherit
// from the listening socket that they are in the middle of an exchange. It has to come after Listen, which clears it
// (inet_csk_listen_start). HAProxy calls this tcp-smart-accept.
func SetSmartAccept(fd int) { SetInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0) }

// SetQuickAck has what arrived on fd acknowledged at once, and what follows for a while.
func SetQuickAck(fd int) { SetInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) }

// SetReusePort lets the loops' sockets share an address; all of them must set it before they bind.
func SetReusePort(fd int) {
	SetReuseAddr(fd)
	SetInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}

// SetReuseAddr lets a listening socket bind while connections of an earlier one are in TIME_WAIT.
func SetReuseAddr(fd int) { SetInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) }

// SetOnlyV6 says whether an IPv6 socket leaves IPv4 alone.
func SetOnlyV6(fd int, only bool) syscall.Errno {
	v := 0
	if only {
		v = 1
	}
	return SetInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, v)
}

// BindSource makes fd connect from addr, leaving the choice of the port to connect, so that ports are used up
// per destination and not altogether (IP_BIND_ADDRESS_NO_PORT, Linux 4.2).
func BindSource(fd int, addr netip.Addr, v6 bool) syscall.Errno {
	if e := SetInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); e != 0 {
		return e
	}
	return Bind(fd, netip.AddrPortFrom(addr, 0), v6)
}

// LastAck is how many milliseconds ago the peer last acknowledged anything (tcpi_last_ack_recv); ok is false if
// the kernel does not tell.
func LastAck(fd int) (ms uint32, ok bool) {
	var info unix.TCPInfo
	n := uint32(unsafe.Sizeof(info))
	_, _, e := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&n)), 0)
	return info.Last_ack_recv, e == 0
}

// Unacknowledged is how many bytes given to fd its peer has not acknowledged (SIOCOUTQ, tcp(7)).
func Unacknowledged(fd int) int {
	var n int32
	syscall.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCOUTQ, uintptr(unsafe.Pointer(&n)))
	return int(n)
}

// OpenSpare opens a descriptor that stands for nothing: closing it makes room to accept, and so to refuse, one
// more connection when the process has run out of descriptors.
func OpenSpare() (int, syscall.Errno) {
	fd, _, e := syscall.RawSyscall(unix.SYS_EVENTFD2, 0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC, 0)
	return fdResult(fd, e)
}
