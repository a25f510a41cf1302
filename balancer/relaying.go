package balancer

import (
	"syscall"

	"github.com/seed-23b4a313/switchyard/balancer/relay"
	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// keepaliveAfter is when a connection is worth the five calls that arm keepalive towards its backend. The client's
// side inherits it from the listening socket.
const keepaliveAfter = 5e9

// Probes after 30 s of silence, every 10 s, three times; sent bytes unacknowledged for 60 s: a dead peer is found
// within a minute whether the connection is idle or busy (tcp(7)).
const (
	keepIdle, keepInterval, keepCount = 30, 10, 3
	userTimeout                       = 60_000 // ms
)

// startRelay begins to carry bytes; answer is what the backend has said so far.
func (w *worker) startRelay(s *session, answer []byte) {
	st := s.setup
	s.stage = stageRelaying
	s.upAt, s.downAt = w.loop.Now(), w.loop.Now()
	s.up.Bytes = uint64(len(st.buf) - st.at) // the client's bytes, without our PROXY header
	s.lastErrno = 0
	w.loop.Stop(&s.timer)
	s.wake = 0
	w.wakeAt(s, w.loop.Now()+keepaliveAfter)
	if t := int64(s.pool.Config().IdleTimeout); t > 0 {
		w.wakeAt(s, w.loop.Now()+t)
	}
	if s.backend.Leaving() { // it left while it was dialled
		w.leaveWithin(s, int64(s.pool.Config().DrainTimeout))
	}
	s.begun = uint32(s.up.Bytes)
	if len(answer) == 0 { // early data: the hello may not be acknowledged yet, and nobody has answered
		s.prompt = true
		sys.SetNoDelay(int(s.backendFD))
		s.answerBy = w.loop.Now() + int64(s.pool.Config().AnswerTimeout)
		w.wakeAt(s, s.answerBy)
	} else {
		s.backend.Total.Add(1)
		w.noteAnswer(s, answer)
		if state, e := s.down.Feed(w.bench, int(s.clientFD), answer); state == relay.SinkFailed {
			w.broken(s, true, e)
			return
		}
	}
	w.dropSetup(s)
	w.relay(s)
}

// relay moves what can be moved in both directions.
func (w *worker) relay(s *session) {
	client, backend := int(s.clientFD), int(s.backendFD)
	before := s.up.Bytes
	s.up.Last = s.down.Finished()
	up, upErr := s.pump(w.bench, &s.up, &s.upAt, client, backend, w.loop.Now())
	if !s.prompt && s.up.Bytes != before {
		// Nagle's algorithm holds back only what follows unacknowledged bytes: the hello was acknowledged with the
		// answer, so it is from here on that it must be off. Connections that end before spare the call.
		s.prompt = true
		sys.SetNoDelay(backend)
	}
	if up == relay.SinkFailed && upErr != syscall.EPIPE { // EPIPE: the backend's FIN came before (tcp_reset)
		s.down.SourceFailed()
	}
	s.down.Last = s.up.Finished()
	down, downErr := s.pump(w.bench, &s.down, &s.downAt, backend, client, w.loop.Now())
	if s.answerBy != 0 && s.down.Bytes > 0 {
		s.answerBy = 0
		s.backend.Total.Add(1)
	}
	if !s.judged {
		w.judge(s, up == relay.SinkFailed || down == relay.SourceFailed)
	}
	switch {
	case up == relay.SourceFailed:
		w.broken(s, true, upErr)
	case down == relay.SinkFailed:
		w.broken(s, true, downErr)
	case up == relay.SinkFailed:
		w.broken(s, false, upErr) // what the backend had sent before was pumped down just now
	case down == relay.SourceFailed:
		w.broken(s, false, downErr)
	case up == relay.Finished && down == relay.Finished:
		w.finish(s, s.orderly(), closeBoth)
	case s.up.Gone() && !s.down.Voided():
		w.broken(s, true, sys.TakeError(client)) // its RST came with its FIN, or before that was read
	case s.down.Gone() && !s.up.Voided():
		w.broken(s, false, sys.TakeError(backend))
	default:
		w.afterTurn(s, up, down)
	}
}

// orderly is the cause of an end in order: a backend that never answered has not served the connection.
func (s *session) orderly() Cause {
	if s.answerBy != 0 {
		return CauseAnswerFail
	}
	return CauseOK
}

// pump moves one direction and notes when it last got on.
func (s *session) pump(b *relay.Bench, f *relay.Flow, at *int64, source, sink int, now int64) (relay.State, syscall.Errno) {
	before := f.Bytes
	state, e := f.Pump(b, source, sink)
	if f.Bytes != before {
		*at = now
	}
	return state, e
}

// countEvery is how many bytes may move before the backend's counters are told.
const countEvery = 1 << 20

// afterTurn asks for what the session needs next.
func (w *worker) afterTurn(s *session, up, down relay.State) {
	if (up == relay.More || down == relay.More) && !s.queued {
		s.queued = true
		w.loop.Later(s.clientToken())
	}
	if s.up.Bytes+s.down.Bytes-s.counted.up-s.counted.down > countEvery {
		w.countBytes(s)
	}
	if s.halfAt == 0 && (up == relay.Finished || down == relay.Finished) {
		s.halfAt = w.loop.Now()
		if t := int64(s.pool.Config().HalfCloseTimeout); t > 0 {
			w.wakeAt(s, s.halfAt+t)
		}
	}
	if s.upAt == w.loop.Now() || s.downAt == w.loop.Now() || s.up.Blocked() || s.down.Blocked() {
		w.watchProgress(s)
	}
	if s.up.Blocked() || s.down.Blocked() {
		w.watchSinks(s)
	}
}

// watchSinks asks the loop to tell when a sink that is full takes bytes again, once per socket.
func (w *worker) watchSinks(s *session) {
	if s.up.Blocked() && !s.backendOut {
		s.backendOut = true
		w.loop.WatchWritable(int(s.backendFD), s.backendToken())
	}
	if s.down.Blocked() && !s.clientOut {
		s.clientOut = true
		w.loop.WatchWritable(int(s.clientFD), s.clientToken())
	}
}

// broken ends a relay on which a call has failed: a reset on one side becomes a reset on the other.
func (w *worker) broken(s *session, client bool, e syscall.Errno) {
	from, to, dead, other, how := &s.down, &s.up, int(s.backendFD), int(s.clientFD), resetClient
	if client {
		from, to, dead, other, how = &s.up, &s.down, other, dead, resetBackend
	}
	if from.Ended() && (from.Blocked() || sys.Unacknowledged(other) > 0) {
		if sys.PeerLost(e) {
			s.lastErrno = e // for when it is over
		}
		w.outlive(s, to)
		return
	}
	s.lastErrno = e
	over := from.Ended() || to.Finished() && sys.Unacknowledged(dead) == 0
	sys.SetNoDelay(other) // sends what waits for company (MSG_MORE): the reset drops what is unsent
	w.finish(s, s.brokenCause(client, over, e), how)
}

// outlive goes on with a session one side of which is dead, and had sent FIN before: what it sent is still on its way
// to the other side, whose own bytes nobody wants any more. A reset now would destroy the ones for the others' sake.
func (w *worker) outlive(s *session, toDead *relay.Flow) {
	toDead.Void(w.bench)
	w.wakeAt(s, w.loop.Now()+int64(sys.FirstLook))
	if !s.queued {
		s.queued = true
		w.loop.Later(s.clientToken())
	}
}

// outlived ends a session one side of which is dead as soon as the other has all that it had sent, and reports whether it did.
func (w *worker) outlived(s *session) bool {
	for _, side := range [...]struct {
		client       bool
		from, toDead *relay.Flow
		other        int32
		how          closeHow
	}{{true, &s.up, &s.down, s.backendFD, resetBackend}, {false, &s.down, &s.up, s.clientFD, resetClient}} {
		switch {
		case !side.toDead.Voided():
		case side.from.Finished() && sys.Unacknowledged(int(side.other)) == 0:
			w.finish(s, s.brokenCause(side.client, true, s.lastErrno), side.how)
			return true
		default:
			w.wakeAt(s, w.loop.Now()+int64(sys.NextLook))
		}
	}
	return false
}

// brokenCause is the cause of a broken relay. It was over if the side that reset had sent FIN before, or has taken
// all that there was for it, FIN included: the reset then only refuses what comes too late, as when a close_notify
// meets a closed socket, which is how most TLS connections end.
func (s *session) brokenCause(client, over bool, e syscall.Errno) Cause {
	lost := sys.PeerLost(e)
	switch {
	case s.answerBy != 0 && !client:
		return CauseAnswerFail
	case over && !lost:
		return s.orderly()
	case client && lost:
		return CauseClientLost
	case client:
		return CauseClientReset
	case lost:
		return CauseBackendLost
	default:
		return CauseBackendReset
	}
}
