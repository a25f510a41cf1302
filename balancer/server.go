package balancer

import (
	"context"
	"log/slog"
	"net/netip"
)

// Options are what a Server needs besides its Config.
type Options struct {
	Log *slog.Logger // nil: discard
	// LogConnections writes one line when a connection ends.
	LogConnections bool
	Loops          int // 0: one per GOMAXPROCS
}

// Server owns the loops, the listeners and the pools.
type Server struct{}

// New binds all listeners and starts serving. An error names the listener and leaves nothing open.
func New(cfg *Config, opt Options) (*Server, error) { panic("stub") }

// Addrs are the addresses a listener is bound to, with the real ports where the config says 0.
func (s *Server) Addrs(listener string) []netip.AddrPort { panic("stub") }

// Ready reports whether the server takes new connections and means to go on doing so.
func (s *Server) Ready() bool { panic("stub") }

// Stats copies all counters.
func (s *Server) Stats() Stats { panic("stub") }

// Shutdown stops gracefully as Config.Drain says: Ready turns false, then listeners close, then connections end by
// themselves until Drain.Max; what is left is closed with FIN. A done ctx cuts all waiting short.
// When it returns nothing of the server is left. It returns how many connections were closed before their end.
func (s *Server) Shutdown(ctx context.Context) int { panic("stub") }
