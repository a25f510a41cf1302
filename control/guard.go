package control

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
)

const (
	// guardPeriod is how often a guard looks.
	guardPeriod = 250 * time.Millisecond
	// guardBound is by how much a share of failures may rise, unless it was said: a hundredth.
	guardBound = 0.01
	// guardEvents is how many failures it takes at least: fewer are bad luck, not a rate.
	guardEvents = 5
)

// earlier is what a change has taken the place of, and what it takes to put it back.
type earlier struct {
	state   *balancer.State
	desired *desired
	number  uint64    // of the revision
	unset   []setting // that the change has ended
}

// guard watches how connections fare after a change.
type guard struct {
	earlier
	origin string // of the change
	bound  float64
	base   counts // when the change came into force
	prior  counts // in the minute before
	status GuardStatus
	end    context.CancelFunc
}

// startGuard watches over c, which has just come into force. base was counted right before.
func (m *Manager) startGuard(c *change, before *earlier, base counts) {
	g := &guard{earlier: *before, origin: c.origin, bound: cmp.Or(c.bound, guardBound), base: base, prior: m.sampler.before(base)}
	g.status = GuardStatus{
		Revision: m.history.current().Number, Previous: before.number, State: GuardWatching,
		Ends: m.now().Add(c.guard), Before: g.prior.rates(),
	}
	ctx, cancel := context.WithCancel(m.ctx)
	g.end = cancel
	m.guard = g
	m.showGuard(g.status)
	status := g.status
	c.result.Guard = &status
	m.jobs.Go(func() {
		defer cancel()
		m.watchOver(ctx, g, c.guard)
	})
}

// watchOver waits for the end of g, and draws the conclusion.
func (m *Manager) watchOver(ctx context.Context, g *guard, d time.Duration) {
	after, reason := g.watch(ctx, d, m.sampler.read, func(after Rates) {
		m.shown.change(func(s *snapshot) {
			if s.Guard.Revision == g.status.Revision && s.Guard.State == GuardWatching {
				now := *s.Guard
				now.After = after
				s.Guard = &now
			}
		})
	})
	if m.begin(ctx) != nil {
		return // it was ended
	}
	defer m.end()
	if m.guard != g {
		return
	}
	m.guard = nil
	g.status.After, g.status.Reason, g.status.State = after.rates(), reason, GuardPassed
	if reason != "" {
		m.putBack(ctx, g)
	} else {
		m.log.Info("guard passed", "revision", g.status.Revision, "connections", after.connections)
	}
	m.showGuard(g.status)
	m.loadDeferred(g)
}

// watch looks every guardPeriod until d is over, ctx is done, or more connections fail than before. It returns what was
// counted since the change, and why the guard trips; "" if it does not.
func (g *guard) watch(ctx context.Context, d time.Duration, read func() counts, tell func(Rates)) (after counts, reason string) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	tick := time.NewTicker(guardPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		after = read().minus(g.base)
		if reason = g.judge(after); reason != "" || ctx.Err() != nil {
			return after, reason
		}
		tell(after.rates())
	}
}

// judge says what is worse since the change than before; "" if nothing is.
func (g *guard) judge(after counts) string {
	for _, s := range []struct {
		what, of                 string
		part, all, before, total uint64
	}{
		{"no_route", "connections", after.noRoute, after.connections, g.prior.noRoute, g.prior.connections},
		{"connect_failures", "attempts", after.connectFailures, after.attempts, g.prior.connectFailures, g.prior.attempts},
		{"failed_handshakes", "attempts", after.answerFailures, after.attempts, g.prior.answerFailures, g.prior.attempts},
	} {
		if s.part >= guardEvents && share(s.part, s.all)-share(s.before, s.total) > g.bound {
			return fmt.Sprintf("%s %d of %d %s, before %d of %d", s.what, s.part, s.all, s.of, s.before, s.total)
		}
	}
	return ""
}

