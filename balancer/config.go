package balancer

import (
	"net/netip"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/route"
)

// Config is everything a Server serves, already checked. It is never changed once given to a Server.
type Config struct {
	Listeners []ListenerConfig // in file order
	Routes    []route.Route    // in file order
	Pools     []pool.Config    // in file order
	// MaxConnections bounds the connections of all listeners together. Zero: derived from the descriptor and
	// memory limits of the process.
	MaxConnections int
	Drain          Drain
	HandshakeEvery time.Duration // between the beginnings of two handshakes where TLS ends here, on average; 0: no bound
	Handshakes     HandshakeRate // of one source, likewise
	Settings       []Setting     // of earlier, to begin with; later ones come by Server.Set
}

// Drain is how a stop goes: not ready for Announce, then no new connections, then at most Max for those that live.
type Drain struct {
	Announce time.Duration
	Max      time.Duration // 0: wait without limit
}

// ListenerConfig describes one listener.
type ListenerConfig struct {
	Name           string
	Bind           []netip.AddrPort // an AddrPort with the zero Addr means both families
	HelloTimeout   time.Duration    // > 0; from accept to a complete ClientHello, PROXY header included
	HelloMaxSize   int              // bytes, > 0
	MaxConnections int              // 0: no limit of its own
	ProxyFrom      []netip.Prefix   // peers whose connections start with a PROXY header
	ProxyOptional  bool             // listed peers may also start with TLS directly
	NoSNI          route.Action
	UnknownSNI     route.Action
	NotTLS         route.Reject // RejectClose or RejectReset
}

// Setting is what an operator has said of one backend. It outlives every change of the configuration. Address is
// "10.0.0.7:443", or a backend as the file writes it, "db.example.net:443", for all the addresses of the name.
type Setting struct {
	Pool    string
	Address string
	State   pool.Override
	Weight  *int // nil: the file's
}
