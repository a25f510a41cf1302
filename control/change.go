package control

import (
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
)

// change is a checked and prepared change. All that is left is to commit it, or to abort prepared.
type change struct {
	prepared *balancer.Prepared
	to       *desired
	settings []setting // of backends, afterwards
	set      []setting // to tell the balancer
	unset    []setting // to take back from the balancer
	origin   string
	about    string // what it is, where that is more than its difference
	load     bool   // it loads a file
	guard    time.Duration
	bound    float64
	result   *Result
}

// wouldBe is the result of a dry run.
func (c *change) wouldBe() *Result {
	const examples = 100
	effects := c.prepared.Effects(examples)
	c.result.DryRun, c.result.Effects = true, &effects
	return c.result
}

// commit makes c what runs, unless the state file cannot be written. From the moment at which the balancer has taken
// it, nothing can fail any more.
func (m *Manager) commit(c *change) error {
	if err := m.saveFor(c); err != nil {
		return err
	}
	before := earlier{state: m.balancer.State(), desired: m.running, number: m.history.current().Number, unset: c.unset}
	base := m.sampler.read()
	if err := c.prepared.Commit(); err != nil {
		m.unsave()
		return refuse(err, "")
	}
	m.endGuard()
	m.tell(c)
	m.history.add(m.revision(c.origin, c.summary()), c.to)
	m.settings = c.settings
	m.adopt(c.to)
	c.result.Revision = m.history.current().Number
	if c.guard > 0 && !c.result.Diff.Empty() {
		m.startGuard(c, &before, base)
	}
	if c.load {
		m.shown.change(func(s *snapshot) { s.count(resultApplied, LastReload{At: m.now(), OK: true}) })
	}
	m.publish()
	m.logChange(c)
	return nil
}

// summary describes c in the list of revisions.
func (c *change) summary() string {
	if c.about == "" {
		return c.result.Summary
	}
	return c.about + ": " + c.result.Summary
}

// tell sets the backends as c says. What is not there any more needs no taking back.
func (m *Manager) tell(c *change) {
	for _, s := range c.unset {
		_, _ = m.balancer.Set(balancer.Setting{Pool: s.Pool, Address: s.Address})
	}
	for _, s := range c.set {
		if _, err := m.balancer.Set(s.Setting); err != nil {
			m.log.Warn("backend not set", "pool", s.Pool, "backend", s.Address, "error", err)
		}
	}
}
