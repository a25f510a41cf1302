package balancer

import (
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
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
	for _, limit := range [...]struct {
		at    int64 // 0: none
		cause Cause
	}{
		{s.answerBy, CauseAnswerTimeout},
		{s.leaveBy, CauseBackendRemoved},
		{later(max(s.upAt, s.downAt), cfg.IdleTimeout), CauseIdleTimeout},
		{later(s.halfAt, cfg.HalfCloseTimeout), CauseHalfCloseTimeout},
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
