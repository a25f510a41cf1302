package balancer

import (
	"errors"
	"strings"
	"syscall"

	"github.com/seed-23b4a313/switchyard/balancer/proxyheader"
	"github.com/seed-23b4a313/switchyard/balancer/sys"
	"github.com/seed-23b4a313/switchyard/peek"
	"github.com/seed-23b4a313/switchyard/route"
)

// firstRead is the buffer that the first byte of a client borrows; most hellos fit.
const firstRead = 2 << 10

// readHello reads what the client has sent and looks whether the PROXY header and the hello are complete. Until
// they are, the session holds the bytes; every look costs only what the new bytes cost.
func (w *worker) readHello(s *session) {
	st := s.setup
	for s.up.Readable {
		if !w.makeRoom(st) {
			w.refuse(s, CauseMemoryLimit, route.RejectReset, 0)
			return
		}
		room := st.buf[len(st.buf):cap(st.buf)]
		n, e := sys.Recv(int(s.clientFD), room)
		switch {
		case e == syscall.EAGAIN:
			s.up.Readable = false
			w.dropEmpty(st)
			return
		case e != 0 || n == 0:
			s.lastErrno = e
			w.finish(s, CauseClientGone, closeBoth)
			return
		}
		st.buf = st.buf[:len(st.buf)+n]
		if n < len(room) && !s.up.Hung() { // once hung up, the end of file is still to be read
			s.up.Readable = false
		}
		if w.look(s) {
			return
		}
	}
}

// hurry has an incomplete hello acknowledged at once. Connections begin with acknowledgements held back, to travel
// with the answer; but a client that sends in small portions may wait for one before it sends the next (RFC 896).
func (w *worker) hurry(s *session) {
	if !s.setup.hurried {
		s.setup.hurried = true
		sys.SetQuickAck(int(s.clientFD))
	}
}

// makeRoom borrows a buffer, or a larger one when the present one is full. hello_max_size and the largest PROXY
// header bound it; false says that large buffers are used up.
func (w *worker) makeRoom(st *setup) bool {
	switch {
	case st.buf == nil:
		st.buf = w.bench.Buffers.Get(firstRead)[:0]
	case len(st.buf) == cap(st.buf):
		if cap(st.buf) > firstRead && w.bench.Buffers.Lent > w.server.limits.Load().lentPerWorker {
			return false
		}
		larger := w.bench.Buffers.Get(2 * cap(st.buf))
		n := copy(larger, st.buf)
		w.bench.Buffers.Put(st.buf)
		st.buf = larger[:n]
	}
	return true
}

// dropEmpty gives back a buffer that turned out not to be needed: a silent client holds none.
func (w *worker) dropEmpty(st *setup) {
	if len(st.buf) == 0 {
		w.bench.Buffers.Put(st.buf)
		st.buf = nil
	}
}

// look reports whether the session has left the hello stage: routed, refused or ended.
func (w *worker) look(s *session) bool {
	st := s.setup
	if st.header {
		switch n, err := proxyheader.Parse(st.buf, &st.info); {
		case err == nil:
			w.acceptHeader(s, n)
		case err == proxyheader.ErrIncomplete:
			w.hurry(s)
			return false
		case err == proxyheader.ErrNone && s.listener.cfg.Load().ProxyOptional:
			st.header = false
		default:
			w.refuse(s, CauseProxyBad, route.RejectClose, 0)
			return true
		}
	}
	if len(st.buf) == st.at {
		return false
	}
	err := st.parser.Parse(st.buf[st.at:], &st.hello)
	switch {
	case err == nil:
		w.loop.Refresh()
		s.helloTook = max(w.loop.Now()-s.started, 1)
		s.listener.counters[w.index].hello.observe(s.helloTook)
		w.route(s)
	case err == peek.ErrIncomplete:
		w.hurry(s)
		return false
	default:
		w.refuseHello(s, err)
	}
	return true
}

// acceptHeader makes the PROXY header's client the session's. A LOCAL header (a proxy's own health check) leaves
// it as it is.
func (w *worker) acceptHeader(s *session, n int) {
	st := s.setup
	st.header = false
	st.at = n
	if !st.info.Local {
		s.client = st.info.Source
	}
}

// refuseHello ends a session whose first bytes are not a sound hello. It never falls through to a default.
func (w *worker) refuseHello(s *session, err error) {
	switch {
	case errors.Is(err, peek.ErrNotTLS):
		if st := s.setup; st.at == 0 && looksLikeHeader(st.buf) {
			w.refuse(s, CauseProxyUntrusted, s.listener.cfg.Load().NotTLS, 0)
			return
		}
		w.refuse(s, CauseNotTLS, s.listener.cfg.Load().NotTLS, 0)
	case errors.Is(err, peek.ErrTooBig):
		w.refuse(s, CauseHelloTooBig, route.RejectAlert, peek.AlertDecodeError)
	default:
		if wrong, ok := errors.AsType[*peek.SyntaxError](err); ok {
			s.setup.wrong = wrong.What
		}
		w.refuse(s, CauseBadHello, route.RejectAlert, peek.AlertDecodeError)
	}
}

// looksLikeHeader reports whether b begins like a PROXY header. It is not parsed: nobody vouches for its sender.
func looksLikeHeader(b []byte) bool {
	const v1, v2 = "PROXY ", "\r\n\r\n\x00\r\nQUIT\n"
	is := func(sig string) bool {
		n := min(len(b), len(sig))
		return n > 0 && string(b[:n]) == sig[:n]
	}
	return is(v1) || is(v2)
}

// route asks the table, once, and goes where it says.
func (w *worker) route(s *session) {
	st := s.setup
	if st.hello.ServerName != nil {
		name, err := route.ParseName(st.hello.ServerName)
		if err != nil {
			st.wrong = strings.TrimPrefix(err.Error(), "route: ")
			w.refuse(s, CauseBadHello, route.RejectAlert, peek.AlertDecodeError)
			return
		}
		s.name = name
	}
	world := s.listener.final.Load()
	if world == nil {
		world = w.server.world.Load()
	}
	st.query = route.Query{
		Name: s.name, ALPN: &st.hello.ALPN, Client: s.client.Addr(), Listener: s.listener.name(), Draw: w.rand.Uint64(),
	}
	d := world.routes.Match(&st.query)
	s.route = d.Route
	w.seen.note(s, d.Pool, w.loop.Now())
	switch {
	case d.Reject != route.RejectNone:
		cause, alert := rejection(d.Verdict)
		w.refuse(s, cause, d.Reject, alert)
	case d.Route != nil && d.Route.Terminate != nil:
		s.pool = world.pools[d.Pool]
		// TLS-ALPN-01 is counted too: anybody can say that it validates, and who does comes once for each name.
		if !world.sources.allow(s.client.Addr()) {
			w.refuse(s, CauseHandshakeRate, route.RejectReset, 0) // an alert would keep the socket of a flood for a while
			return
		}
		w.terminate(s)
	default:
		s.pool = world.pools[d.Pool]
		w.prepare(s)
		w.dial(s)
	}
}

// rejection is the cause of a refusal, and the alert that fits it. A hello without a name gets missing_extension,
// as RFC 8446 §9.2 asks of servers that need one.
func rejection(v route.Verdict) (Cause, uint8) {
	switch v {
	case route.VerdictNoSNI:
		return CauseNoSNI, alertMissingExtension
	case route.VerdictUnknownSNI:
		return CauseNoRoute, peek.AlertUnrecognizedName
	default:
		return CauseRejected, peek.AlertUnrecognizedName
	}
}

// alertMissingExtension is RFC 8446 §6.2.
const alertMissingExtension = 109