// putBack makes what was before g's change what runs again. It needs neither the file nor the state file to be in order.
func (m *Manager) putBack(ctx context.Context, g *guard) {
	p, err := m.balancer.PrepareState(ctx, g.state)
	if err == nil {
		err = p.Commit()
	}
	if err != nil {
		g.status.State = GuardEnded
		m.log.Error("guard: the revision before could not be put back", "revision", g.status.Revision,
			"previous", g.status.Previous, "reason", g.status.Reason, "error", err)
		return
	}
	g.status.State = GuardRolledBack
	if r := m.history.find(g.status.Revision); r != nil {
		r.putBack = true
	}
	m.again(g.unset)
	m.history.add(m.revision("guard", fmt.Sprintf("guard put %d back: %s", g.status.Previous, g.status.Reason)), g.desired)
	m.adopt(g.desired)
	if err := m.save(m.running, m.settings, m.history.last); err != nil {
		m.log.Error("guard: the state file still has what was put back", "error", err)
	}
	why := fmt.Sprintf("revision %d was put back: %s", g.status.Revision, g.status.Reason)
	m.shown.change(func(s *snapshot) { s.count(resultRolledBack, LastReload{At: m.now(), Error: why}) })
	m.publish()
	m.log.Warn("guard: the revision before was put back", "revision", m.history.current().Number,
		"rejected", g.status.Revision, "previous", g.status.Previous, "reason", g.status.Reason)
}

// again says what was said of backends before, where nothing else was said since.
func (m *Manager) again(settings []setting) {
	back := missing(settings, m.settings)
	for _, s := range back {
		m.settings = setTo(m.settings, s)
	}
	m.tell(&change{set: back})
}

// endGuard ends the guard that watches, if there is one: something else was decided. A reload that waits for it is not
// made then; whoever rolls back does not want the file again.
func (m *Manager) endGuard() {
	g := m.guard
	if g == nil {
		return
	}
	m.guard = nil
	g.end()
	g.status.State = GuardEnded
	m.showGuard(g.status)
	if m.deferred != "" {
		m.deferred = ""
		m.shown.change(func(s *snapshot) { s.handled = s.onDisk })
		m.log.Warn("the reload that waited for the guard is not made: `switchyard reload` loads the file")
	}
}

func (m *Manager) showGuard(status GuardStatus) {
	m.shown.change(func(s *snapshot) {
		if s.Guard != nil && s.Guard.Revision == status.Revision && status.After == (Rates{}) {
			status.After = s.Guard.After
		}
		s.Guard = &status
	})
}

// busy says that a guard watches.
func (m *Manager) busy() error {
	s := &m.guard.status
	return &BusyError{Revision: s.Revision, Left: max(0, s.Ends.Sub(m.now()))}
}

// postpone answers a reload while a guard watches: one that nobody waits for is made when the guard is over.
func (m *Manager) postpone(req *ReloadRequest) (*Result, error) {
	if !automatic(req.Origin) {
		return nil, m.busy()
	}
	if m.deferred != OriginSignal { // which says more than a change of the file
		m.deferred = req.Origin
		m.log.Info("the reload waits for the guard", "origin", req.Origin, "revision", m.guard.status.Revision)
	}
	r := m.nothing()
	r.Summary = m.busy().Error()
	return r, nil
}

// loadDeferred makes the reload that has waited for g. The file that g has rejected is not loaded again.
func (m *Manager) loadDeferred(g *guard) {
	origin := m.deferred
	m.deferred = ""
	if origin == "" {
		return
	}
	if g.status.State == GuardRolledBack {
		rejected := m.history.find(g.status.Revision)
		f, err := m.readFile(m.ctx)
		if err == nil && rejected != nil && f.digest == rejected.Digest {
			m.log.Warn("not loaded: the file is still the one that the guard has put back", "origin", origin)
			return
		}
	}
	_, err := m.reload(m.ctx, &ReloadRequest{Origin: origin}) // it logs what it does
	if passes(err) {
		select {
		case m.lookAgain <- struct{}{}:
		default: // the watcher is about to look
		}
	}
}
