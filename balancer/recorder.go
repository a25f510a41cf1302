package balancer

import (
	"context"
	"encoding/hex"
	"log/slog"
	"sync/atomic"
	"time"
)

// recorder writes the connection lines of all loops.
type recorder struct {
	log     *slog.Logger
	nonce   [8]byte // of the server, the first half of unique ids
	workers []*worker
	quotas  [NumCauses]quota
	notices chan slog.Record // from loops: rare events, written as they are
	unsaid  atomic.Uint64    // notices that there was no room for
	wake    chan struct{}
	asleep  atomic.Bool
	quit    chan struct{}
	done    chan struct{}
}

func newRecorder(log *slog.Logger, nonce [8]byte, workers []*worker) *recorder {
	r := &recorder{
		log: log, nonce: nonce, workers: workers,
		notices: make(chan slog.Record, 64), wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	for _, w := range workers {
		w.records.init(r.wake, &r.asleep)
	}
	return r
}

// notice writes a line that is not about the end of a connection. Loops may call it: it never waits, and drops the
// line when 64 are waiting, which is counted.
func (r *recorder) notice(level slog.Level, msg string, attrs ...slog.Attr) {
	rec := slog.NewRecord(time.Now(), level, msg, 0)
	rec.AddAttrs(attrs...)
	select {
	case r.notices <- rec:
	default:
		r.unsaid.Add(1)
	}
}

// run writes until stop. It goes to sleep only after it has said so and looked once more.
func (r *recorder) run() {
	defer close(r.done)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		r.asleep.Store(true)
		if r.drain() && r.asleep.CompareAndSwap(true, false) {
			select { // more may be there already; but nobody else is to wait for ever
			case rec := <-r.notices:
				r.emit(rec)
			case <-second.C:
				r.refill()
			default:
			}
			continue
		}
		select {
		case <-r.wake:
		case rec := <-r.notices:
			r.emit(rec)
		case <-second.C:
			r.refill()
		case <-r.quit:
			r.finish()
			return
		}
	}
}

// finish writes what is left.
func (r *recorder) finish() {
	r.drain()
	r.refill()
	for {
		select {
		case rec := <-r.notices:
			r.emit(rec)
		default:
			return
		}
	}
}

// linesPerSecond is how many lines a cause of refusal gets. Strangers can bring such ends about at no cost; those
// of established connections are all written.
const linesPerSecond = 100

// quota counts the lines of one cause within a second.
type quota struct{ written, heldBack int }

// allows reports whether a line of cause c is to be written, and counts it.
func (r *recorder) allows(c Cause) bool {
	if c >= CauseOK {
		return true
	}
	q := &r.quotas[c]
	if q.written >= linesPerSecond {
		q.heldBack++
		return false
	}
	q.written++
	return true
}

// refill begins a new second, and tells what the last one held back.
func (r *recorder) refill() {
	for c := range r.quotas {
		if n := r.quotas[c].heldBack; n > 0 {
			rec := slog.NewRecord(time.Now(), slog.LevelWarn, "connection lines held back", 0)
			rec.AddAttrs(slog.String("cause", Cause(c).String()), slog.Int("lines", n))
			r.emit(rec)
		}
		r.quotas[c] = quota{}
	}
}

// emit hands a record to the handler.
func (r *recorder) emit(rec slog.Record) {
	if r.log.Enabled(context.Background(), rec.Level) {
		r.log.Handler().Handle(context.Background(), rec) //nolint:errcheck // nowhere to say so
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
	if !r.allows(c.cause) {
		return
	}
	attrs := make([]slog.Attr, 0, 24)
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
	} else if c.text != "" {
		attrs = append(attrs, slog.String("error", c.text))
	}
	attrs = c.appendTLS(attrs)
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
	r.emit(rec)
}

// appendTLS adds what is told of a handshake of ours.
func (c *connRecord) appendTLS(attrs []slog.Attr) []slog.Attr {
	if c.policy == "" {
		return attrs
	}
	attrs = append(attrs, slog.String("policy", c.policy))
	if c.tls == nil {
		return attrs
	}
	for _, f := range []struct{ key, value string }{
		{"tls", c.tls.VersionName()}, {"cipher", c.tls.CipherName()}, {"group", c.tls.GroupName()}, {"alpn", c.tls.ALPN},
		{"certificate", c.tls.Certificate}, {"client_cn", c.tls.ClientName()},
	} {
		if f.value != "" {
			attrs = append(attrs, slog.String(f.key, f.value))
		}
	}
	return append(attrs, slog.Bool("resumed", c.tls.Resumed), slog.Float64("handshake_s", float64(c.tls.Took/1e3)/1e6))
}

// id is the connection's unique id as a PROXY v2 header tells it to the backend, in hexadecimal.
func (r *recorder) id(n uint64) string {
	b := uniqueID(r.nonce, n)
	return hex.EncodeToString(b[:])
}
