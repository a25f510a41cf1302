package balancer

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/relay"
	"github.com/seed-23b4a313/switchyard/balancer/resolve"
	"github.com/seed-23b4a313/switchyard/balancer/sys"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/route"
)

// Options are what a Server needs besides its Config.
type Options struct {
	Log *slog.Logger // nil: discard
	// LogLost is how many lines of Log could not be written, for Stats. It may be called at any time; nil: none.
	LogLost func() uint64
	// LogConnections writes one line when a connection ends.
	LogConnections bool
	// Loops is the number of event loops. Zero: one per GOMAXPROCS.
	Loops int
	// Handshakes is how many TLS handshakes are computed at one time, of hosts whose TLS ends here. Zero: a number that
	// leaves connections that pass through alone.
	Handshakes int
	// Lookup resolves named backends. Nil: as the operating system is configured.
	Lookup resolve.Lookup
	// LookupService resolves the SRV records of services. Nil: as the operating system is configured.
	LookupService resolve.LookupService
}

// Server owns the loops, the listeners and the pools. Its methods may be called from any goroutine.
type Server struct {
	log     *slog.Logger
	logLost func() uint64 // nil: none
	started time.Time
	nonce   [8]byte // first half of the connections' unique ids

	workers  []*worker
	pipes    *relay.PipeBudget
	recorder *recorder
	keeper   *keeper
	// terminator runs the connections whose TLS ends here.
	terminator *terminate.Terminator
	certKeeper *certs.Keeper
	kept       atomic.Pointer[kept]       // what certKeeper has; never nil
	ordering   atomic.Pointer[[]ordering] // of these, those of routes with ACME
	resolver   *resolve.Resolver
	hosts      hosts

	lookupService resolve.LookupService

	// change is taken by whoever prepares a change, until it is made or given up; what follows is the holder's.
	change   chan struct{}
	table    *route.Table
	left     map[string]*livePool // pools that are no more, as long as they have connections
	settings []Setting            // what the operator has said of backends
	followed map[owner]following  // of what is in force

	world          atomic.Pointer[world]
	limits         atomic.Pointer[Limits]
	limit          atomic.Int64 // limits.Connections
	logConnections atomic.Bool
	active         atomic.Int64  // connections of all listeners
	shed           atomic.Uint64 // connections reset for want of descriptors
	spares         spares
	panics         atomic.Uint64
	ready          atomic.Bool
	stopping       atomic.Bool
	running        sync.WaitGroup // the loops' goroutines
	shutdown       sync.Once
	closed         int // connections that Shutdown closed
}

