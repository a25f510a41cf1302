package balancer

import (
	"net/netip"
	"sync/atomic"
	"syscall"

	"github.com/seed-23b4a313/switchyard/balancer/terminate"
)

// connRecord is what one log line says of one connection.
type connRecord struct {
	at       int64 // loop time of the end
	id       uint64
	listener string
	client   netip.AddrPort
	sni      string
	route    string
	pool     string
	backend  string
	cause    Cause
	errno    syscall.Errno
	text     string // what there is to say beside the cause, where there is no errno
	attempts uint8
	tls      *terminate.Info // of a handshake of ours; nil: there was none
	policy   string          // that it was, or was to be, made by

	helloTook, dialTook, took int64 // ns; 0: did not happen
	bytesIn, bytesOut         uint64
}

// record is the log line of a session that ends now.
func (w *worker) record(s *session, cause Cause) connRecord {
	r := connRecord{
		at: w.loop.Now(), id: s.id, listener: s.listener.name(), client: s.client, sni: s.name.String(),
		cause: cause, attempts: s.attempts, errno: s.lastErrno,
		helloTook: s.helloTook, dialTook: s.dialTook, took: w.loop.Now() - s.started,
	}
	if s.route != nil {
		r.route = s.route.Name
	}
	if s.pool != nil {
		r.pool = s.pool.Name()
	}
	if s.setup != nil {
		r.text = s.setup.wrong
	}
	if s.conn != nil {
		r.terminated(s.conn)
	}
	if b := s.backendNow(); b != nil {
		r.backend = b.Name
	} else if st := s.setup; st != nil && len(st.tried) > 0 {
		r.backend = st.tried[len(st.tried)-1].Name
	}
	r.bytesIn, r.bytesOut = s.carried()
	return r
}

// terminated fills in what is told of a connection whose TLS ends here.
func (r *connRecord) terminated(c *terminate.Conn) {
	r.policy, r.tls = c.PolicyID(), c.Info()
	r.attempts, r.dialTook = uint8(min(c.Attempts(), 255)), c.DialTook()
	if end, ok := c.Ended(); ok {
		r.text = end.Text
		r.took -= r.at - end.At // it may have taken the client a moment to read why
		r.at = end.At
	}
}

// recordRing hands records from a loop to the logger without a lock: the loop alone moves tail, the logger alone
// moves head. A logger that does not keep up loses lines, which are counted; it never slows traffic down.
type recordRing struct {
	head    atomic.Uint64
	tail    atomic.Uint64
	dropped atomic.Uint64
	slots   []connRecord
	wake    chan<- struct{}
	asleep  *atomic.Bool
}

// ringSize is how many lines may wait: at 20 000 connections a second a quarter of a second.
const ringSize = 4096

func (q *recordRing) init(wake chan<- struct{}, asleep *atomic.Bool) { q.wake, q.asleep = wake, asleep }

func (q *recordRing) put(r connRecord) {
	if q.slots == nil { // the first line
		q.slots = make([]connRecord, ringSize)
	}
	tail := q.tail.Load()
	if tail-q.head.Load() == ringSize {
		q.dropped.Add(1)
		return
	}
	q.slots[tail%ringSize] = r
	q.tail.Store(tail + 1)
	if q.asleep.Load() && q.asleep.CompareAndSwap(true, false) {
		select {
		case q.wake <- struct{}{}:
		default: // it is told already, and was busy with something else since
		}
	}
}

// take empties the ring into f and reports whether there was anything.
func (q *recordRing) take(f func(*connRecord)) bool {
	head, tail := q.head.Load(), q.tail.Load()
	for i := head; i != tail; i++ {
		f(&q.slots[i%ringSize])
		q.slots[i%ringSize] = connRecord{} // lets go of the strings
		q.head.Store(i + 1)
	}
	return head != tail
}
