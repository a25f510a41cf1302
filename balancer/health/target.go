package health

import (
	"crypto/x509"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// target is an address that is checked in one way, for all who watch that.
type target struct {
	place
	checker *Checker
	check   *pool.Check // complete: see settled
	uses    int         // Checker.mu; watchers
	timer   *time.Timer // Checker.mu; stopped while a check is under way

	session session // of whichever check is under way

	mu       sync.Mutex // held while told is called
	watchers []*watcher // mu; those of the first are the authorities
	report   Report     // mu; Last is zero until the first check
	panicked bool       // mu; the last check has, and it was logged
}

// watcher is one call of Watch.
type watcher struct {
	told   func(Report)
	trusts pool.Authorities // nil: none
}

// newTarget begins to check, for first. The first checks of many targets that come at once, with the start of the process or a
// reload, are spread over an interval. Checker.mu is held.
func newTarget(c *Checker, at place, check *pool.Check, first *watcher) *target {
	t := &target{place: at, checker: c, check: check, uses: 1, watchers: []*watcher{first}}
	t.report.Since = time.Now()
	t.timer = time.AfterFunc(c.untilBeat(time.Now().Add(rand.N(check.FastInterval)), check.FastInterval), t.run)
	return t
}

// run makes one check, and has the next one made at its time.
func (t *target) run() {
	c := t.checker
	if !c.enter(t) {
		return
	}
	defer c.running.Done()
	select {
	case c.slots <- struct{}{}:
	case <-c.ctx.Done():
		return
	}
	start := time.Now()
	t.checkOnce(start)
	<-c.slots
	c.again(t, t.pause(start))
}

// checkOnce makes one check, says what came of it, and only then takes its leave of the backend.
func (t *target) checkOnce(start time.Time) {
	p, err := t.probe(start)
	defer func() { p.close() }()
	if p.resumes && err != nil && p.ctx.Err() == nil {
		p, err = t.withoutSession(p, start)
	}
	if sys.Exhausted(err) {
		return // nothing was found out; every backend would be down at once, and stay so for a while after the want is over
	}
	p.outcome.took = time.Since(start)
	p.outcome.reason = reason(err, t.check.Timeout)
	t.settle(&p.outcome, asPanic(err))
	_ = contain(p.farewell) // whatever comes of it changes nothing
	if err != nil {
		t.session.drop() // which may have come with the farewell: nothing that has failed is to be resumed
	}
}

// withoutSession repeats a check that has failed with a session: if the backend cannot resume, whatever the reason,
// that says nothing about clients who do not ask for it. It closes the failed one.
func (t *target) withoutSession(failed *probe, start time.Time) (*probe, error) {
	failed.closeWrite()
	failed.close()
	t.session.drop()
	p, err := t.probe(start)
	if err == nil {
		t.session.avoid(time.Now())
	}
	return p, err
}

// probe goes through the steps of one check, which began at start. The caller closes p.
func (t *target) probe(start time.Time) (p *probe, err error) {
	p = newProbe(t, start)
	return p, contain(p.run)
}

// pause is how long to wait for the next check after the one that began at start. An interval is cut short by up to a
// twentieth, at random: checks of many backends do not stay in step, and no change is noticed later than promised.
func (t *target) pause(start time.Time) time.Duration {
	interval := t.interval()
	return t.checker.untilBeat(start.Add(interval-rand.N(interval/20+1)), interval)
}

// interval is that of the check's two which is in force.
func (t *target) interval() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.report.changing() {
		return t.check.FastInterval
	}
	return t.check.Interval
}

// settle takes note of what a check has found, and tells everybody. Nobody is told of a check that Close has ended.
// Where nobody watches, the target is left, or somebody is about to: who comes is told by add.
func (t *target) settle(o *outcome, p *panicked) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.checker.ctx.Err() != nil {
		return
	}
	before := t.report
	changed := t.report.note(o, t.check, time.Now())
	if len(t.watchers) == 0 {
		return
	}
	if changed {
		t.logChange(&before)
	}
	t.logPanic(p)
	for _, w := range t.watchers {
		t.tell(w)
	}
}

// tell calls w. mu is held.
func (t *target) tell(w *watcher) {
	err := contain(func() error { w.told(t.report); return nil })
	if p := asPanic(err); p != nil {
		t.checker.log.Error("a receiver of check results panicked", t.attr(), slog.Any("panic", p.value), slog.String("stack", p.stack))
	}
}

// add tells w what is known, and from now on what comes to be known. Who was the first of a new target is told already.
func (t *target) add(w *watcher) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.Contains(t.watchers, w) {
		return
	}
	t.watchers = append(t.watchers, w)
	if !t.report.Last.IsZero() {
		t.tell(w)
	}
}

// authorities are those to verify by now, or none: to x509, nil means those of the system.
func (t *target) authorities() *x509.CertPool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.watchers) > 0 && t.watchers[0].trusts != nil {
		return t.watchers[0].trusts.Authorities()
	}
	return x509.NewCertPool()
}

// remove tells w nothing any more.
func (t *target) remove(w *watcher) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watchers = slices.DeleteFunc(t.watchers, func(o *watcher) bool { return o == w })
}

// logChange writes the line for a change of state. mu is held.
func (t *target) logChange(before *Report) {
	r := &t.report
	attrs := []any{
		t.attr(), slog.String("was", before.State.String()),
		slog.Float64("after_s", r.Since.Sub(before.Since).Round(time.Millisecond).Seconds()),
	}
	if r.State == pool.StateDown {
		t.checker.log.Warn("backend is down", append(attrs, slog.Int("failures", r.Failures), slog.String("error", r.Error))...)
		return
	}
	t.checker.log.Info("backend is up", append(attrs, slog.Int("successes", r.Successes))...)
}

// logPanic writes p down once until a check ends without. mu is held.
func (t *target) logPanic(p *panicked) {
	if p != nil && !t.panicked {
		t.checker.log.Error("a check panicked", t.attr(), slog.Any("panic", p.value), slog.String("stack", p.stack))
	}
	t.panicked = p != nil
}

// attr says in a log line what was checked and how.
func (t *target) attr() slog.Attr {
	return slog.GroupAttrs("", slog.String("address", t.to.String()), slog.String("check", t.check.Type.String()))
}

// panicked is a panic that contain has caught.
type panicked struct {
	value any
	stack string
}

// Error is the same for the same panic.
func (p *panicked) Error() string { return "panic: see the log" }

// contain calls f and returns its panic as an error.
func contain(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{value: v, stack: string(debug.Stack())}
		}
	}()
	return f()
}

// asPanic returns err if it is a panic, and else nil.
func asPanic(err error) *panicked {
	p, _ := err.(*panicked) //nolint:errorlint // made by contain and handed on as it is
	return p
}
