package terminate

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// socket is one TCP socket of a [Conn], and its owner: whoever made it closes it, and nobody else has the descriptor.
// It is an [os.File] because that is what the standard library makes of a descriptor without duplicating it: a
// non-blocking one is given to the netpoller, and has deadlines.
//
// One goroutine reads and one writes. Close, SetDeadline and control may be called from others meanwhile.
type socket struct {
	file   *os.File
	raw    syscall.RawConn
	conn   *Conn
	local  netip.AddrPort
	remote netip.AddrPort

	turn  *turn  // not nil in a handshake: given up while the socket waits
	alert error  // that came in the clear within the handshake; nil: none
	eager bool   // a Read that would wait answers errNotYet instead
	stash []byte // received and not read yet
	lent  *block // what stash lies in; nil: it is not borrowed

	out     []byte // what Write has left
	outErr  syscall.Errno
	recvErr syscall.Errno
	recvN   int
	recv    func(fd uintptr) bool // the methods of that name, made once
	send    func(fd uintptr) bool
}

var _ certs.Waiter = (*socket)(nil)

// block is a buffer for what a socket has received, two full TLS records (RFC 8446 §5.1) long.
type block [32 << 10]byte

// blocks are lent to those that have something to carry; a connection that waits holds none.
var blocks = sync.Pool{New: func() any { return new(block) }}

// newSocket takes fd over, which is non-blocking and which no epoll instance knows. received was read of it before.
func newSocket(fd int, received []byte) (*socket, error) {
	s := &socket{file: os.NewFile(uintptr(fd), "tcp"), stash: received}
	raw, err := s.file.SyscallConn()
	if err == nil {
		err = s.file.SetDeadline(time.Time{}) // an error if the netpoller could not take it
	}
	if err != nil {
		s.file.Close()
		return nil, syscall.ENOMEM
	}
	s.raw = raw
	s.recv, s.send = s.receiveOnce, s.sendOut
	return s, nil
}

// errNotYet says that nothing has arrived. To crypto/tls it is an error that passes.
var errNotYet net.Error = notYet{}

type notYet struct{}

func (notYet) Error() string   { return "nothing has arrived" }
func (notYet) Timeout() bool   { return true }
func (notYet) Temporary() bool { return true }

// Read implements [net.Conn].
func (s *socket) Read(b []byte) (int, error) {
	if len(s.stash) == 0 {
		if s.eager {
			return 0, errNotYet
		}
		if err := s.wait(); err != nil {
			return 0, err
		}
	}
	n := copy(b, s.stash)
	s.stash = s.stash[n:]
	if len(s.stash) == 0 {
		s.giveBack()
	}
	return n, nil
}

// wait waits until something has arrived, and receives it. A buffer is borrowed only once there is something.
func (s *socket) wait() error {
	err := s.raw.Read(s.recv)
	s.turn.take()
	switch {
	case err != nil:
		return err
	case s.recvErr != 0:
		return s.recvErr
	case s.recvN == 0:
		return io.EOF
	}
	return nil
}

func (s *socket) receiveOnce(fd uintptr) bool {
	b := blocks.Get().(*block)
	s.recvN, s.recvErr = sys.Recv(int(fd), b[:])
	switch {
	case s.recvErr == syscall.EAGAIN:
		blocks.Put(b)
		s.turn.yield()
		return false
	case s.recvErr != 0 || s.recvN == 0:
		blocks.Put(b)
		return true
	}
	s.lent, s.stash = b, b[:s.recvN]
	if s.turn != nil {
		s.noteAlert()
	}
	return true
}

// Wait implements [certs.Waiter]: whoever waits for a certificate computes nothing, and others may meanwhile.
func (s *socket) Wait(d time.Duration) bool {
	s.turn.yield()
	defer s.turn.take()
	due := time.NewTimer(d)
	defer due.Stop()
	select {
	case <-due.C:
		return true
	case <-s.conn.stop:
		return false
	}
}

// Aside implements [certs.Waiter]: a file system that does not answer has no turn, and keeps f and not the connection.
func (s *socket) Aside(f func(), d time.Duration) bool {
	s.turn.yield()
	defer s.turn.take()
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		f()
	}()
	due := time.NewTimer(d)
	defer due.Stop()
	select {
	case broken := <-done:
		if broken != nil {
			panic(broken) // of this connection, as everything that it does
		}
		return true
	case <-due.C:
		return false
	case <-s.conn.stop:
		return false
	}
}