// New binds all listeners and starts serving. An error names the listener and leaves nothing open.
func New(cfg *Config, opt Options) (*Server, error) {
	s := &Server{
		log: opt.Log, logLost: opt.LogLost, started: time.Now(), hosts: hosts{byName: map[string]*host{}},
		change: make(chan struct{}, 1), left: map[string]*livePool{}, settings: slices.Clone(cfg.Settings),
		followed: map[owner]following{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.kept.Store(&kept{})
	s.logConnections.Store(opt.LogConnections)
	limits := deriveLimits(cfg, loopCount(opt.Loops))
	s.limits.Store(&limits)
	s.limit.Store(limits.Connections)
	s.pipes = relay.NewPipeBudget(limits.Pipes)
	s.pipes.Lent = s.spares.missed
	s.terminator = terminate.New(terminate.Options{Turns: opt.Handshakes, Connections: limits.Terminated, Log: s.log, Lent: s.spares.missed})
	rand.Read(s.nonce[:])
	if err := s.open(loopCount(opt.Loops)); err != nil {
		return nil, err
	}
	if s.lookupService = opt.LookupService; s.lookupService == nil {
		s.lookupService = resolve.SystemService()
	}
	s.start(opt.Lookup)
	if err := s.serve(cfg); err != nil {
		s.end()
		return nil, err
	}
	s.ready.Store(true)
	return s, nil
}

// open makes the workers, and a world with nothing in it.
func (s *Server) open(loops int) (err error) {
	if s.table, err = route.NewTable(&route.Set{}); err != nil {
		return err
	}
	s.world.Store(&world{routes: s.table.Snapshot(), pools: map[string]*livePool{}})
	for i := range loops {
		w, err := newWorker(s, i)
		if err != nil {
			s.abandon()
			return err
		}
		s.workers = append(s.workers, w)
	}
	return nil
}

// abandon undoes open.
func (s *Server) abandon() {
	for _, w := range s.workers {
		w.loop.Close()
		w.bench.Close()
	}
}

// start sets everything going that open has made.
func (s *Server) start(lookup resolve.Lookup) {
	s.recorder = newRecorder(s.log, s.nonce, s.workers)
	go s.recorder.run()
	s.certKeeper = certs.NewKeeper(s.log)
	if lookup == nil {
		lookup = resolve.System()
	}
	s.resolver = resolve.New(lookup, s.log)
	s.keeper = newKeeper(s)
	go s.keeper.run()
	s.running.Add(len(s.workers))
	for _, w := range s.workers {
		go w.run()
	}
}

// serve makes the first change: from nothing to cfg. It does not wait for names: a server that is not there serves
// nobody.
func (s *Server) serve(cfg *Config) error {
	soon, cancel := context.WithCancel(context.Background())
	cancel()
	p, err := s.prepare(context.Background(), s.contentOf(cfg), soon)
	if err != nil {
		return err
	}
	return p.Commit()
}

// loopCount is the number of loops: as asked for, or one per core.
func loopCount(asked int) int {
	if asked > 0 {
		return asked
	}
	return runtime.GOMAXPROCS(0)
}

// Addrs are the addresses a listener is bound to, with the real ports where the config says 0; nil for a name
// that no listener has.
func (s *Server) Addrs(name string) []netip.AddrPort {
	for _, l := range s.world.Load().listeners {
		if l.name() == name {
			return l.addrs()
		}
	}
	return nil
}

// Limits is how many connections the server holds at the most, and why.
func (s *Server) Limits() Limits { return *s.limits.Load() }

// Ready reports whether the server takes new connections and means to go on doing so.
func (s *Server) Ready() bool { return s.ready.Load() }

// Shutdown stops gracefully as Config.Drain says: Ready turns false, then listeners close (what waits in their
// queues is served), then connections end by themselves until Drain.Max; what is left is closed with FIN. A done
// ctx cuts all waiting short. When it returns, nothing of the server is left. It returns how many connections
// were closed before their end; a second call waits for the first and returns the same.
func (s *Server) Shutdown(ctx context.Context) int {
	s.shutdown.Do(func() {
		s.ready.Store(false)
		drain := s.world.Load().drain
		sleep(ctx, drain.Announce)
		s.stopping.Store(true)
		for _, w := range s.workers {
			w.loop.Post(w.stopAccepting)
		}
		s.awaitIdle(ctx, drain.Max)
		s.end()
	})
	return s.closed
}

// end closes what is left, and ends all that start has set going.
func (s *Server) end() {
	s.stopping.Store(true)
	s.endLoops()
	s.terminator.Wait() // the loops have told all of them to stop
	s.certKeeper.Close()
	s.resolver.Close()
	s.keeper.stop()
	s.recorder.stop()
}

// awaitIdle waits until no connection is left, the drain time (0: no limit) is over, or ctx is done.
func (s *Server) awaitIdle(ctx context.Context, longest time.Duration) {
	if longest > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, longest)
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
			w.closeSockets()
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
			if w.cutShort(&w.slabs[i][j], CauseDraining) {
				n++
			}
		}
	}
	return n
}

// cutShort ends s with FIN to both sides, and reports whether it had not come to its end. A panic over one session leaves
// the others to be closed.
func (w *worker) cutShort(s *session, cause Cause) (cut bool) {
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
		w.finish(s, cause, closeBoth)
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
