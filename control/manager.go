package control

import (
	"context"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/configs"
	"github.com/seed-23b4a313/switchyard/route"
)

// Balancer is what a Manager drives. [balancer.Server] is one.
type Balancer interface {
	State() *balancer.State
	Prepare(context.Context, *balancer.Config) (*balancer.Prepared, error)
	PrepareEdit(context.Context, *balancer.Edit) (*balancer.Prepared, error)
	PrepareState(context.Context, *balancer.State) (*balancer.Prepared, error)
	Set(balancer.Setting) (matched int, err error)
	Routes() *route.Snapshot
	Pools() []pool.Config
	Listeners() []balancer.ListenerConfig
	Stats() balancer.Stats
	LogConnections(on bool)
}

var _ Balancer = (*balancer.Server)(nil)

// Options are what a Manager needs.
type Options struct {
	Path string       // of the file; messages name it as it is written here
	Log  *slog.Logger // nil: discard
	// NewLog makes the log once the file has said how it is wanted, in place of Log. Nil: Log.
	NewLog func(*configs.Log) *slog.Logger
	// Level follows log.level of the file. Nil: nothing follows it.
	Level *slog.LevelVar
	Now   func() time.Time // nil: time.Now
	// TryAgain is called when somebody, and not the watcher, has asked for a reload that changes nothing: whoever has mended what
	// a file does not show wants it tried. It says what it has done, "" for nothing. Nil: nothing.
	TryAgain func() string
}

// Manager owns the desired state: what is served, how it came about, and what it was before. Its methods may be called
// from any goroutine; changes are made one after the other, and a change that waits for its turn gives up when its
// context is done.
type Manager struct {
	path     string // as in Options
	dir      string // absolute: what relative paths of the file are relative to
	level    *slog.LevelVar
	log      *slog.Logger
	now      func() time.Time
	tryAgain func() string // as Options.TryAgain
	boot     process       // as the process was started
	// parseFile is configs.ParseNoting; tests have others.
	parseFile func(p *configs.Progress, name string, data []byte, dir string, entries []configs.Entry) (*configs.Config, error)
	apart     apart

	shown view // for readers

	ctx       context.Context // done: no more changes
	stop      context.CancelFunc
	jobs      sync.WaitGroup // the goroutines of the Manager
	sampler   *sampler
	relief    relief
	pace      pace          // of the watcher
	hung      hung          // of the watcher
	lookAgain chan struct{} // holds one when the watcher is to look at a file that it has left to others

	turn chan struct{} // holds one token while nobody changes anything
	// What follows belongs to whoever holds the turn.
	first    *configs.Config // what the file and the state file said at the start; nil after Start
	balancer Balancer        // nil before Start
	running  *desired
	settings []setting // of backends
	history  history
	guard    *guard   // that watches; nil if none does
	deferred string   // the origin of a reload that waits for the guard; "" if none does
	saved    stored   // what the state file has
	calm     calm     // loads of large files
	warned   []string // warnings about the file that runs
}

// Load reads the file, and the state file if it names one, and checks both. Mistakes in the file are [configs.Errors];
// any other error says why it could not be read. What is wrong with the state file is logged, and what of it still fits
// the file is kept. The Manager has to be closed, and changes nothing before [Manager.Start].
func Load(opt Options) (*Manager, error) {
	m, err := newManager(&opt)
	if err != nil {
		return nil, err
	}
	f, err := readFile(m.path, m.dir)
	if err != nil {
		return nil, err
	}
	cfg, err := configs.Parse(f.name, f.data, f.dir)
	if err != nil {
		return nil, err
	}
	if opt.NewLog != nil {
		m.log = opt.NewLog(&cfg.Log)
	}
	m.boot = processOf(cfg)
	m.setLevel(cfg.Log.Level)
	m.warned = texts(cfg.Warnings)
	m.restore(f, cfg)
	m.shown.change(func(s *snapshot) { s.onDisk, s.handled = f.digest, f.digest })
	return m, nil
}

func newManager(opt *Options) (*Manager, error) {
	dir, err := filepath.Abs(filepath.Dir(opt.Path))
	if err != nil {
		return nil, err
	}
	m := &Manager{path: opt.Path, dir: dir, level: opt.Level, log: opt.Log, now: opt.Now, tryAgain: opt.TryAgain,
		turn: make(chan struct{}, 1), lookAgain: make(chan struct{}, 1), parseFile: configs.ParseNoting,
		apart:   apart{patience: patience, stopPatience: stopPatience},
		sampler: &sampler{}, relief: relief{free: debug.FreeOSMemory}, pace: usualPace}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.now == nil {
		m.now = time.Now
	}
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.turn <- struct{}{}
	m.shown.init(m.path)
	return m, nil
}

// Config is what the balancer is to be started with: the file, with what the state file keeps on top. It is nil after
// Start: the routes are in the balancer's table then, and nowhere else.
func (m *Manager) Config() *configs.Config {
	<-m.turn
	defer m.end()
	return m.first
}

// Start takes b, which serves Config, under control: from now on changes are made, and the file is watched.
func (m *Manager) Start(b Balancer) {
	<-m.turn
	defer m.end()
	if m.balancer != nil || m.ctx.Err() != nil {
		return
	}
	m.balancer, m.first = b, nil
	if m.sampler.stats == nil { // tests have theirs
		m.sampler.stats = b.Stats
	}
	m.history.add(m.revision("start", "started"), m.running)
	if err := m.save(m.running, m.settings, m.history.last); err != nil {
		m.log.Error("runtime changes will be refused until the state file can be written", "error", err)
	}
	m.publish()
	m.jobs.Go(func() { m.sampler.run(m.ctx) })
	m.jobs.Go(func() { m.watch(m.ctx) })
}

// Close ends watching and guarding, and answers every later change with [ErrStopping]. When it returns, a change that
// was being made is made, and no goroutine of the Manager is left, but for those that wait for a file system which does
// not answer. What runs is not touched.
func (m *Manager) Close() {
	m.stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-m.turn
		m.endGuard()
		m.end()
		m.jobs.Wait()
		m.relief.close()
	}()
	due := time.NewTimer(m.apart.stopPatience)
	defer due.Stop()
	select {
	case <-done:
	case <-due.C:
		m.log.Error("a file system does not answer: what waits for it is left alone", "config", m.path)
	}
}

// begin waits for the turn to change something. Without an error the caller has to end it.
func (m *Manager) begin(ctx context.Context) error {
	select {
	case <-m.turn:
	case <-ctx.Done():
		return ctx.Err()
	case <-m.ctx.Done():
		return ErrStopping
	}
	err := ctx.Err()
	switch {
	case m.ctx.Err() != nil:
		err = ErrStopping
	case m.balancer == nil:
		err = ErrStarting
	}
	if err != nil {
		m.end()
	}
	return err
}

// end lets the next one have its turn.
func (m *Manager) end() { m.turn <- struct{}{} }

func (m *Manager) setLevel(l slog.Level) {
	if m.level != nil {
		m.level.Set(l)
	}
}
