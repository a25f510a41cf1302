package balancer

import (
	"net/netip"
	"syscall"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/proxyheader"
	"github.com/seed-23b4a313/switchyard/balancer/relay"
	"github.com/seed-23b4a313/switchyard/balancer/sys"
	"github.com/seed-23b4a313/switchyard/peek"
	"github.com/seed-23b4a313/switchyard/route"
)

// prepare makes what every backend that is tried will be sent: a PROXY header if the pool wants one, and the
// client's bytes as they came.
func (w *worker) prepare(s *session) {
	st := s.setup
	st.out = st.buf[st.at:]
	cfg := s.pool.Config()
	if cfg.Header == pool.HeaderNone {
		return
	}
	id := uniqueID(w.server.nonce, s.id)
	h := proxyheader.Out{Version: int(cfg.Header), Source: s.client, Dest: w.destination(s), UniqueID: id[:]}
	if cfg.Header == pool.HeaderV2 {
		h.Authority = s.name.String()
		for proto := range st.hello.ALPN.All() {
			h.ALPN = string(proto)
			break
		}
	}
	st.outOwn = w.bench.Buffers.Get(headerRoom + len(st.out))
	b, err := proxyheader.Append(st.outOwn[:0], &h)
	if err != nil {
		panic(err) // every field is bounded by the hello's own checks: a defect, which ends this connection only
	}
	st.out = append(b, st.out...)
}

// headerRoom is more than a PROXY header of ours takes: 16 + 36 bytes of addresses, and TLVs for a name of 255,
// a protocol of 255, an id of 16 and a checksum.
const headerRoom = 1 << 10

// destination is the address that the client connected to.
func (w *worker) destination(s *session) netip.AddrPort {
	if d := s.setup.info.Dest; d.IsValid() {
		return d
	}
	return sys.LocalAddr(int(s.clientFD))
}

// dial chooses a backend that was not tried yet and starts to connect. Without one, the session ends with the
// cause of the last failure.
func (w *worker) dial(s *session) {
	w.bound(s)
	mayWait := s.pool.Config().QueueTimeout > 0
	if mayWait && s.pool.queue.waiting.Load() > 0 { // others were here before
		w.enqueue(s)
		return
	}
	b, refusal := w.pick(s)
	switch {
	case b != nil:
		w.connect(s, b)
	case mayWait && refusal != pool.NoBackend:
		w.enqueue(s)
	default:
		w.giveUp(s, refusalCause(refusal))
	}
}

// bound begins the time that all attempts have together.
func (w *worker) bound(s *session) {
	if t := int64(s.pool.Config().SetupTimeout); t > 0 {
		s.setup.giveUp = w.loop.Now() + t
	}
}

// pick chooses a backend and reserves a slot on it.
func (w *worker) pick(s *session) (*pool.Backend, pool.Refusal) {
	return s.pool.Pick(&pool.Request{
		Client: s.client.Addr(), SNI: s.name.String(), Tried: s.setup.tried, Draw: w.rand.Uint64(), Now: w.clock(),
	})
}

func refusalCause(r pool.Refusal) Cause {
	if r == pool.NoBackend {
		return CauseNoBackend
	}
	return CausePoolLimit
}

// giveUp tells the client that nobody can serve it.
func (w *worker) giveUp(s *session, cause Cause) {
	w.refuse(s, cause, route.RejectAlert, peek.AlertInternalError)
}

// connect starts to connect to b, on which a slot is reserved.
func (w *worker) connect(s *session, b *pool.Backend) {
	s.backend = b
	s.attempts++
	w.attempts.started.Add(1)
	st := s.setup
	st.sent, st.held = 0, 0
	st.dialed = w.loop.Now()
	v6 := b.Addr.Addr().Is6() && !b.Addr.Addr().Is4In6()
	fd, e := sys.Socket(v6)
	if e == 0 && w.server.spares.missed() {
		sys.Close(fd)
		e = syscall.EMFILE
	}
	if e != 0 {
		s.lastErrno = e
		w.leaveBackend(s)
		w.giveUp(s, CauseFDLimit)
		return
	}
	s.backendFD = int32(fd)
	if e = w.startConnect(s, fd, b.Addr, v6); e != 0 {
		s.lastErrno = e
		w.attemptFailed(s, CauseConnectFail)
		return
	}
	s.stage = stageDialing
	w.attemptDeadline(s, int64(s.pool.Config().ConnectTimeout))
	w.sendHello(s) // a near backend has accepted by now: spares a turn of the loop
}

