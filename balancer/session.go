package balancer

import (
	"net/netip"
	"syscall"

	"github.com/seed-23b4a313/switchyard/balancer/loop"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/proxyheader"
	"github.com/seed-23b4a313/switchyard/balancer/relay"
	"github.com/seed-23b4a313/switchyard/balancer/sys"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/peek"
	"github.com/seed-23b4a313/switchyard/route"
)

// stage is where a session stands.
type stage uint8

const (
	stageFree        stage = iota // the slot is unused
	stageHello                    // waiting for the PROXY header and the hello
	stageQueued                   // waiting for a slot of a pool that is full
	stageDialing                  // connecting to a backend
	stageAnswering                // the hello is sent, the backend's first byte is not here
	stageRelaying                 // bytes go both ways, unseen
	stageTerminating              // TLS ends here: a goroutine has both descriptors
	stageClosing                  // refused: waiting for the client to have read why
)

// session is one client connection, from accept to its end. It lives in a slot of its worker and belongs to the
// worker's loop; no other goroutine touches it. While it is quiet it is all the memory the connection costs: see
// TestSessionSize.
type session struct {
	timer loop.Timer
	up    relay.Flow // client to backend
	down  relay.Flow // backend to client

	slot      uint32
	gen       uint32 // of the slot; an event with another generation is for an earlier session
	clientFD  int32
	backendFD int32 // -1: none
	stage     stage
	queued    bool // Later was called and Again has not come yet
	watchful  bool // keepalive is armed towards the backend
	watched   bool // the loop knows the backend's socket
	clientOut bool // the loop tells when the client's socket takes bytes
	// backendOut is the same for the backend's.
	backendOut bool
	prompt     bool // TCP_NODELAY is set towards the backend
	judged     bool // what the backend has shown was told to the pool, see judge
	tls13      bool // the backend has chosen TLS 1.3
	attempts   uint8
	begun      uint32 // client bytes when relaying began: its hello, and what came with it
	flight     uint32 // backend bytes when the client first said something after its hello; 0: it has not
	lastErrno  syscall.Errno

	listener *listener
	setup    *setup          // until relaying or terminating; and while a terminated one is queued
	conn     *terminate.Conn // while terminating
	pool     *livePool
	backend  *pool.Backend // holds a slot of its backend
	route    *route.Route
	name     route.Name
	client   netip.AddrPort // from the PROXY header if there was one

	id        uint64
	started   int64 // loop time in ns, as are the following
	wake      int64 // when the timer is due; 0: not set
	upAt      int64 // last progress up
	downAt    int64 // last progress down
	halfAt    int64 // when the first of the flows finished, or a side was last seen to have bytes to take since; 0: none has
	helloTook int64 // ns from accept to complete hello; 0: it never came
	dialTook  int64 // ns from dial to connected; 0: never
	answerBy  int64 // relaying early data: when the backend must have answered; 0: it has
	leaveBy   int64 // when its backend left the pool: the end of the drain time; 0: it has not
	counted   counted
	upSink    sinkWatch // the backend, which takes what goes up
	downSink  sinkWatch // the client
}

// counted is how much of a session's bytes the backend's counters have already.
type counted struct{ up, down uint64 }

// setup is what a session needs until a backend has answered; it goes back to the worker then.
type setup struct {
	parser peek.Parser
	hello  peek.Hello
	info   proxyheader.Info
	query  route.Query

	header   bool   // a PROXY header may come, or must
	hurried  bool   // what came was acknowledged at once: it was incomplete
	buf      []byte // borrowed: everything received
	at       int    // the hello begins at buf[at]
	wrong    string // with the hello, one of a few fixed texts; "": nothing
	out      []byte // what a backend is sent: PROXY header, hello, what followed it
	outOwn   []byte // borrowed for out where a PROXY header is prepended
	sent     int    // of out, to the present backend
	dialed   int64  // when the present attempt began, or the waiting for a slot
	giveUp   int64  // when the last attempt ends, whichever it is; 0: no bound but the attempts' own
	tried    []*pool.Backend
	suspects []suspect         // of those, the ones whose refusal may be the hello's fault
	lane     *lane             // while it is queued, as the following
	ahead    *session          // who came before it for the same route
	behind   *session          // who came after it
	slot     chan<- slot       // of a terminated connection that is queued: where it waits, with room for one
	answer   [alertRecord]byte // the first bytes back while they may be an alert
	held     int               // bytes in answer
}

// alertRecord is the size of a TLS alert in the clear: record header, level, description (RFC 8446 §6).
const alertRecord = 7

// release gives back what the setup borrowed and clears it for its next user.
func (st *setup) release(b *relay.Buffers) {
	if st.buf != nil {
		b.Put(st.buf)
	}
	if st.outOwn != nil {
		b.Put(st.outOwn)
	}
	clear(st.tried)
	clear(st.suspects)
	*st = setup{tried: st.tried[:0], suspects: st.suspects[:0]}
}

// Kinds of tokens, in their two lowest bits.
const (
	kindClient = iota
	kindBackend
	kindSocket
)

// A token identifies a descriptor of a session to the loop: kind (2 bits), slot (28), attempt (4), generation (30).
// The attempt keeps events of a backend's socket that was given up from reaching the next one's.
const (
	slotShift    = 2
	attemptShift = 30
	genShift     = 34

	slotMask    = 1<<28 - 1
	attemptMask = 1<<4 - 1
	genMask     = 1<<29 - 1 // one bit less than there is room for: no token is one of the loop's own
)

// clientToken is the token of the client's socket, of the timer and of turns put off.
func (s *session) clientToken() uint64 {
	return uint64(s.gen)<<genShift | uint64(s.slot)<<slotShift // and kindClient, which is 0
}

// backendToken is the token of the present backend's socket.
func (s *session) backendToken() uint64 {
	return uint64(s.gen)<<genShift | uint64(s.attempts&attemptMask)<<attemptShift | uint64(s.slot)<<slotShift | kindBackend
}

// closeHow says how finish closes the two sides.
type closeHow uint8

const (
	closeBoth    closeHow = iota // FIN to whoever has not had it
	resetBoth                    // RST to both
	resetClient                  // the backend is gone: RST to the client
	resetBackend                 // the client is gone: RST to the backend
)

// closeFDs closes both descriptors of s.
func (s *session) closeFDs(how closeHow) {
	if fd := int(s.clientFD); fd >= 0 {
		if how == resetBoth || how == resetClient {
			sys.Reset(fd)
		} else {
			sys.Close(fd)
		}
	}
	s.clientFD = -1
	s.closeBackend(how == resetBoth || how == resetBackend)
	if s.conn != nil {
		s.conn.Stop(how != closeBoth)
		s.conn = nil
	}
}

// closeBackend closes the descriptor towards the backend, if there is one.
func (s *session) closeBackend(reset bool) {
	if s.backendFD < 0 {
		return
	}
	if reset {
		sys.Reset(int(s.backendFD))
	} else {
		sys.Close(int(s.backendFD))
	}
	s.backendFD = -1
}
