package bench

import (
	"io"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/poll"
	"github.com/seed-23b4a313/switchyard/bench/internal/wire"
)

// session is one connection of the generator:
//
//	hello ──▶ answer ──┬─▶ done                                     ModeHello
//	                   ├─▶ idle (held) ──▶ done                     ModeIdle
//	                   ├─▶ message out ──▶ message in ──▶ again     ModeRoundTrip
//	                   ├─▶ take Bytes ──▶ done                      ModeDownload
//	                   └─▶ give Bytes ──▶ second answer ──▶ done    ModeUpload
type session struct {
	loader   *loader
	fd       int
	name     int
	state    sessionState
	since    time.Time // what latency is measured from
	deadline time.Time
	at       int64 // bytes of the current step that have gone or come
	answer   [wire.AnswerLen]byte
}

type sessionState byte

const (
	sessionHello sessionState = iota
	sessionAnswer
	sessionAnswered // from here on the connection counts as open
	sessionPing
	sessionPong
	sessionDownload
	sessionUpload
	sessionReceipt // the second answer, after an upload
	sessionIdle
	sessionClosed
)

// steps has what each state does until it is through or the socket would block; more says that it is through and the
// next state can go on at once.
var steps = [...]func(*session) (more bool){
	sessionHello:    (*session).sendHello,
	sessionAnswer:   (*session).readAnswer,
	sessionAnswered: (*session).begin,
	sessionPing:     (*session).sendPing,
	sessionPong:     (*session).readPong,
	sessionDownload: (*session).download,
	sessionUpload:   (*session).upload,
	sessionReceipt:  (*session).readReceipt,
	sessionIdle:     (*session).watch,
	sessionClosed:   func(*session) bool { return false },
}

// Ready advances the session. Its reads ask for no more than they expect, or go on until they would block, so that it
// makes no difference whether the peer has ended.
func (s *session) Ready(bool) {
	for steps[s.state](s) {
	}
}

func (s *session) enter(state sessionState) bool {
	s.state, s.at = state, 0
	return true
}

func (s *session) sendHello() bool {
	hello := s.loader.hellos.At(s.name)
	if !s.send(hello, int64(len(hello))) {
		return false
	}
	return s.enter(sessionAnswer)
}

func (s *session) readAnswer() bool {
	if !s.receiveAnswer() || !s.checkAnswer() {
		return false
	}
	s.loader.opening--
	return s.enter(sessionAnswered)
}

// begin does what the mode is about, after the answer.
func (s *session) begin() bool {
	switch s.loader.cfg.Mode {
	case ModeIdle:
		record(s.loader.tally.latency, time.Since(s.since))
		return s.enter(sessionIdle)
	case ModeRoundTrip:
		_ = poll.NoDelay(s.fd)
		s.since = time.Now()
		return s.enter(sessionPing)
	case ModeDownload:
		return s.enter(sessionDownload)
	case ModeUpload:
		return s.enter(sessionUpload)
	default:
		return s.finishWell()
	}
}

func (s *session) sendPing() bool {
	message := s.loader.scratch[:min(s.loader.cfg.Bytes, bulkBuffer)]
	if !s.send(message, s.loader.cfg.Bytes) {
		return false
	}
	return s.enter(sessionPong)
}

func (s *session) readPong() bool {
	if !s.discard(s.loader.cfg.Bytes) {
		return false
	}
	now, l := time.Now(), s.loader
	record(l.tally.latency, now.Sub(s.since))
	l.tally.roundTrips++
	if l.stopping {
		s.done()
		return false
	}
	s.since, s.deadline = now, now.Add(l.cfg.Timeout)
	return s.enter(sessionPing)
}

func (s *session) download() bool {
	if !s.discard(s.loader.cfg.Bytes) {
		return false
	}
	s.loader.tally.bytes += s.at
	return s.finishWell()
}

func (s *session) upload() bool {
	if !s.send(s.loader.scratch, s.loader.cfg.Bytes) {
		return false
	}
	return s.enter(sessionReceipt)
}

func (s *session) readReceipt() bool {
	if !s.receiveAnswer() || !s.checkAnswer() {
		return false
	}
	s.loader.tally.bytes += s.loader.cfg.Bytes
	return s.finishWell()
}

// watch is what a held connection does: nothing, unless it breaks.
func (s *session) watch() bool {
	if n, err := poll.Read(s.fd, s.answer[:1]); gone(err) {
		s.failWith(err)
	} else if n > 0 {
		s.fail(failCorrupt, nil)
	}
	return false
}

// finishWell ends a session whose latency is that of the whole.
func (s *session) finishWell() bool {
	record(s.loader.tally.latency, time.Since(s.since))
	s.done()
	return false
}

// send writes the rest of total bytes, made of message over and over; true when all have gone.
func (s *session) send(message []byte, total int64) bool {
	for s.at < total {
		from := s.at % int64(len(message))
		to := min(int64(len(message)), from+total-s.at)
		n, err := poll.Write(s.fd, message[from:to])
		if gone(err) {
			s.failWith(err)
		}
		if err != nil {
			return false
		}
		s.progress(n)
	}
	return true
}

// discard takes the rest of total bytes without looking at them; true when all have come.
func (s *session) discard(total int64) bool {
	for s.at < total {
		n, err := poll.Discard(s.fd, s.loader.scratch[:min(total-s.at, bulkBuffer)])
		if gone(err) {
			s.failWith(err)
		}
		if err != nil {
			return false
		}
		s.progress(n)
	}
	return true
}

// progress counts n bytes. A bulk transfer is only overdue when it stands still.
func (s *session) progress(n int) {
	s.at += int64(n)
	if s.state == sessionDownload || s.state == sessionUpload {
		s.deadline = time.Now().Add(s.loader.cfg.Timeout)
	}
}

// receiveAnswer reads the rest of an answer, and not a byte more; true when it is complete.
func (s *session) receiveAnswer() bool {
	for s.at < wire.AnswerLen {
		n, err := poll.Read(s.fd, s.answer[s.at:])
		if gone(err) {
			s.failWith(err)
		}
		if err != nil {
			return false
		}
		s.at += int64(n)
	}
	return true
}

// checkAnswer compares the answer with the hello that was sent, and its pool with the name's.
func (s *session) checkAnswer() bool {
	cfg := &s.loader.cfg
	got, ok := wire.ReadAnswer(s.answer[:])
	want := wire.AnswerTo(s.loader.hellos.At(s.name), int(got.Pool))
	if !ok || got != want {
		s.fail(failCorrupt, nil)
		return false
	}
	if cfg.Pools > 1 && int(got.Pool) != s.name%cfg.Pools {
		s.fail(failMisrouted, nil)
		return false
	}
	return true
}

func (s *session) done() {
	s.loader.tally.done++
	s.loader.finish(s)
}

func (s *session) failWith(err error) {
	if finished(err) {
		err = io.ErrUnexpectedEOF
	}
	s.fail(failureKind(err), err)
}

func (s *session) fail(kind string, err error) {
	s.loader.tally.fail(kind, err)
	s.loader.finish(s)
}