// attemptDeadline bounds the present step by d, and all attempts together by the pool's setup_timeout.
func (w *worker) attemptDeadline(s *session, d int64) {
	if s.setup.giveUp != 0 {
		d = max(min(d, s.setup.giveUp-w.loop.Now()), 1)
	}
	w.deadline(s, d)
}

// startConnect starts to connect. The loop is told of fd by the first sendHello, which knows what to wait for.
func (w *worker) startConnect(s *session, fd int, to netip.AddrPort, v6 bool) syscall.Errno {
	if src := s.pool.Config().Source; src.IsValid() {
		if src.Is4() == v6 {
			return syscall.EAFNOSUPPORT // a name that resolves to the other family than the source's
		}
		if e := sys.BindSource(fd, src, v6); e != 0 {
			return e
		}
	}
	sys.SetSmartConnect(fd)
	if e := sys.Connect(fd, to, v6); e != 0 && e != syscall.EINPROGRESS {
		return e
	}
	return 0
}

// sendHello sends what is left of the hello; that it can be sent is how a connect shows its success.
func (w *worker) sendHello(s *session) {
	st := s.setup
	for st.sent < len(st.out) {
		n, e := sys.Send(int(s.backendFD), st.out[st.sent:], false)
		switch {
		case e == syscall.EAGAIN: // still connecting, or the backend takes no more now
			w.watchBackend(s, true)
			return
		case e != 0:
			s.lastErrno = e
			w.attemptFailed(s, w.sendFailure(s))
			return
		}
		if st.sent == 0 {
			w.loop.Refresh()
			s.dialTook = max(w.loop.Now()-st.dialed, 1)
			s.pool.dial.observe(s.dialTook)
		}
		st.sent += n
	}
	w.helloSent(s)
}

// helloSent waits for the answer.
func (w *worker) helloSent(s *session) {
	if !w.watchBackend(s, false) {
		return
	}
	s.stage = stageAnswering
	w.attemptDeadline(s, int64(s.pool.Config().AnswerTimeout))
	if s.setup.hello.EarlyData {
		w.startRelay(s, nil) // what follows may be sent once only (RFC 8446 §8): there is no second attempt
		return
	}
	if s.down.Readable {
		w.readAnswer(s)
	}
}

// watchBackend tells the loop of the backend's socket, once. false means that the attempt has failed over it.
func (w *worker) watchBackend(s *session, writable bool) bool {
	if s.watched {
		return true
	}
	watch := w.loop.Watch
	if writable {
		watch = w.loop.WatchBoth
	}
	if e := watch(int(s.backendFD), s.backendToken()); e != 0 {
		s.lastErrno = e
		w.attemptFailed(s, CauseFDLimit)
		return false
	}
	s.watched, s.backendOut = true, writable
	return true
}

func (w *worker) sendFailure(s *session) Cause {
	if s.setup.sent == 0 {
		return CauseConnectFail
	}
	return CauseAnswerFail
}

// readAnswer reads the backend's first bytes. A ServerHello, or whatever else is no alert, begins the relay; a
// hang-up or an alert sends the same hello to the next backend, as no byte has reached the client yet.
func (w *worker) readAnswer(s *session) {
	st := s.setup
	buf := w.bench.Buf
	copy(buf, st.answer[:st.held])
	n, e := sys.Recv(int(s.backendFD), buf[st.held:])
	switch {
	case e == syscall.EAGAIN:
		s.down.Readable = false
		return
	case e != 0:
		s.lastErrno = e
		w.attemptFailed(s, CauseAnswerFail)
		return
	case n == 0:
		s.lastErrno = 0
		w.answerEnded(s)
		return
	}
	if n < len(buf)-st.held && !s.down.Hung() {
		s.down.Readable = false
	}
	answer := buf[:st.held+n]
	switch classify(answer) {
	case answerUndecided:
		st.held = copy(st.answer[:], answer)
		if s.down.Readable {
			w.readAnswer(s)
		}
	case answerAlert:
		w.alerted(s, answer)
	default:
		w.startRelay(s, answer)
	}
}

