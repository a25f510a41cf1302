package balancer

import (
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/peek"
	"github.com/seed-23b4a313/switchyard/route"
)

// terminate hands the client of s, with the bytes that were read of it, to a goroutine that ends its TLS. The session
// stays here, for limits, lists and time; its descriptors are the goroutine's.
func (w *worker) terminate(s *session) {
	policy, ok := s.route.Terminate.(*terminate.Policy)
	switch {
	case !ok:
		w.refuse(s, CauseInternalError, route.RejectAlert, peek.AlertInternalError)
		return
	case w.server.terminator.Full():
		w.refuse(s, CauseMemoryLimit, route.RejectReset, 0)
		return
	case w.server.terminator.Crowded():
		w.refuse(s, CauseHandshakeLimit, route.RejectReset, 0) // before it costs a goroutine, or a socket that lingers
		return
	}
	st, token, base := s.setup, s.clientToken(), w.loop.Base()
	job := terminate.Job{
		FD: int(s.clientFD), Read: append([]byte(nil), st.buf[st.at:]...), Name: s.name, Policy: policy,
		Challenge: onlyChallenge(&st.hello), Dot: dotted(&st.hello), Client: s.client, Dest: w.destination(s), ID: uniqueID(w.server.nonce, s.id),
		Base:     base,
		Backends: &terminated{w: w, token: token, pool: s.pool, client: s.client.Addr(), sni: s.name.String()},
		Done:     func(end terminate.End) { w.loop.Post(func() { w.terminated(token, end) }) },
	}
	w.loop.Unwatch(int(s.clientFD))
	w.loop.Stop(&s.timer)
	w.dropSetup(s)
	s.clientFD, s.wake = -1, 0
	s.stage = stageTerminating
	s.conn = w.server.terminator.Start(job)
	w.wakeAt(s, w.loop.Now()+w.checkEvery(s))
}

// dotted reports whether the name in a hello ends with a dot.
func dotted(h *peek.Hello) bool {
	return len(h.ServerName) > 0 && h.ServerName[len(h.ServerName)-1] == '.'
}

// onlyChallenge reports whether a hello is a validation by TLS-ALPN-01 (RFC 8737 §3).
func onlyChallenge(h *peek.Hello) bool {
	n, is := 0, false
	for proto := range h.ALPN.All() {
		n++
		is = string(proto) == certs.ChallengeProtocol
	}
	return n == 1 && is
}

// terminated is the end of the session that token means, if that is still open.
func (w *worker) terminated(token uint64, end terminate.End) {
	if end.Failure == terminate.Defect {
		w.server.panics.Add(1)
		w.server.recorder.notice(slog.LevelError, "internal error: this connection is closed, others go on",
			slog.String("panic", end.Panic), slog.String("stack", end.Stack))
	}
	s := w.session(token)
	if s == nil || s.stage != stageTerminating {
		return // closed here before
	}
	w.current = s
	w.account(s, failureCauses[end.Failure])
	s.conn = nil // its sockets are closed
	w.close(s)
	w.current = nil
}

// failureCauses are the words for what can go wrong where TLS ends here.
var failureCauses = [terminate.NumFailures]Cause{
	terminate.None:              CauseOK,
	terminate.FDLimit:           CauseFDLimit,
	terminate.Busy:              CauseHandshakeLimit,
	terminate.HandshakeTimeout:  CauseHandshakeTimeout,
	terminate.ClientGone:        CauseClientGone,
	terminate.NameDiffers:       CauseBadHello,
	terminate.NoCommonVersion:   CauseNoCommonVersion,
	terminate.NoCommonCipher:    CauseNoCommonCipher,
	terminate.NoCommonProtocol:  CauseNoCommonProtocol,
	terminate.EarlyData:         CauseEarlyData,
	terminate.NoCertificate:     CauseNoCertificate,
	terminate.BadCertificate:    CauseBadCertificate,
	terminate.ClientCertMissing: CauseClientCertMissing,
	terminate.ClientCertExpired: CauseClientCertExpired,
	terminate.ClientCertRevoked: CauseClientCertRevoked,
	terminate.ClientCertRefused: CauseClientCertRefused,
	terminate.ClientAlert:       CauseClientAlert,
	terminate.HandshakeFail:     CauseHandshakeFail,
	terminate.PoolLimit:         CausePoolLimit,
	terminate.QueueFull:         CauseQueueFull,
	terminate.QueueTimeout:      CauseQueueTimeout,
	terminate.NoBackend:         CauseNoBackend,
	terminate.ConnectFail:       CauseConnectFail,
	terminate.ConnectTimeout:    CauseConnectTimeout,
	terminate.BackendRefused:    CauseBackendTLS,
	terminate.AnswerFail:        CauseAnswerFail,
	terminate.AnswerTimeout:     CauseAnswerTimeout,
	terminate.ClientReset:       CauseClientReset,
	terminate.BackendReset:      CauseBackendReset,
	terminate.ClientLost:        CauseClientLost,
	terminate.BackendLost:       CauseBackendLost,
	terminate.BrokenTLS:         CauseBrokenTLS,
	terminate.HalfCloseTimeout:  CauseHalfCloseTimeout,
	terminate.Stopped:           CauseInternalError, // whoever stops one accounts for it
	terminate.Defect:            CauseInternalError,
}

