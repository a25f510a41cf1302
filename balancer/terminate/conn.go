package terminate

import (
	"crypto/tls"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/sys"
	"github.com/seed-23b4a313/switchyard/route"
)

// Job is a connection that is handed over.
type Job struct {
	FD        int        // the client's socket: non-blocking, watched by nobody. It is the Conn's from now on
	Read      []byte     // all that was read of it from the hello on. It is the Conn's from now on
	Name      route.Name // that chose the route
	Policy    *Policy    // of the route
	Dot       bool       // the name that the client sent ends with a dot, which crypto/tls refuses
	Challenge bool       // the hello offers certs.ChallengeProtocol and nothing else
	Client    netip.AddrPort
	Dest      netip.AddrPort // that the client connected to
	ID        [16]byte       // unique, of the log and of a PROXY header
	Base      time.Time      // at which the clock of the loop was 0
	Backends  Backends
	// Done is called once, by the Conn's goroutine when it holds nothing any more.
	Done func(End)
}

// Backends are those that a connection may go to, and whoever keeps count of them. The methods are called from the
// Conn's goroutine, one at a time.
type Backends interface {
	Config() *pool.Config
	// Pick reserves a slot on a backend that is not among those tried, or says why there is none. It may wait for one,
	// until stop is closed. The Conn owes a Release.
	Pick(tried []*pool.Backend, stop <-chan struct{}) (*pool.Backend, Failure)
	// Release gives the slot back.
	Release(b *pool.Backend)
	// Connected tells how long a connect took, in ns.
	Connected(b *pool.Backend, took int64)
	// Failed tells that an attempt has come to nothing. late says that it was cut short, and the backend not given the
	// time it may take; e is what the system said, or 0.
	Failed(b *pool.Backend, why Failure, e syscall.Errno, late bool)
	// Relaying tells that bytes are carried from now on.
	Relaying(b *pool.Backend)
}

// End is how a connection ended.
type End struct {
	Failure Failure
	Text    string // what there is to say beside the Failure; plain ASCII of bounded length
	At      int64  // on the loop's clock
	Panic   string // of a Defect
	Stack   string // likewise; without arguments, which could hold keys
}

// Stage is where a Conn stands.
type Stage uint32

// The stages of a Conn.
const (
	Handshaking Stage = iota
	Dialing           // connecting to a backend, and its TLS
	Relaying
)

// flow is what is told of one direction to whoever asks, from any goroutine.
type flow struct {
	bytes   atomic.Uint64 // carried, without TLS
	at      atomic.Int64  // when something last arrived or was taken, on the loop's clock
	sending atomic.Bool   // the sink has bytes to take
	over    atomic.Bool   // its end was carried
	failed  atomic.Bool   // the sink takes nothing any more
}

// Progress is how far a Conn has got.
type Progress struct {
	Up, Down               uint64 // bytes without TLS
	UpAt, DownAt           int64  // when each last got on; 0: not relaying yet
	UpBlocked, DownBlocked bool   // a sink has bytes to take
}

// Conn is one connection whose TLS ends here. Its goroutine owns both sockets. The exported methods may be called from
// any goroutine and do not wait.
type Conn struct {
	job        Job
	terminator *Terminator
	started    int64
	client     side
	backend    side
	up, down   flow

	stage    atomic.Uint32
	member   atomic.Pointer[pool.Backend] // the present backend, or the last one
	attempts atomic.Uint32
	dialTook atomic.Int64
	info     atomic.Pointer[Info]
	terms    atomic.Pointer[terms] // of the policy; nil before the handshake

	hello         *tls.ClientHelloInfo // for what is said of a failure; nil once the handshake has ended
	missing       error                // why there is no certificate; nil: there is one, or it was not looked for
	shown         string               // file of the certificate
	chosen        *tls.Certificate     // for what is said of a failure; nil: none was
	backendBroken atomic.Bool          // a send to the backend has failed

	stop chan struct{} // closed when the connection is to end
	mu   sync.Mutex    // guards what follows, and the deadlines of sockets
	over bool          // stop is closed
	end  End
	how  closing
	half *time.Timer
	// halfAt is when one side had ended, or a side was last seen to have bytes to take since.
	halfAt int64
}

// closing is how the sockets are closed.
type closing uint8

const (
	closeBoth    closing = iota // FIN to whoever has not had it
	resetClient                 // RST to the client
	resetBackend                // RST to the backend
	resetBoth
)

// longAgo is a deadline that wakes whoever waits.
var longAgo = time.Unix(1, 0)

// now is the time on the loop's clock.
func (c *Conn) now() int64 { return int64(time.Since(c.job.Base)) }

// finish says how the connection ends, if nobody has, and wakes whoever waits for a socket.
func (c *Conn) finish(f Failure, text string, how closing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.over, c.how = true, how
		c.end = End{Failure: f, Text: text, At: c.now()}
		close(c.stop)
	}
	for _, s := range []*socket{c.client.sock, c.backend.sock} {
		if s != nil {
			s.file.SetDeadline(longAgo) //nolint:errcheck // a socket that is closed is awake
		}
	}
}

// Stop ends the connection: with RST to both sides, or with FIN. Nothing is carried any more.
func (c *Conn) Stop(reset bool) {
	how := closeBoth
	if reset {
		how = resetBoth
	}
	c.finish(Stopped, "", how)
}