// noteAlert looks for an alert in the clear. A client that refuses the server's certificate has no keys to say so under in
// TLS 1.3, or does not use them (OpenSSL); crypto/tls takes it for a record that was tampered with.
func (s *socket) noteAlert() {
	b := s.stash
	for len(b) > 6 && b[0] == recordChangeCipherSpec && b[3] == 0 && b[4] == 1 { // for middleboxes (RFC 8446 §D.4)
		b = b[6:]
	}
	if len(b) >= 7 && b[0] == recordAlert && b[3] == 0 && b[4] == 2 {
		s.alert = tls.AlertError(b[6])
	}
}

// Types of TLS records (RFC 8446 §5.1).
const (
	recordChangeCipherSpec = 20
	recordAlert            = 21
)

func (s *socket) giveBack() {
	if s.lent != nil {
		blocks.Put(s.lent)
	}
	s.lent, s.stash = nil, nil
}

// Write implements [net.Conn].
func (s *socket) Write(b []byte) (int, error) {
	s.out, s.outErr = b, 0
	err := s.raw.Write(s.send)
	s.turn.take()
	n := len(b) - len(s.out)
	s.out = nil
	if err == nil && s.outErr != 0 {
		err = s.outErr
	}
	return n, err
}

func (s *socket) sendOut(fd uintptr) bool {
	for len(s.out) > 0 {
		n, e := sys.Send(int(fd), s.out, false)
		switch {
		case e == syscall.EAGAIN:
			s.turn.yield()
			return false
		case e != 0:
			s.outErr = e
			return true
		}
		s.out = s.out[n:]
	}
	return true
}

// connect connects an unconnected socket before the write deadline. A connect(2) that is called again tells how the
// first one went.
func (s *socket) connect(to netip.AddrPort, v6 bool) error {
	var e syscall.Errno
	err := s.raw.Write(func(fd uintptr) bool {
		e = sys.Connect(int(fd), to, v6)
		return e != syscall.EINPROGRESS && e != syscall.EALREADY
	})
	switch {
	case err != nil:
		return err
	case e != 0 && e != syscall.EISCONN:
		return e
	}
	s.remote = to
	return nil
}

// control calls f with the descriptor, which is valid until f returns. It does nothing once the socket is closed.
func (s *socket) control(f func(fd int)) {
	_ = s.raw.Control(func(fd uintptr) { f(int(fd)) })
}

// closeWrite sends FIN.
func (s *socket) closeWrite() {
	s.control(func(fd int) { sys.CloseWrite(fd) })
}

// reset closes the socket so that the peer sees RST.
func (s *socket) reset() {
	s.control(sys.ResetOnClose)
	s.Close()
}

// Bounds of what is still read of a client that is being refused: closing a socket with unread bytes makes the kernel
// send RST, and RST overtakes what explains it.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 256 << 10
)

// linger sends FIN, waits until the peer has closed too, or has had enough time or bytes, and closes.
func (s *socket) linger() {
	defer s.Close()
	s.closeWrite()
	s.giveBack()
	s.file.SetDeadline(time.Now().Add(lingerTime)) //nolint:errcheck // it is closed anyhow
	for n := 0; n < lingerBytes; {
		if s.wait() != nil {
			return
		}
		n += s.recvN
		s.giveBack()
	}
}

// goodbye sends FIN, reads what has come meanwhile, and closes.
func (s *socket) goodbye() {
	defer s.Close()
	s.giveBack()
	s.control(func(fd int) {
		if sys.CloseWrite(fd) != 0 {
			return
		}
		b := blocks.Get().(*block)
		defer blocks.Put(b)
		for range 8 {
			if n, e := sys.Recv(fd, b[:]); e != 0 || n < len(b) {
				return
			}
		}
	})
}

// Close implements [net.Conn]. A second call does nothing.
func (s *socket) Close() error { return s.file.Close() }

// LocalAddr implements [net.Conn].
func (s *socket) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(s.local) }

// RemoteAddr implements [net.Conn].
func (s *socket) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.remote) }

// SetDeadline implements [net.Conn], and does nothing, as do the two below: the deadlines are the Conn's alone. crypto/tls
// would give a close_notify five seconds, which a slow reader of a long answer does not keep.
func (s *socket) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements [net.Conn].
func (s *socket) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements [net.Conn].
func (s *socket) SetWriteDeadline(time.Time) error { return nil }

// errnoOf is the errno within err; 0 if there is none.
func errnoOf(err error) syscall.Errno {
	var e syscall.Errno
	errors.As(err, &e)
	return e
}
