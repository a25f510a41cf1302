package balancer

import (
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/relay"
	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// relayTimer looks at everything that time can do to an established session, and sets the timer for what comes next.
func (w *worker) relayTimer(s *session) {
	now, cfg := w.loop.Now(), s.pool.Config()
	if !s.watchful {
		s.arm(int(s.backendFD))
	}
	if s.leaveBy != 0 && !s.backend.Leaving() {
		s.leaveBy = 0 // it is back
	}
	if w.outlived(s) {
		return
	}
	for _, limit := range [...]struct {
		at    int64 // 0: none
		cause Cause
	}{
		{s.answerBy, CauseAnswerTimeout},
		{s.leaveBy, CauseBackendRemoved},
		{later(max(s.upAt, s.downAt), cfg.IdleTimeout), CauseIdleTimeout},
		{later(w.silentSince(s, cfg.HalfCloseTimeout), cfg.HalfCloseTimeout), CauseHalfCloseTimeout},
	} {
		switch {
		case limit.at == 0:
		case now < limit.at:
			w.wakeAt(s, limit.at)
		case limit.cause == CauseAnswerTimeout:
			w.observe(s, s.backend, pool.OutcomeAnswerTimeout, 0)
			w.giveUp(s, limit.cause) // no byte has reached the client: it can be told
			return
		default:
			w.finish(s, limit.cause, closeBoth)
			return
		}
	}
	if w.stalled(s, s.up.Blocked(), &s.upSink, s.upAt, int(s.backendFD)) ||
		w.stalled(s, s.down.Blocked(), &s.downSink, s.downAt, int(s.clientFD)) {
		w.finish(s, CauseStalled, resetBoth)
	}
}

// silentSince is since when nothing moves on a session of which one side has ended; 0 where none has. As long as a side has bytes
// to take, the kernel's included, it may be slow, and it is stalled_timeout that bounds how slow.
func (w *worker) silentSince(s *session, limit time.Duration) int64 {
	if s.halfAt == 0 || limit == 0 {
		return 0
	}
	if takes(&s.up, int(s.backendFD)) || takes(&s.down, int(s.clientFD)) {
		s.halfAt = w.loop.Now()
		w.wakeAt(s, s.halfAt+int64(limit)/pool.SlowLooks)
	}
	return max(s.halfAt, s.upAt, s.downAt)
}

// takes reports whether the sink of a flow has bytes to take. A dead one never does.
func takes(f *relay.Flow, sink int) bool {
	return !f.Voided() && (f.Blocked() || sys.Unacknowledged(sink) > 0)
}

// later is d after at; 0 where either is 0.
func later(at int64, d time.Duration) int64 {
	if at == 0 || d == 0 {
		return 0
	}
	return at + int64(d)
}

// arm has the kernel look whether the backend is still there.
func (s *session) arm(backend int) {
	s.watchful = true
	sys.Keepalive(backend, keepIdle, keepInterval, keepCount, userTimeout)
}
