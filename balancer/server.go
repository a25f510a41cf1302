package balancer

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/relay"
	"github.com/seed-23b4a313/switchyard/balancer/resolve"
	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// Options are what a Server needs besides its Config.
type Options struct {
	Log *slog.Logger // nil: discard
	// LogConnections writes one line when a connection ends.
	LogConnections bool
	// Loops is the number of event loops. Zero: one per GOMAXPROCS.
	Loops int
	// Lookup resolves named backends. Nil: as the operating system is configured.
	Lookup resolve.Lookup
}

// Server owns the loops, the listeners and the pools. Its methods may be called from any goroutine.
type Server struct {
	cfg            *Config
	log            *slog.Logger
	logConnections bool
	limits         Limits
	limit          int64 // limits.Connections
	started        time.Time
	nonce          [8]byte // first half of the connections' unique ids

	listeners []*listener
	workers   []*worker
	pipes     *relay.PipeBudget
	recorder  *recorder
	resolver  *resolve.Resolver
	stopNames []func()

	world    atomic.Pointer[world]
	active   atomic.Int64  // connections of all listeners
	shed     atomic.Uint64 // connections reset for want of descriptors
	panics   atomic.Uint64
	ready    atomic.Bool
	running  sync.WaitGroup // the loops' goroutines
	shutdown sync.Once
	closed   int // connections that Shutdown closed
}

