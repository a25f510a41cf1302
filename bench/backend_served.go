package bench

import (
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/poll"
	"github.com/seed-23b4a313/switchyard/bench/internal/wire"
)

// served is one connection of the raw backend, and what it is doing:
//
//	hello ──▶ (delay) ──▶ answer ──┬─▶ wait                     OpAnswer
//	                               ├─▶ echo                     OpEcho
//	                               ├─▶ send ──▶ wait            OpSend
//	                               └─▶ sink ──▶ answer ──▶ wait OpSink
//
// wait lasts until the client closes. Every state ends at once when the client resets.
type served struct {
	backend *rawBackend
	fd      int
	pool    int
	fails   bool // by FailEvery
	closed  bool
	ended   bool // an event said that the client has finished

	state servedState
	order wire.Order
	hello []byte // until it is complete
	reply wire.Answer
	due   time.Time // when the delayed answer is
	out   []byte    // what a short write left
	left  int64     // bytes still to send or to take
}

type servedState byte

const (
	servedHello servedState = iota
	servedDelay
	servedWait
	servedEcho
	servedSend
	servedSink
)

func (s *served) Ready(ended bool) {
	s.ended = s.ended || ended
	if len(s.out) > 0 && !s.flush() {
		return
	}
	if !s.closed {
		s.step()
	}
}

// step does what the state asks for until the socket would block. A state that ends calls step for the next one.
func (s *served) step() {
	switch s.state {
	case servedHello:
		s.readHello()
	case servedDelay: // the loop answers when it is due
	case servedWait:
		s.read(func([]byte) bool { return true })
	case servedEcho:
		s.read(s.write)
	case servedSend:
		s.send()
	case servedSink:
		s.sink()
	}
}

// read hands what arrives to use, until there is no more, the client has finished, or use says stop.
func (s *served) read(use func([]byte) bool) {
	scratch := s.backend.scratch
	for !s.closed {
		n, err := poll.Read(s.fd, scratch)
		if gone(err) {
			s.backend.finish(s, !finished(err))
			return
		}
		if err != nil || !use(scratch[:n]) {
			return
		}
		if n < len(scratch) && !s.ended {
			return // drained: the next byte, or the end, is a new edge
		}
	}
}

func (s *served) readHello() {
	s.read(s.gather)
	if !s.closed && (s.state == servedSend || s.ended) && s.state != servedHello {
		s.step()
	}
}

// gather adds b to the hello, and acts when it is complete.
func (s *served) gather(b []byte) (more bool) {
	if s.hello != nil {
		s.hello = append(s.hello, b...)
		b = s.hello
	}
	n, err := wire.HelloLen(b)
	switch {
	case err != nil || n > 0 && s.fails:
		s.backend.finish(s, true)
	case n > 0:
		s.take(b[:n], b[n:])
	default:
		if s.hello == nil {
			s.hello = append([]byte(nil), b...)
		}
		return true
	}
	return false
}

// take reads the order in a complete hello and answers now or later; early came behind it.
func (s *served) take(hello, early []byte) {
	s.order = wire.OrderIn(hello)
	s.reply = wire.AnswerTo(hello, s.pool)
	s.hello = nil
	if d := s.backend.cfg.Delay; d > 0 {
		s.state, s.due = servedDelay, time.Now().Add(d)
		s.backend.delayed = append(s.backend.delayed, s)
		return
	}
	s.answer()
	switch s.state {
	case servedEcho:
		s.write(early)
	case servedSink:
		s.left -= int64(len(early))
	}
}

// answer answers, and takes up the order.
func (s *served) answer() {
	s.left = s.order.Size
	switch s.order.Op {
	case wire.OpEcho:
		s.state = servedEcho
	case wire.OpSend:
		s.state = servedSend
	case wire.OpSink:
		s.state = servedSink
	default:
		s.state = servedWait
	}
	s.writeAnswer()
}

func (s *served) writeAnswer() {
	b := s.reply.Bytes()
	s.write(b[:])
}

// write sends b and keeps what there is no room for; false means that the connection is gone or its room is.
func (s *served) write(b []byte) bool {
	n, err := poll.Write(s.fd, b)
	if gone(err) {
		s.backend.finish(s, true)
		return false
	}
	if n < len(b) {
		s.out = append(s.out, b[n:]...)
		return false
	}
	return true
}

// flush sends what a short write left; true means that all of it went.
func (s *served) flush() bool {
	b := s.out
	s.out = nil
	return s.write(b)
}

func (s *served) send() {
	zeros := s.backend.zeros
	for s.left > 0 {
		n, err := poll.Write(s.fd, zeros[:min(s.left, int64(len(zeros)))])
		if gone(err) {
			s.backend.finish(s, true)
			return
		}
		if err != nil {
			return
		}
		s.left -= int64(n)
	}
	s.state = servedWait
	s.step()
}

func (s *served) sink() {
	for s.left > 0 {
		n, err := poll.Discard(s.fd, s.backend.scratch)
		if gone(err) {
			s.backend.finish(s, true)
			return
		}
		if err != nil {
			return
		}
		s.left -= int64(n)
	}
	s.state = servedWait
	s.writeAnswer()
	if !s.closed {
		s.step()
	}
}
