package balancer

import (
	"log/slog"
	"sync/atomic"
	"syscall"

	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// spare is a descriptor that stands for nothing, of one listening socket: where the process has run out of descriptors
// it is closed to accept, and so to refuse, one more connection. It belongs to the socket's loop.
//
//	held --close--> lent --accept, reset, open--> held
//	                 └-- somebody was quicker: open again when the socket's pause is over
//
// While it is lent another loop can be given its number. One that accepts a connection holds that for the hello_timeout
// at most. One that got it for a backend would hold it as long as the connection lasts, and if that happens to every
// socket nobody is left who could refuse a client: they would wait in queues that nobody serves, until a connection
// ends. So whoever has got a descriptor for a backend asks first whether it is [spares.missed], and gives it back then.
type spare struct {
	fd int     // -1: there is none
	in *spares // while it is lent, the count that it is in
}

// spares counts the spares that are lent just now. The zero value is none of them. Each is counted before its descriptor
// is closed, so that nobody can get the number and not see it counted.
type spares struct {
	n    atomic.Int64
	open func() (int, syscall.Errno) // nil: sys.OpenSpare; set by tests, of whom none is lent
}

// missed reports whether a descriptor that the caller has got may be a spare: one is lent, and there are not as many free beside
// it. Those who ask at the same time may both be told so, although there is enough for one.
func (s *spares) missed() bool {
	n := s.n.Load()
	if n <= 0 {
		return false
	}
	open := sys.OpenSpare
	if s.open != nil {
		open = s.open
	}
	for range n {
		fd, e := open()
		if e != 0 {
			return true
		}
		defer sys.Close(fd)
	}
	return false
}

// newSpare is without a descriptor where there is none to be had.
func newSpare() spare {
	fd, _ := sys.OpenSpare()
	return spare{fd: fd}
}

// give closes the descriptor until take. false: there is none.
func (s *spare) give(of *spares) bool {
	if s.fd < 0 {
		return false
	}
	of.n.Add(1)
	sys.Close(s.fd)
	s.fd, s.in = -1, of
	return true
}

// take opens a descriptor unless there is one. false: there are none left.
func (s *spare) take() bool {
	if s.fd < 0 {
		if s.fd, _ = sys.OpenSpare(); s.fd < 0 {
			return false
		}
	}
	s.settle()
	return true
}

// close closes the descriptor for good; a second call does nothing.
func (s *spare) close() {
	if s.fd >= 0 {
		sys.Close(s.fd)
		s.fd = -1
	}
	s.settle()
}

func (s *spare) settle() {
	if s.in != nil {
		s.in.n.Add(-1)
		s.in = nil
	}
}

// shed takes one connection with the spare descriptor, and resets it: an answer now is better for the client than to
// wait in a queue that nobody serves. The answer is accept's; why where there is no spare any more.
func (w *worker) shed(sock *socket, why syscall.Errno) syscall.Errno {
	if !sock.spare.give(&w.server.spares) {
		return why
	}
	fd, _, e := sys.Accept(sock.fd)
	if e == 0 {
		sys.Reset(fd)
		w.noteShed(sock.listener, why)
	}
	if !sock.spare.take() {
		return why
	}
	return e
}

// noteShed counts and logs a connection that was reset for want of descriptors.
func (w *worker) noteShed(l *listener, why syscall.Errno) {
	c := &l.counters[w.index]
	c.accepted.Add(1)
	c.closed[CauseFDLimit].Add(1)
	if n := w.server.shed.Add(1); isPowerOfTen(n) {
		w.server.recorder.notice(slog.LevelError, "out of descriptors: connections are reset",
			slog.String("listener", l.name()), slog.Uint64("reset_total", n), slog.String("error", why.Error()),
			slog.String("hint", "raise LimitNOFILE (ulimit -n), or lower max_connections"))
	}
}
