package control

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/configs"
)

// Origins of reloads that nobody waits for. While a guard watches they wait for its end; a reload of any other origin is
// refused then.
const (
	OriginSignal = "SIGHUP"
	OriginWatch  = "watch"
)

// ReloadRequest asks for the file to be loaded again.
type ReloadRequest struct {
	Origin string // who asks: OriginSignal, OriginWatch, or "POST /v1/reload"
	DryRun bool   // change nothing, and say what would change
	// Guard is how long to watch the connections after the change; the revision before is put back if more fail. 0: not,
	// or as reload.guard says if the origin is OriginSignal or OriginWatch.
	Guard time.Duration
	// GuardBound is by how much a share of failures may rise, from 0 to 1. 0: 0.01.
	GuardBound  float64
	DropOverlay bool   // drop all changes made at run time, and not only those that were made to be dropped
	IfRevision  uint64 // refuse unless this revision runs; 0: whichever does
}

// CheckRequest is a text to compare with what runs.
type CheckRequest struct {
	Name        string // for messages
	Dir         string // what relative paths in it are relative to; "": the directory of the file that runs
	Text        []byte
	DropOverlay bool // compare without what lies on the file
}

// Reload loads the file as it is now. With the same content as what was loaded last, and no change of the overlay to
// drop, it changes nothing. What it did is logged; a mistake is logged once for each content that the watcher finds.
//
// The error is a [*RefusedError], [*ConflictError], [*BusyError], [*SaveError], [ErrStopping], [ErrStarting] or that of
// ctx, and nothing has changed then.
func (m *Manager) Reload(ctx context.Context, req ReloadRequest) (*Result, error) {
	if err := m.begin(ctx); err != nil {
		return nil, err
	}
	defer m.end()
	return m.reload(ctx, &req)
}

func (m *Manager) reload(ctx context.Context, req *ReloadRequest) (*Result, error) {
	if err := m.expect(req.IfRevision); err != nil {
		return nil, err
	}
	if m.guard != nil && !req.DryRun {
		return m.postpone(req)
	}
	f, err := m.readFile(ctx)
	if interrupted(err) || passes(err) && req.Origin == OriginWatch {
		return nil, err // it is looked at again
	}
	known := m.noteRead(f)
	if known && req.Origin == OriginWatch {
		return m.nothing(), nil // somebody else was asked to load it meanwhile
	}
	var r *Result
	if err != nil {
		err = m.refused(req.Origin, req.DryRun, refuse(err, hintOf(err)))
	} else {
		r, err = m.load(ctx, m.loadingOf(f, req))
	}
	if !req.DryRun && !interrupted(err) && !passes(err) {
		m.shown.change(func(s *snapshot) { s.handled = digestOf(f) })
	}
	if err == nil && !r.Changed && !req.DryRun && req.Origin != OriginWatch && m.tryAgain != nil {
		if done := m.tryAgain(); done != "" {
			r.Summary += ": " + done
		}
	}
	return r, err
}

// expect refuses a change that is meant for another revision than the one that runs.
func (m *Manager) expect(revision uint64) error {
	now := m.history.current().Number
	if revision == 0 || revision == now {
		return nil
	}
	return &ConflictError{Revision: now, Why: fmt.Sprintf("the change is for revision %d, and %d runs", revision, now)}
}

// noteRead notes what is on disk: f, or nil for what could not be read. It reports whether that was loaded or refused
// already.
func (m *Manager) noteRead(f *file) (known bool) {
	m.shown.change(func(s *snapshot) {
		s.onDisk = digestOf(f)
		known = s.handled == s.onDisk
	})
	return known
}

// loading is a file that is on its way to be served.
type loading struct {
	file     *file
	source   *source // the file, if it is packed already
	entries  entries // to lay on it
	settings []setting
	dropped  []string // entries that do not come along
	origin   string
	about    string // what it is, for the summary of the revision; "" for a reload
	dryRun   bool
	guard    time.Duration
	bound    float64
}

func (m *Manager) loadingOf(f *file, req *ReloadRequest) *loading {
	l := &loading{
		file: f, settings: reloadedSettings(m.settings, req.DropOverlay),
		origin: req.Origin, dryRun: req.DryRun, guard: req.Guard, bound: req.GuardBound,
	}
	l.entries, l.dropped = m.running.entries.reloaded(req.DropOverlay)
	return l
}

// load makes l what runs: check, prepare, compare, save, commit. The caller has the turn.
//
// What is asked for by somebody is read even where its text is what runs: files that it names, and that are not followed, may
// have changed.
func (m *Manager) load(ctx context.Context, l *loading) (*Result, error) {
	same := m.runs(l)
	if same && l.origin == OriginWatch {
		return m.unchanged(l), nil
	}
	defer m.relief.after()
	if len(l.file.data) >= calmSize {
		defer m.calm.begin(&m.jobs)()
	}
	cfg, err := m.parse(ctx, l)
	if err != nil {
		return nil, m.refused(l.origin, l.dryRun, err)
	}
	c, err := m.prepare(ctx, l, cfg)
	if err != nil {
		return nil, m.refused(l.origin, l.dryRun, err)
	}
	defer c.prepared.Abort() // it does nothing after a commit
	switch {
	case same && c.result.Diff.Empty():
		return m.unchanged(l), nil
	case l.dryRun:
		return c.wouldBe(), nil
	}
	if err := m.commit(c); err != nil {
		return nil, m.refused(l.origin, false, err)
	}
	return c.result, nil
}

