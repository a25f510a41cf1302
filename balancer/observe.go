package balancer

import (
	"syscall"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/peek"
)

// What connections show of their backends, for the pool's outlier setting. A stranger must not be able to have a sound
// backend left out by sending hellos that no backend accepts: an alert or a hang-up before the ServerHello counts
// against a backend once another one has answered the same hello, and so does a failed handshake of our own for a name or a
// protocol that a stranger has chosen. That it cannot be reached, or is silent, counts at once.

// suspect is a backend that refused a hello which another one may accept.
type suspect struct {
	backend *pool.Backend
	outcome pool.Outcome
	errno   syscall.Errno
}

// clock is the present turn's time on the clock of package pool.
func (w *worker) clock() int64 { return w.loop.Now() + w.skew }

// observe tells the pool what a connection has shown of b.
func (w *worker) observe(s *session, b *pool.Backend, o pool.Outcome, e syscall.Errno) {
	if s.pool.Observe(b, o, e, w.clock()) {
		w.server.keeper.wakeUp()
	}
}

// observeFailure does so for an attempt that ends with cause.
func (w *worker) observeFailure(s *session, cause Cause) {
	switch {
	case cause == CauseAnswerFail:
		w.suspect(s, pool.OutcomeHungUp)
	case cause == CauseConnectFail && !isOurs(s.lastErrno):
		w.observe(s, s.backend, pool.OutcomeConnectFailed, s.lastErrno)
	case cause == CauseConnectTimeout && w.hadItsTime(s):
		w.observe(s, s.backend, pool.OutcomeConnectTimeout, 0)
	case cause == CauseAnswerTimeout && w.hadItsTime(s):
		w.observe(s, s.backend, pool.OutcomeAnswerTimeout, 0)
	}
}

// isOurs reports whether a connect failed for want of something on this machine.
func isOurs(e syscall.Errno) bool {
	switch e {
	case syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT, syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN:
		return true
	}
	return false
}

// hadItsTime reports whether an attempt that timed out was not cut short by setup_timeout.
func (w *worker) hadItsTime(s *session) bool {
	return s.setup.giveUp == 0 || w.loop.Now() < s.setup.giveUp
}

// suspect keeps in mind that the present backend refused the hello.
func (w *worker) suspect(s *session, o pool.Outcome) {
	s.setup.suspects = append(s.setup.suspects, suspect{s.backend, o, s.lastErrno})
}

// convict counts the refusals of backends before the one that has answered.
func (w *worker) convict(s *session) {
	for _, x := range s.setup.suspects {
		w.observe(s, x.backend, x.outcome, x.errno)
	}
}

const (
	// closedEarly is how soon after its first flight a backend that ends has ended early.
	closedEarly = 1e9
	// leastFinished is more than a client sends to refuse: an alert, encrypted, and a change_cipher_spec (RFC 8446 §5.2).
	leastFinished = 40
	// mostFinished13 is what a client of TLS 1.3 sends after the server's first flight without a certificate: a
	// change_cipher_spec of 6 bytes and a Finished of at most 74, with SHA-384. Any data besides makes it more.
	mostFinished13 = 80
	// mostFinished is the same before TLS 1.3, where the server answers before the client's data: a key exchange
	// (RSA with 4096 bits: 521 bytes), a change_cipher_spec and a Finished.
	mostFinished = 1 << 10
)

// judge looks whether the backend of an established session has served it: it has said more than its first flight, or
// the client more than its Finished. A backend whose end comes before, within closedEarly of its last byte, and which the
// client has not brought about by ending, or by an alert, has failed. ended says that a call has shown its end.
//
// The first flight is what came down before the client said anything after its hello.
func (w *worker) judge(s *session, ended bool) {
	extra := s.up.Bytes - uint64(s.begun)
	most := uint64(mostFinished)
	if s.tls13 {
		most = mostFinished13
	}
	switch {
	case s.down.Bytes == 0: // early data, and no answer yet
	case extra > most || s.flight != 0 && s.down.Bytes > uint64(s.flight):
		s.judged = true
		w.observe(s, s.backend, pool.OutcomeServed, 0)
	case s.up.Ended():
		s.judged = true // the client's own doing
	case ended || s.down.Ended():
		s.judged = true
		if w.loop.Now()-s.downAt <= closedEarly && (extra == 0 || extra >= leastFinished) {
			w.observe(s, s.backend, pool.OutcomeClosedEarly, 0)
		}
	case extra > 0 && s.flight == 0:
		s.flight = uint32(min(s.down.Bytes, 1<<32-1))
	}
}

// noteAnswer reads the first bytes of the backend that is to serve s, counts what they tell, and begins to judge it.
func (w *worker) noteAnswer(s *session, answer []byte) {
	var f peek.ServerFlight
	err := peek.ParseServerFlight(answer, &f)
	if !f.Alert {
		w.loop.Refresh()
		s.pool.handshakes.note(&f, w.loop.Now()-s.setup.dialed-s.dialTook)
	}
	if err != nil && err != peek.ErrIncomplete || f.Alert {
		s.judged = true
		return
	}
	w.convict(s)
	s.tls13 = f.Version == peek.VersionTLS13
	if f.HelloRetry { // a second hello follows, of any length: it has answered, and that has to do
		s.judged = true
		w.observe(s, s.backend, pool.OutcomeServed, 0)
	}
}