// checkEvery is how often the loop looks at a terminated session: not later than anything can be due.
func (w *worker) checkEvery(s *session) int64 {
	d := int64(stallCheck)
	if !s.watchful {
		d = keepaliveAfter
	}
	cfg := s.pool.Config()
	for _, limit := range [...]time.Duration{cfg.IdleTimeout, cfg.StalledTimeout} {
		if limit > 0 {
			d = min(d, int64(limit))
		}
	}
	return d
}

// queueLook is how often it is looked whether the client of a terminated connection that is queued has reset: nobody waits
// for its socket meanwhile.
const queueLook = 1e9

// terminatedTimer looks at everything that time can do to a session whose TLS ends here. Until bytes are carried, its
// goroutine has deadlines of its own.
func (w *worker) terminatedTimer(s *session) {
	now, p := w.loop.Now(), s.conn.Progress()
	if !s.watchful && p.UpAt != 0 {
		s.conn.WithSockets(func(_, backend int) { s.arm(backend) })
	}
	w.wakeAt(s, now+w.checkEvery(s))
	if s.waits() {
		late := s.setup.dialed + int64(s.pool.Config().QueueTimeout)
		switch {
		case s.conn.ClientReset():
			w.finish(s, CauseClientGone, resetBoth)
			return
		case now < late:
			w.wakeAt(s, min(late, now+queueLook))
		default:
			w.dequeue(s)
			w.answerWaiting(s, nil, terminate.QueueTimeout)
		}
	}
	if b := s.conn.Backend(); s.leaveBy != 0 && b != nil && !b.Leaving() {
		s.leaveBy = 0 // it is back
	}
	s.upAt, s.downAt = p.UpAt, p.DownAt
	for _, limit := range [...]struct {
		at    int64 // 0: none
		cause Cause
	}{
		{s.leaveBy, CauseBackendRemoved},
		{later(max(s.upAt, s.downAt), s.pool.Config().IdleTimeout), CauseIdleTimeout},
	} {
		switch {
		case limit.at == 0:
		case now < limit.at:
			w.wakeAt(s, limit.at)
		default:
			w.finish(s, limit.cause, closeBoth)
			return
		}
	}
	if w.terminatedStalls(s, &p) {
		w.finish(s, CauseStalled, resetBoth)
	}
}

// terminatedStalls reports whether one side is alive and takes nothing.
func (w *worker) terminatedStalls(s *session, p *terminate.Progress) (stalled bool) {
	if p.UpAt == 0 {
		return false
	}
	s.conn.WithSockets(func(client, backend int) {
		stalled = w.stalled(s, p.UpBlocked, &s.upSink, s.upAt, backend) ||
			w.stalled(s, p.DownBlocked, &s.downSink, s.downAt, client)
	})
	return stalled
}

// terminated is what the goroutine of a session whose TLS ends here has to do with the rest of the server. Its methods
// are called from that goroutine: what they touch is safe for that, or posted to the loop.
type terminated struct {
	w      *worker
	token  uint64
	pool   *livePool
	client netip.Addr
	sni    string
	// suspects refused a handshake that the client has a say in.
	suspects []suspect
}

// Config implements [terminate.Backends].
func (t *terminated) Config() *pool.Config { return t.pool.Config() }

// Pick implements [terminate.Backends]. Where the pool is full the connection waits in the pool's queue, on its loop, as those
// do that pass through.
func (t *terminated) Pick(tried []*pool.Backend, stop <-chan struct{}) (*pool.Backend, terminate.Failure) {
	mayWait := t.pool.Config().QueueTimeout > 0 && len(tried) == 0
	if !mayWait || t.pool.queue.waiting.Load() == 0 { // nobody was here before
		b, refused := t.pick(tried)
		switch {
		case b != nil:
			return b, terminate.None
		case refused == pool.NoBackend:
			return nil, terminate.NoBackend
		case !mayWait:
			return nil, terminate.PoolLimit
		}
	}
	return t.wait(stop)
}

// slot is what a terminated connection has waited for: a slot on a backend, or why there is none.
type slot struct {
	backend *pool.Backend
	pool    *livePool // as it is now
	why     terminate.Failure
}

// wait waits in the queue.
func (t *terminated) wait(stop <-chan struct{}) (*pool.Backend, terminate.Failure) {
	came := make(chan slot, 1)
	t.w.loop.Post(func() { t.w.enqueueTerminated(t.token, came) }) // a loop that has ended has stopped the connection before
	select {
	case got := <-came:
		t.pool = got.pool
		return got.backend, got.why
	case <-stop:
	}
	select {
	case got := <-came: // just before the stop, which is the loop's too
		if got.backend != nil {
			t.pool = got.pool
			t.Release(got.backend)
		}
	default:
	}
	return nil, terminate.Stopped
}

