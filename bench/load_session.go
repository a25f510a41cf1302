package bench

import (
	"fmt"
	"io"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/poll"
	"github.com/seed-23b4a313/switchyard/bench/internal/wire"
	"github.com/seed-23b4a313/switchyard/peek"
)

// session is one connection of the generator:
//
//	hello ──▶ answer ──┬─▶ done                                     ModeHello
//	 ▲   ▼             ├─▶ idle (held) ──▶ done                     ModeIdle
//	(gap between       ├─▶ message out ──▶ message in ──▶ again     ModeRoundTrip
//	 two segments)     │     ▲                  ▼
//	                   │     └─ (until it is due)
//	                   ├─▶ take Bytes ──▶ done                      ModeDownload
//	                   └─▶ give Bytes ──▶ second answer ──▶ done    ModeUpload
//
// Which way it takes after the answer is its task's kind.
type session struct {
	loader   *loader
	fd       int
	name     int
	task     task
	state    sessionState
	then     sessionState // the state after sessionPaused
	since    time.Time    // what latency is measured from
	deadline time.Time
	at       int64 // bytes of the current step that have gone or come
	trips    int   // messages that came back
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
	sessionPaused // until its alarm
	sessionLeave
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
	sessionPaused:   func(*session) bool { return false },
	sessionLeave:    (*session).leave,
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

// pause has the session go on in the state then at that time.
func (s *session) pause(until time.Time, then sessionState) bool {
	s.state, s.then = sessionPaused, then
	s.loader.alarms.set(until, s)
	return false
}

func (s *session) pausing() bool { return s.state == sessionPaused }

// wake ends a pause.
func (s *session) wake() {
	if s.then == sessionPing {
		record(s.loader.tally.late, time.Since(s.since))
	}
	s.state = s.then
	s.Ready(false)
}

// open reports whether the session has had its answer.
func (s *session) open() bool {
	return s.state >= sessionAnswered && !(s.pausing() && s.then == sessionHello)
}

func (s *session) hello() []byte { return s.loader.hellos.At(s.name, s.task.order()) }

func (s *session) sendHello() bool {
	hello, cut := s.hello(), s.loader.cfg.cut()
	for s.at < int64(len(hello)) {
		part := cut.Next(hello, int(s.at))
		n, err := poll.Write(s.fd, part)
		if gone(err) {
			s.failWith(err)
		}
		if err != nil {
			return false
		}
		if s.at += int64(n); n == len(part) && cut.Gap > 0 && s.at < int64(len(hello)) {
			return s.pause(time.Now().Add(cut.Gap), sessionHello)
		}
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

// begin does what the task is about, after the answer.
func (s *session) begin() bool {
	cfg := &s.loader.cfg
	if cfg.Mode == ModeChurn || cfg.Mode == ModeIdle {
		s.loader.tally.measured(time.Since(s.since))
	}
	switch s.task.kind {
	case ModeIdle:
		if s.task.hold > 0 {
			return s.pause(time.Now().Add(s.task.hold), sessionLeave)
		}
		return s.enter(sessionIdle)
	case ModeRoundTrip:
		_ = poll.NoDelay(s.fd)
		return s.firstMessage(time.Now())
	case ModeDownload:
		return s.enter(sessionDownload)
	case ModeUpload:
		return s.enter(sessionUpload)
	default:
		if s.task.abort {
			poll.ResetOnClose(s.fd)
		}
		return s.finishWell()
	}
}

// firstMessage sends at once, or in an open loop spreads the connections over the interval, so that their messages do
// not all come at the same moment.
func (s *session) firstMessage(now time.Time) bool {
	s.since = now
	if l := s.loader; l.interval > 0 {
		place := time.Duration(l.tally.started % l.cfg.Workers)
		s.since = now.Add(l.interval * place / time.Duration(l.cfg.Workers))
		return s.awaitMessage(now)
	}
	return s.enter(sessionPing)
}

func (s *session) sendPing() bool {
	if s.at == 0 {
		s.deadline = time.Now().Add(s.loader.cfg.Timeout)
	}
	if !s.send(s.loader.scratch[:s.task.bytes], s.task.bytes) {
		return false
	}
	return s.enter(sessionPong)
}

func (s *session) readPong() bool {
	if !s.discard(s.task.bytes) {
		return false
	}
	now, l := time.Now(), s.loader
	if l.cfg.Mode == ModeRoundTrip {
		l.tally.measured(now.Sub(s.since))
	}
	l.tally.trip()
	if s.trips++; s.trips == s.task.trips || l.stopping && l.interval == 0 && s.task.trips == 0 {
		s.done()
		return false
	}
	if l.interval > 0 {
		return s.nextMessage(now)
	}
	s.since = now
	return s.enter(sessionPing)
}

// nextMessage goes on to the next message of an open loop. All that are due before the end are sent, however late:
// leaving them out would hide that they waited.
func (s *session) nextMessage(now time.Time) bool {
	s.since = s.since.Add(s.loader.interval)
	if s.loader.stopping && s.loader.end.IsZero() {
		s.done()
		return false
	}
	return s.awaitMessage(now)
}

// awaitMessage waits until the message is due, or for the end where it is due after that.
func (s *session) awaitMessage(now time.Time) bool {
	if end := s.loader.end; !end.IsZero() && !s.since.Before(end) {
		return s.enter(sessionIdle)
	}
	s.enter(sessionPing)
	return !s.since.After(now) || s.pause(s.since, sessionPing)
}

func (s *session) download() bool {
	if !s.discard(s.task.bytes) {
		return false
	}
	return s.finishWell()
}

func (s *session) upload() bool {
	if !s.send(s.loader.scratch, s.task.bytes) {
		return false
	}
	return s.enter(sessionReceipt)
}

func (s *session) readReceipt() bool {
	if !s.receiveAnswer() || !s.checkAnswer() {
		return false
	}
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

// leave ends a connection that was held for a while, if it is still there.
func (s *session) leave() bool {
	if s.watch(); s.state != sessionClosed {
		s.done()
	}
	return false
}

// finishWell ends a session whose latency is that of the whole, but for ModeChurn, where wholes differ too much.
func (s *session) finishWell() bool {
	if s.loader.cfg.Mode != ModeChurn {
		s.loader.tally.measured(time.Since(s.since))
	}
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
		s.loader.tally.moved(n, s.state == sessionUpload)
	}
}

// receiveAnswer reads the rest of an answer, and not a byte more; true when it is complete. Another server's is complete
// as soon as there is enough of it to tell an alert.
func (s *session) receiveAnswer() bool {
	want := int64(wire.AnswerLen)
	if s.loader.cfg.AnyServer {
		want = alertLen
	}
	for s.at < want {
		n, err := poll.Read(s.fd, s.answer[s.at:])
		if gone(err) && s.isAlert() {
			s.failAlert()
		} else if gone(err) {
			s.failWith(err)
		}
		if err != nil {
			return false
		}
		s.at += int64(n)
	}
	return true
}

// alertLen is the length of an alert record in the clear: header, level, description (RFC 8446 §6).
const alertLen = 7

func (s *session) isAlert() bool { return s.at >= alertLen && s.answer[0] == 0x15 }

func (s *session) failAlert() {
	s.fail(failAlert, fmt.Errorf("alert %s", peek.AlertName(s.answer[alertLen-1])))
}

// checkAnswer compares the answer with the hello that was sent, and its pool with the name's.
func (s *session) checkAnswer() bool {
	cfg := &s.loader.cfg
	if s.isAlert() {
		s.failAlert()
		return false
	}
	if cfg.AnyServer {
		return true
	}
	got, ok := wire.ReadAnswer(s.answer[:])
	if want := wire.AnswerTo(s.hello(), int(got.Pool)); !ok || got != want {
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
	s.loader.tally.finish()
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