// answerKind is what the first bytes of a backend are.
type answerKind uint8

const (
	answerUndecided answerKind = iota // may become an alert
	answerAlert
	answerOther
)

func classify(b []byte) answerKind {
	if len(b) == 0 {
		return answerUndecided
	}
	if b[0] != recordAlert {
		return answerOther
	}
	if len(b) < alertRecord {
		return answerUndecided
	}
	var f peek.ServerFlight
	if err := peek.ParseServerFlight(b, &f); err == nil && f.Alert {
		return answerAlert
	}
	return answerOther
}

const recordAlert = 21 // RFC 8446 §5.1

// answerEnded is called when the backend closed in order before its first byte, or within an alert.
func (w *worker) answerEnded(s *session) {
	if s.setup.held > 0 {
		copy(w.bench.Buf, s.setup.answer[:s.setup.held])
		w.startRelay(s, w.bench.Buf[:s.setup.held])
		return
	}
	w.attemptFailed(s, CauseAnswerFail)
}

// alerted tries another backend; where there is none, the client gets this one's alert as it came.
func (w *worker) alerted(s *session, alert []byte) {
	var f peek.ServerFlight
	peek.ParseServerFlight(alert, &f) // sound: classify has seen it
	s.pool.handshakes.alert(&f)
	if w.mayRetry(s) {
		s.setup.tried = append(s.setup.tried, s.backend)
		if next, _ := w.pick(s); next != nil {
			if !s.setup.isACME() { // who has not asked for the certificate answers so, and is sound
				s.backend.Failures.Add(1)
				w.suspect(s, pool.OutcomeAlerted)
			}
			w.attempts.failed(CauseAnswerFail)
			w.dropBackend(s)
			w.connect(s, next)
			return
		}
	}
	w.attempts.failed(CauseAnswerFail)
	w.startRelay(s, alert)
}

// attemptFailed gives this backend up and tries the next, as long as the pool's attempts allow.
func (w *worker) attemptFailed(s *session, cause Cause) {
	s.setup.tried = append(s.setup.tried, s.backend)
	if cause != CauseFDLimit {
		s.backend.Failures.Add(1)
	}
	w.attempts.failed(cause)
	w.observeFailure(s, cause)
	w.dropBackend(s)
	if !w.mayRetry(s) {
		w.giveUp(s, cause)
		return
	}
	next, _ := w.pick(s)
	if next == nil {
		w.giveUp(s, cause)
		return
	}
	w.connect(s, next)
}

// mayRetry reports whether another backend may be tried. Once bytes of a hello with early data are on their way,
// they may have been acted upon (RFC 8446 §8).
func (w *worker) mayRetry(s *session) bool {
	st := s.setup
	switch {
	case int(s.attempts) >= s.mostAttempts():
		return false
	case st.hello.EarlyData && st.sent > 0:
		return false
	}
	return st.giveUp == 0 || w.loop.Now() < st.giveUp
}

// mostFanout bounds the backends that one acme-tls/1 hello is offered to: a stranger can send it.
const mostFanout = 255

// mostAttempts is how many backends may be tried for s. The one of a pool that has asked for a certificate by
// TLS-ALPN-01 (RFC 8737) is the only one that can answer the authority: acme_fanout has all of them asked.
func (s *session) mostAttempts() int {
	cfg := s.pool.Config()
	if cfg.AcmeFanout && s.setup.isACME() {
		return mostFanout
	}
	return cfg.Attempts
}

// isACME reports whether the hello offers acme-tls/1, as only an authority's validation does.
func (st *setup) isACME() bool { return st.hello.ALPN.Contains("acme-tls/1") }

// dropBackend closes the connection to a backend that failed before its first byte.
func (w *worker) dropBackend(s *session) {
	w.leaveBackend(s)
	s.closeBackend(true)
	s.down = relay.Flow{}
	s.watched, s.backendOut = false, false
}