// enqueueTerminated makes the session that token means wait for a slot of its pool, if it is still open.
func (w *worker) enqueueTerminated(token uint64, came chan<- slot) {
	s := w.session(token)
	if s == nil || s.stage != stageTerminating {
		return // it was stopped
	}
	s.setup = w.borrowSetup()
	s.setup.slot = came
	q, cfg := s.pool.queue, s.pool.Config()
	n := q.waiting.Add(1)
	if n > int64(cfg.QueueSize) {
		q.waiting.Add(-1)
		w.answerWaiting(s, nil, terminate.QueueFull)
		return
	}
	w.line(s)
	w.wakeAt(s, w.loop.Now()+min(int64(cfg.QueueTimeout), queueLook))
	if n == 1 {
		w.call(q)
	}
}

// answerWaiting tells a terminated connection that it has a slot on b, or if that is nil, why not.
func (w *worker) answerWaiting(s *session, b *pool.Backend, why terminate.Failure) {
	if b != nil {
		w.attempts.started.Add(1)
		why = terminate.None
	}
	s.setup.slot <- slot{b, s.pool, why}
	w.dropSetup(s)
}

func (t *terminated) pick(tried []*pool.Backend) (*pool.Backend, pool.Refusal) {
	b, refused := t.pool.Pick(&pool.Request{Client: t.client, SNI: t.sni, Tried: tried, Draw: rand.Uint64(), Now: pool.Clock()})
	if b != nil {
		t.w.attempts.started.Add(1)
	}
	return b, refused
}

// Release implements [terminate.Backends].
func (t *terminated) Release(b *pool.Backend) {
	b.Release()
	if q := t.pool.queue; q.waiting.Load() > 0 {
		t.w.call(q)
	}
}

// Connected implements [terminate.Backends].
func (t *terminated) Connected(_ *pool.Backend, took int64) { t.pool.dial.observe(took) }

// Failed implements [terminate.Backends]. What is sent to a backend here is ours, but for the name and the protocol, which may
// be the client's: where they are, whoever refuses them is a suspect until another backend has taken the same ones.
func (t *terminated) Failed(b *pool.Backend, why terminate.Failure, e syscall.Errno, late bool) {
	cause := failureCauses[why]
	if cause != CauseFDLimit {
		b.Failures.Add(1)
	}
	t.w.attempts.failed(cause)
	switch {
	case cause == CauseConnectFail && !isOurs(e):
		t.observe(b, pool.OutcomeConnectFailed, e)
	case cause == CauseConnectTimeout && !late:
		t.observe(b, pool.OutcomeConnectTimeout, 0)
	case cause == CauseAnswerFail:
		t.refused(suspect{b, pool.OutcomeHungUp, e})
	case cause == CauseBackendTLS:
		t.refused(suspect{b, pool.OutcomeTLSFailed, 0})
	case cause == CauseAnswerTimeout && !late:
		t.observe(b, pool.OutcomeAnswerTimeout, 0)
	}
}

// refused counts that a backend has refused the handshake, or keeps it in mind.
func (t *terminated) refused(x suspect) {
	if with, ok := t.pool.Config().TLS.(*terminate.BackendTLS); ok && with.AsksForTheClient() {
		t.suspects = append(t.suspects, x)
		return
	}
	t.observe(x.backend, x.outcome, x.errno)
}

// observe tells the pool what the connection has shown of b.
func (t *terminated) observe(b *pool.Backend, o pool.Outcome, e syscall.Errno) {
	if t.pool.Observe(b, o, e, pool.Clock()) {
		t.w.server.keeper.wakeUp()
	}
}

// Relaying implements [terminate.Backends].
func (t *terminated) Relaying(b *pool.Backend) {
	for _, x := range t.suspects {
		t.observe(x.backend, x.outcome, x.errno)
	}
	t.suspects = nil
	t.observe(b, pool.OutcomeServed, 0) // whether it serves what it has accepted is not seen here
	if !b.Leaving() {
		return // whoever makes it leave later finds this session
	}
	t.w.loop.Post(func() {
		if s := t.w.session(t.token); s != nil && s.stage == stageTerminating {
			t.w.leaveWithin(s, int64(t.pool.Config().DrainTimeout))
		}
	})
}

// leaveWithin gives s, whose backend is leaving, d to end by itself; 0 is no limit.
func (w *worker) leaveWithin(s *session, d int64) {
	if d > 0 && s.leaveBy == 0 {
		s.leaveBy = w.loop.Now() + d
		w.wakeAt(s, s.leaveBy)
	}
}

// backendNow is the backend that s has a slot of, or tries; nil if it has none.
func (s *session) backendNow() *pool.Backend {
	if s.conn != nil {
		return s.conn.Backend()
	}
	return s.backend
}

// carried is how many bytes went up and down so far.
func (s *session) carried() (up, down uint64) {
	switch s.stage {
	case stageRelaying:
		return s.up.Bytes, s.down.Bytes
	case stageTerminating:
		p := s.conn.Progress()
		return p.Up, p.Down
	}
	return 0, 0
}