// runs reports whether the text of l is what runs already.
func (m *Manager) runs(l *loading) bool {
	return l.file.digest == m.running.source.digest && l.file.dir == m.running.source.dir &&
		l.entries.same(m.running.entries) && len(missing(m.settings, l.settings)) == 0
}

// unchanged notes that l is what runs already.
func (m *Manager) unchanged(l *loading) *Result {
	if !l.dryRun {
		m.shown.change(func(s *snapshot) { s.count(resultUnchanged, LastReload{At: m.now(), OK: true}) })
		m.log.Debug("reload: unchanged", "origin", l.origin, "revision", m.history.current().Number)
	}
	r := m.nothing()
	r.DryRun = l.dryRun
	return r
}

// nothing is the result of a change that asks for what runs.
func (m *Manager) nothing() *Result {
	return &Result{Revision: m.history.current().Number, Summary: "unchanged"}
}

// parse checks the file of l with its entries on top, and drops the deletions that have become needless.
func (m *Manager) parse(ctx context.Context, l *loading) (*configs.Config, error) {
	cfg, err := m.read(ctx, l.file, l.entries.laid())
	if err != nil {
		return nil, refuse(err, m.overlayHint(ctx, l, err))
	}
	var done []string
	l.entries, done = l.entries.over(cfg.InFile)
	l.dropped = append(l.dropped, done...)
	return cfg, nil
}

// overlayHint says what to do about a file that is refused because of what lies on it; "" if that is not why.
func (m *Manager) overlayHint(ctx context.Context, l *loading, err error) string {
	if hint := hintOf(err); hint != "" {
		return hint
	}
	const what = "reload with overlay=drop, or delete the entry: "
	for _, mistake := range mistakes(err) {
		for i := range l.entries {
			if mistake.File == l.entries[i].laid().Origin {
				return what + l.entries[i].String()
			}
		}
	}
	if len(l.entries) == 0 || interrupted(err) {
		return ""
	}
	if _, err := m.read(ctx, l.file, nil); err != nil {
		return ""
	}
	return "without the overlay the file is sound: " + what + l.entries.String()
}

// prepare brings cfg, which l means, to where it has only to be committed.
func (m *Manager) prepare(ctx context.Context, l *loading, cfg *configs.Config) (*change, error) {
	p, err := m.balancer.Prepare(ctx, &cfg.Balancer)
	if err != nil {
		return nil, refuse(err, "")
	}
	settings := fitting(l.settings, cfg.Balancer.Pools)
	unset := missing(m.settings, settings)
	for i := range unset {
		l.dropped = append(l.dropped, unset[i].String())
	}
	c := &change{
		prepared: p, settings: settings, unset: unset, origin: l.origin, about: l.about, load: true,
		to: &desired{source: l.source, entries: l.entries, tests: cfg.Tests, process: processOf(cfg)},
	}
	if c.to.source == nil {
		c.to.source = l.file.pack()
	}
	c.guard, c.bound = l.guard, l.bound
	if c.guard == 0 && automatic(l.origin) {
		c.guard = c.to.process.guard
	}
	c.result = m.resultOf(c, cfg.Warnings)
	c.result.Dropped = l.dropped
	c.result.NeedsRestart = c.to.process.needsRestart(&m.boot)
	return c, nil
}

// automatic reports whether nobody waits for the result of a reload.
func automatic(origin string) bool { return origin == OriginSignal || origin == OriginWatch }

// Check compares a text with what runs, as if it were the file. It changes nothing and logs nothing. For the errors
// see [Manager.Reload].
func (m *Manager) Check(ctx context.Context, req CheckRequest) (*Result, error) {
	if err := m.begin(ctx); err != nil {
		return nil, err
	}
	defer m.end()
	if req.Dir == "" {
		req.Dir = m.dir
	}
	return m.load(ctx, m.loadingOf(newFile(req.Name, req.Dir, req.Text), &ReloadRequest{DryRun: true, DropOverlay: req.DropOverlay}))
}

// DropOverlay goes back to the file as it was loaded, without what was changed at run time. For the errors see
// [Manager.Reload].
func (m *Manager) DropOverlay(ctx context.Context, opt ChangeOptions) (*Result, error) {
	if err := m.begin(ctx); err != nil {
		return nil, err
	}
	defer m.end()
	if err := m.mayEdit(&opt); err != nil {
		return nil, err
	}
	source := m.running.source
	l := m.loadingOf(source.unpack(), &ReloadRequest{Origin: opt.Origin, DryRun: opt.DryRun, DropOverlay: true})
	l.source, l.about = source, "overlay dropped"
	return m.load(ctx, l)
}

// resultOf is what c does, with what the text was warned of.
func (m *Manager) resultOf(c *change, warnings []*configs.Error) *Result {
	diff := c.prepared.Diff()
	options := c.to.process.options(&m.running.process)
	return &Result{
		Revision: m.history.current().Number, Changed: true, Diff: diff, Summary: summary(diff, options), Warnings: texts(warnings),
	}
}

// summary sums up in a line what the balancer and the process do differently.
func summary(diff *balancer.Diff, options []string) string {
	s := diff.String()
	for i, o := range options {
		switch {
		case i == 0 && diff.Empty():
			s = o
		case i == 0:
			s += "; " + o
		default:
			s += ", " + o
		}
	}
	if len(options) > 0 {
		s += " changed"
	}
	return s
}