// New binds all listeners and starts serving. An error names the listener and leaves nothing open.
func New(cfg *Config, opt Options) (*Server, error) {
	s := &Server{
		cfg: cfg, log: opt.Log, logConnections: opt.LogConnections,
		limits: deriveLimits(cfg, loopCount(opt.Loops)), started: time.Now(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.limit = s.limits.Connections
	s.pipes = relay.NewPipeBudget(s.limits.Pipes)
	rand.Read(s.nonce[:])
	w, err := newWorld(cfg)
	if err != nil {
		return nil, err
	}
	s.world.Store(w)
	for i := range cfg.Listeners {
		l := &listener{cfg: cfg.Listeners[i], index: i, max: int64(cfg.Listeners[i].MaxConnections)}
		s.listeners = append(s.listeners, l)
	}
	if err := s.open(loopCount(opt.Loops)); err != nil {
		s.abandon()
		return nil, err
	}
	s.start(opt.Lookup)
	return s, nil
}

// open makes the workers and their sockets.
func (s *Server) open(loops int) error {
	for i := range loops {
		w, err := newWorker(s, i)
		if err != nil {
			return err
		}
		s.workers = append(s.workers, w)
	}
	for _, l := range s.listeners {
		if err := l.bind(s.workers); err != nil {
			return err
		}
	}
	for _, w := range s.workers {
		if err := w.listen(); err != nil {
			return err
		}
	}
	return nil
}

// loopCount is the number of loops: as asked for, or one per core.
func loopCount(asked int) int {
	if asked > 0 {
		return asked
	}
	return runtime.GOMAXPROCS(0)
}

// abandon undoes open.
func (s *Server) abandon() {
	for _, w := range s.workers {
		w.closeSockets()
		w.loop.Close()
		w.bench.Close()
	}
}

// start sets everything going that open has made.
func (s *Server) start(lookup resolve.Lookup) {
	s.recorder = newRecorder(s.log, s.nonce, s.workers)
	go s.recorder.run()
	if lookup == nil {
		lookup = resolve.System()
	}
	s.resolver = resolve.New(lookup, s.log)
	s.watchNames(s.world.Load())
	s.running.Add(len(s.workers))
	for _, w := range s.workers {
		go w.run()
	}
	s.ready.Store(true)
}

// Addrs are the addresses a listener is bound to, with the real ports where the config says 0; nil for a name
// that no listener has.
func (s *Server) Addrs(name string) []netip.AddrPort {
	for _, l := range s.listeners {
		if l.cfg.Name == name {
			return l.addrs
		}
	}
	return nil
}

// Limits is how many connections the server holds at the most, and why.
func (s *Server) Limits() Limits { return s.limits }

// Ready reports whether the server takes new connections and means to go on doing so.
func (s *Server) Ready() bool { return s.ready.Load() }

// Shutdown stops gracefully as Config.Drain says: Ready turns false, then listeners close (what waits in their
// queues is served), then connections end by themselves until Drain.Max; what is left is closed with FIN. A done
// ctx cuts all waiting short. When it returns, nothing of the server is left. It returns how many connections
// were closed before their end; a second call waits for the first and returns the same.
func (s *Server) Shutdown(ctx context.Context) int {
	s.shutdown.Do(func() {
		s.ready.Store(false)
		sleep(ctx, s.cfg.Drain.Announce)
		for _, w := range s.workers {
			w.loop.Post(w.stopAccepting)
		}
		s.awaitIdle(ctx)
		s.endLoops()
		for _, stop := range s.stopNames {
			stop()
		}
		s.resolver.Close()
		s.recorder.stop()
	})
	return s.closed
}

// awaitIdle waits until no connection is left, the drain time is over, or ctx is done.
func (s *Server) awaitIdle(ctx context.Context) {
	if d := s.cfg.Drain.Max; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	for _, w := range s.workers {
		select {
		case <-w.idle:
		case <-ctx.Done():
			return
		}
	}
}

// endLoops closes what is left and ends the loops.
func (s *Server) endLoops() {
	var closed atomic.Int64
	for _, w := range s.workers {
		w.loop.Post(func() {
			defer w.loop.End() // whatever happens: Shutdown waits for it
			closed.Add(int64(w.closeAll()))
		})
	}
	s.running.Wait()
	s.closed = int(closed.Load())
}

// closeAll ends every session of w with FIN and returns how many had not come to their end.
func (w *worker) closeAll() int {
	n := 0
	for i := range w.slabs {
		for j := range w.slabs[i] {
			if w.cutShort(&w.slabs[i][j]) {
				n++
			}
		}
	}
	return n
}

// cutShort ends s, and reports whether it had not come to its end. A panic over one session leaves the others to be
// closed.
func (w *worker) cutShort(s *session) (cut bool) {
	defer func() {
		if r := recover(); r != nil {
			w.Panicked(r)
		}
	}()
	w.current = s
	switch s.stage {
	case stageFree:
	case stageClosing:
		w.close(s)
	default:
		cut = true
		w.sayGoodbye(int(s.clientFD))
		w.sayGoodbye(int(s.backendFD))
		w.finish(s, CauseDraining, closeBoth)
	}
	w.current = nil
	return cut
}

// sayGoodbye sends FIN and reads what has come meanwhile: unread bytes would make close send RST instead.
func (w *worker) sayGoodbye(fd int) {
	if fd < 0 || sys.CloseWrite(fd) != 0 {
		return
	}
	for range 8 {
		if n, e := sys.Recv(fd, w.bench.Buf); e != 0 || n < len(w.bench.Buf) {
			return
		}
	}
}

// uniqueID is the id of connection n that the log line and a PROXY v2 header share: the server's nonce, which keeps
// two servers' ids apart, and n.
func uniqueID(nonce [8]byte, n uint64) (id [16]byte) {
	copy(id[:], nonce[:])
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}

// Stats copies all counters.
func (s *Server) Stats() Stats {
	st := Stats{
		Connections: s.active.Load(), Limit: s.limit, Panics: s.panics.Load(), Started: s.started,
	}
	for _, w := range s.workers {
		st.LogDropped += w.records.dropped.Load()
	}
	for _, l := range s.listeners {
		st.Listeners = append(st.Listeners, s.listenerStats(l))
	}
	for _, p := range s.world.Load().order {
		st.Pools = append(st.Pools, p.stats())
	}
	return st
}

// listenerStats adds up what the workers have counted for l.
func (s *Server) listenerStats(l *listener) ListenerStats {
	ls := ListenerStats{Name: l.cfg.Name, Active: l.active.Load()}
	for _, w := range s.workers {
		c := &w.counters[l.index]
		ls.Accepted += c.accepted.Load()
		for cause := range c.closed {
			ls.Closed[cause] += c.closed[cause].Load()
		}
		c.hello.addTo(&ls.Hello)
	}
	return ls
}

func (p *livePool) stats() PoolStats {
	ps := PoolStats{Name: p.Name(), Active: p.Active()}
	p.dial.addTo(&ps.Dial)
	for _, b := range p.Backends() {
		bs := BackendStats{
			Address: b.Name, Active: b.Active.Load(), Total: b.Total.Load(), Failures: b.Failures.Load(),
			BytesIn: b.BytesIn.Load(), BytesOut: b.BytesOut.Load(), Up: b.State().Usable(),
		}
		ps.Backends = append(ps.Backends, bs)
	}
	return ps
}

// sleep waits for d or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
