package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/control"
)

// Bounds on what one client of the admin server can hold. A request for a page is one line and a few headers, and its
// answer a few hundred kilobytes at the most, so all of them are generous. Verbs that carry a body or take their time
// have longer ones, see verb.
const (
	readTimeout    = 5 * time.Second  // for the whole request
	writeTimeout   = 30 * time.Second // from the end of the header to the end of the answer
	idleTimeout    = 75 * time.Second // between requests: longer than the usual scrape interval of a minute
	maxHeaderBytes = 8 << 10
	maxConnections = 64 // per listening socket
)

// Source is what is shown. [balancer.Server] is one. Both methods are called from many goroutines at once.
type Source interface {
	Stats() balancer.Stats
	Ready() bool
}

var _ Source = (*balancer.Server)(nil)

// Options are what a Server needs.
type Options struct {
	// Source may be nil while the balancer is not there yet; see SetSource.
	Source  Source
	Version string       // of this build, for build_info and the status page
	Log     *slog.Logger // nil: discard
}

// Server answers HTTP on any number of sockets. Its methods may be called from any goroutine.
type Server struct {
	state *state
	log   *slog.Logger
	tcp   http.Handler
	unix  http.Handler

	mu      sync.Mutex // guards what follows
	closed  bool
	addr    netip.AddrPort
	servers []*http.Server
	running sync.WaitGroup
}

// state is what handlers read.
type state struct {
	version string
	source  atomic.Pointer[Source] // nil while starting
	verbs   atomic.Pointer[api]    // nil while starting
}

// load returns the source, or nil while there is none.
func (s *state) load() Source {
	if p := s.source.Load(); p != nil {
		return *p
	}
	return nil
}

// api returns what verbs work on, or nil while there is none.
func (s *state) api() *api { return s.verbs.Load() }

// control returns the status of the control plane, or nil while there is none.
func (s *state) control() *control.Status {
	a := s.api()
	if a == nil {
		return nil
	}
	st := a.control.Status()
	return &st
}

// New returns a Server that listens nowhere yet. It must be closed.
func New(opt Options) *Server {
	s := &Server{state: &state{version: opt.Version}, log: opt.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.SetSource(opt.Source)
	s.tcp, s.unix = newHandlers(s.state, s.log)
	return s
}

// SetSource gives the Server what it shows. Until then /readyz answers "starting" and metrics are those of the process.
// A nil src changes nothing.
func (s *Server) SetSource(src Source) {
	if src != nil {
		s.state.source.Store(&src)
	}
}

// SetControl gives the unix sockets what the verbs of the API ask and tell, and shows b as SetSource does. Until then
// they are answered 503.
func (s *Server) SetControl(b Balancer, c Control) {
	s.state.verbs.Store(&api{balancer: b, control: c})
	s.SetSource(b)
}

// ListenTCP binds addr, which is "host:port", and serves there until Close.
func (s *Server) ListenTCP(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	if err := s.serve(newGate(l, nil, s.log), s.tcp); err != nil {
		l.Close()
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr = l.Addr().(*net.TCPAddr).AddrPort()
	return nil
}

// ListenUnix makes a socket at path, mode 0600, and serves there until Close, which removes it. Only root and the user
// of this process get an answer. A socket that is already there is replaced if nobody answers on it; a live one, or a
// file that is no socket, is an error.
func (s *Server) ListenUnix(path string) error {
	l, err := listenUnix(path)
	if err != nil {
		return fmt.Errorf("admin: socket %s: %w", path, err)
	}
	if err := s.serve(newGate(l, ownUser, s.log), s.unix); err != nil {
		l.Close()
		return err
	}
	return nil
}

// Addr is where the last ListenTCP is bound, with the real port where it was given 0; zero if there was none.
func (s *Server) Addr() netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Close stops listening, lets requests end that are under way, and removes the unix socket. When ctx is done first it
// hangs up on them. When it returns, nothing of the Server is left; a second call does nothing.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	servers := s.servers
	s.servers = nil
	s.mu.Unlock()

	var errs []error
	for _, srv := range servers {
		if err := srv.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("admin: %w", err), srv.Close())
		}
	}
	s.running.Wait()
	return errors.Join(errs...)
}

// serve answers on l, which is the Server's from then on if there is no error.
func (s *Server) serve(l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:                      h,
		ConnContext:                  withUser,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is as little allowed as any other
		// A panic in a handler, or no descriptor to accept with; clients cannot make net/http log without a defect of ours.
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelError),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("admin: server is closed")
	}
	s.servers = append(s.servers, srv)
	s.running.Go(func() { s.run(srv, l) })
	return nil
}

func (s *Server) run(srv *http.Server, l net.Listener) {
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("admin server stopped", "address", l.Addr().String(), "error", err)
	}
}