// deadline bounds all waiting on s; the zero time ends the bound. It does nothing once the connection is to end.
func (c *Conn) deadline(s *socket, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		s.file.SetDeadline(at) //nolint:errcheck // newSocket has tried it
	}
}

// attach makes s the socket of a side.
func (c *Conn) attach(to *side, s *socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.conn = c
	to.sock = s
	if c.over {
		s.file.SetDeadline(longAgo) //nolint:errcheck // newSocket has tried it
	}
}

// isOver reports whether the connection is to end.
func (c *Conn) isOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// Stage is where the connection stands.
func (c *Conn) Stage() Stage { return Stage(c.stage.Load()) }

// Backend is the backend that the connection has, or tries, or tried last; nil before the first.
func (c *Conn) Backend() *pool.Backend { return c.member.Load() }

// Attempts is how many backends were tried.
func (c *Conn) Attempts() int { return int(c.attempts.Load()) }

// DialTook is how long the last connect to a backend took in ns; 0: none has succeeded.
func (c *Conn) DialTook() int64 { return c.dialTook.Load() }

// Info is what the handshake has agreed upon; nil before it has ended.
func (c *Conn) Info() *Info { return c.info.Load() }

// PolicyID is the [Policy.ID] as it was when the handshake began.
func (c *Conn) PolicyID() string {
	if t := c.terms.Load(); t != nil {
		return t.id()
	}
	return c.job.Policy.ID()
}

// Progress is how far the connection has got.
func (c *Conn) Progress() Progress {
	return Progress{
		Up: c.up.bytes.Load(), Down: c.down.bytes.Load(), UpAt: c.up.at.Load(), DownAt: c.down.at.Load(),
		UpBlocked: c.up.sending.Load(), DownBlocked: c.down.sending.Load(),
	}
}

// WithSockets calls f with the descriptors, which are valid until it returns. It does nothing if one of them is closed.
func (c *Conn) WithSockets(f func(client, backend int)) {
	c.mu.Lock()
	client, backend := c.client.sock, c.backend.sock
	c.mu.Unlock()
	if client != nil && backend != nil {
		client.control(func(a int) { backend.control(func(b int) { f(a, b) }) })
	}
}

// ClientReset reports whether the client has reset. It takes the error off the socket: whoever hears of it ends the connection.
func (c *Conn) ClientReset() (is bool) {
	c.mu.Lock()
	client := c.client.sock
	c.mu.Unlock()
	if client != nil {
		client.control(func(fd int) { is = sys.TakeError(fd) != 0 })
	}
	return is
}

// run is the body of the connection's goroutine.
func (c *Conn) run() {
	defer c.terminator.running.Done()
	defer c.terminator.live.Add(-1)
	c.guard(c.live)
	c.finish(None, "", closeBoth)
	c.closeAll()
	c.job.Done(c.end)
}

// live leads the connection through its stages. What it returns without having called finish is an end in order.
func (c *Conn) live() {
	sock, err := newSocket(c.job.FD, c.job.Read)
	c.job.Read = nil
	if err != nil {
		c.finish(FDLimit, errnoText(err), resetClient)
		return
	}
	sock.local, sock.remote = c.job.Dest, c.job.Client
	c.attach(&c.client, sock)
	if f, text := c.handshake(); f != None {
		c.finish(f, text, closeBoth)
		return
	}
	if c.job.Challenge {
		return
	}
	c.stage.Store(uint32(Dialing))
	b, f, text := c.reach()
	if f != None {
		c.finish(f, text, closeBoth)
		return
	}
	defer c.job.Backends.Release(b)
	c.relay(b)
}

// guard runs f and keeps a panic of it to this connection.
func (c *Conn) guard(f func()) {
	defer func() {
		if r := recover(); r != nil {
			c.finish(Defect, "", resetBoth)
			c.mu.Lock()
			c.end.Panic, c.end.Stack = describe(r), stack()
			c.mu.Unlock()
		}
	}()
	f()
}

// closeAll closes both sockets as finish was told to.
func (c *Conn) closeAll() {
	if c.half != nil {
		c.half.Stop()
	}
	if s := c.backend.sock; s != nil {
		c.closeOne(s, c.how == resetBackend || c.how == resetBoth)
	}
	if s := c.client.sock; s != nil {
		c.closeOne(s, c.how == resetClient || c.how == resetBoth)
	}
}

// closeOne closes a socket. Where the connection was cut, its peer is told so by FIN without close_notify: the latter
// would vouch for an end in order (RFC 8446 §6.1).
func (c *Conn) closeOne(s *socket, reset bool) {
	switch {
	case reset:
		s.reset()
	case c.end.Failure == None:
		s.giveBack()
		s.Close()
	case c.end.Failure < ClientReset, c.end.Failure == BrokenTLS: // the client is to read why
		s.linger()
	default:
		s.goodbye()
	}
}

// unacknowledged is how many bytes given to s its peer has not acknowledged.
func unacknowledged(s *socket) (n int) {
	s.control(func(fd int) { n = sys.Unacknowledged(fd) })
	return n
}

// Ended is how the connection ends, once that is decided.
func (c *Conn) Ended() (end End, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end, c.over
}
