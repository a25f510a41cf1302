package balancer

import (
	"context"
	"encoding/hex"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
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
	attempts uint8

	helloTook, dialTook, took int64 // ns; 0: did not happen
	bytesIn, bytesOut         uint64
}

// record is the log line of a session that ends now.
func (w *worker) record(s *session, cause Cause) connRecord {
	r := connRecord{
		at: w.loop.Now(), id: s.id, listener: s.socket.listener.cfg.Name, client: s.client, sni: s.name.String(),
		cause: cause, attempts: s.attempts, errno: s.lastErrno,
		helloTook: s.helloTook, dialTook: s.dialTook, took: w.loop.Now() - s.started,
	}
	if s.route != nil {
		r.route = s.route.Name
	}
	if s.pool != nil {
		r.pool = s.pool.Name()
	}
	if s.backend != nil {
		r.backend = s.backend.Name
	} else if st := s.setup; st != nil && len(st.tried) > 0 {
		r.backend = st.tried[len(st.tried)-1].Name
	}
	if s.stage == stageRelaying {
		r.bytesIn, r.bytesOut = s.up.Bytes, s.down.Bytes
	}
	return r
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

func (q *recordRing) init(wake chan<- struct{}, asleep *atomic.Bool) {
	q.slots = make([]connRecord, ringSize)
	q.wake, q.asleep = wake, asleep
}

func (q *recordRing) put(r connRecord) {
	tail := q.tail.Load()
	if tail-q.head.Load() == ringSize {
		q.dropped.Add(1)
		return
	}
	q.slots[tail%ringSize] = r
	q.tail.Store(tail + 1)
	if q.asleep.Load() && q.asleep.CompareAndSwap(true, false) {
		q.wake <- struct{}{} // has room for one, and there is one at most: only who wakes it sends
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

// recorder writes the connection lines of all loops.
type recorder struct {
	log     *slog.Logger
	nonce   [8]byte // of the server, the first half of unique ids
	workers []*worker
	wake    chan struct{}
	asleep  atomic.Bool
	quit    chan struct{}
	done    chan struct{}
}

func newRecorder(log *slog.Logger, nonce [8]byte, workers []*worker) *recorder {
	r := &recorder{
		log: log, nonce: nonce, workers: workers,
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	for _, w := range workers {
		w.records.init(r.wake, &r.asleep)
	}
	return r
}

// run writes until stop. It goes to sleep only after it has said so and looked once more.
func (r *recorder) run() {
	defer close(r.done)
	for {
		if r.drain() {
			continue
		}
		r.asleep.Store(true)
		if r.drain() && r.asleep.CompareAndSwap(true, false) {
			continue
		}
		select {
		case <-r.wake:
		case <-r.quit:
			r.drain()
			return
		}
	}
}

// stop writes what is left and ends run. The loops have ended before.
func (r *recorder) stop() {
	close(r.quit)
	<-r.done
}

func (r *recorder) drain() bool {
	any := false
	for _, w := range r.workers {
		base := w.loop.Base()
		any = w.records.take(func(c *connRecord) { r.write(base, c) }) || any
	}
	return any
}

// write makes one line. Names are normalised host names of at most 255 bytes, everything else comes from the
// configuration or is a number: no byte of a stranger's choice reaches the line unchecked.
func (r *recorder) write(base time.Time, c *connRecord) {
	attrs := make([]slog.Attr, 0, 17)
	attrs = append(attrs, slog.String("listener", c.listener), slog.String("client", c.client.String()),
		slog.String("sni", c.sni), slog.String("id", r.id(c.id)))
	for _, f := range []struct{ key, value string }{{"route", c.route}, {"pool", c.pool}, {"backend", c.backend}} {
		if f.value != "" {
			attrs = append(attrs, slog.String(f.key, f.value))
		}
	}
	attrs = append(attrs, slog.String("cause", c.cause.String()))
	if c.errno != 0 {
		attrs = append(attrs, slog.String("error", c.errno.Error()))
	}
	if c.attempts > 1 {
		attrs = append(attrs, slog.Int("attempts", int(c.attempts)))
	}
	for _, f := range []struct {
		key string
		ns  int64
	}{{"hello_s", c.helloTook}, {"dial_s", c.dialTook}, {"duration_s", c.took}} {
		if f.ns > 0 {
			attrs = append(attrs, slog.Float64(f.key, float64(f.ns/1e3)/1e6))
		}
	}
	attrs = append(attrs, slog.Uint64("bytes_in", c.bytesIn), slog.Uint64("bytes_out", c.bytesOut))
	rec := slog.NewRecord(base.Add(time.Duration(c.at)), slog.LevelInfo, "connection", 0)
	rec.AddAttrs(attrs...)
	if r.log.Enabled(context.Background(), slog.LevelInfo) {
		r.log.Handler().Handle(context.Background(), rec) //nolint:errcheck // nowhere to say so
	}
}

// id is the connection's unique id as a PROXY v2 header tells it to the backend, in hexadecimal.
func (r *recorder) id(n uint64) string {
	b := uniqueID(r.nonce, n)
	return hex.EncodeToString(b[:])
}
