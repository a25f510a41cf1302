package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/seed-23b4a313/switchyard/bench/internal/proc"
)

// The kinds of failure, besides those that failureKinds names after an error number. Each failed connection counts
// under exactly one, and none is left out of the total.
const (
	failTimeout    = "timeout"     // no answer within LoadConfig.Timeout
	failClosed     = "closed"      // the other side finished before its answer was complete
	failAlert      = "alert"       // a TLS alert in place of an answer
	failCorrupt    = "corrupt"     // the answer is not our backend's, or says that the hello did not arrive whole
	failMisrouted  = "misrouted"   // the answer came from another pool than the name's
	failNotResumed = "not_resumed" // ModeResume: the handshake was complete, and a full one
	failOverflow   = "overflow"    // an open loop had LoadConfig.Workers connections unanswered already
	failCanceled   = "canceled"    // the load was stopped
	failOther      = "other"
)

var failureKinds = []struct {
	err  error
	kind string
}{
	{io.EOF, failClosed},
	{io.ErrUnexpectedEOF, failClosed},
	{errNotResumed, failNotResumed},
	{syscall.ECONNREFUSED, "refused"},
	{syscall.ECONNRESET, "reset"},
	{syscall.EPIPE, "reset"},
	{syscall.EHOSTUNREACH, "unreachable"},
	{syscall.ENETUNREACH, "unreachable"},
	{syscall.EADDRNOTAVAIL, "no_port"}, // every port of the source address is taken
	{syscall.EMFILE, "no_descriptor"},
	{syscall.ENFILE, "no_descriptor"},
	{syscall.ETIMEDOUT, failTimeout},
	{os.ErrDeadlineExceeded, failTimeout},
	{context.DeadlineExceeded, failTimeout},
	{context.Canceled, failCanceled},
}

// failureKind is the one word under which err is counted.
func failureKind(err error) string {
	// An alert that came has no type of its own; crypto/tls marks it by this word.
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return failAlert
	}
	for _, f := range failureKinds {
		if errors.Is(err, f.err) {
			return f.kind
		}
	}
	return failOther
}

// Latencies are kept in nanoseconds, from 1 µs to 100 s, within 0.1 %. What lies beyond counts as the bound.
const (
	shortest = int64(time.Microsecond)
	longest  = int64(100 * time.Second)
	digits   = 3
)

// tally is what became of the connections of a load. It is not safe for concurrent use.
type tally struct {
	started, done, failed int
	failures              map[string]int
	example               map[string]string // the first error's text of each kind
	negotiated            map[string]int    // handshakes by what they agreed on
	primed                int               // handshakes before the load that made the sessions to resume
	roundTrips            int64
	bytes, up             int64
	latency               *hdrhistogram.Histogram
	late                  *hdrhistogram.Histogram
	timeline              Timeline
	began                 time.Time
	cpu                   proc.CPU   // of this process when it began
	clock                 proc.Clock // of the whole machine when it began

	told     time.Time // of the last progress
	toldWork float64
}

func newTally() *tally {
	now := time.Now()
	return &tally{
		failures:   map[string]int{},
		example:    map[string]string{},
		negotiated: map[string]int{},
		latency:    hdrhistogram.New(shortest, longest, digits),
		late:       hdrhistogram.New(shortest, longest, digits),
		timeline:   Timeline{Width: firstWidth},
		began:      now,
		told:       now,
		cpu:        proc.Self(),
		clock:      proc.MachineClock(),
	}
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), shortest), longest)) // the only error is a value out of range
}

func (t *tally) moment() *Moment { return t.timeline.at(time.Since(t.began)) }

// measured records a latency.
func (t *tally) measured(d time.Duration) {
	record(t.latency, d)
	m := t.moment()
	m.Worst = max(m.Worst, d)
}

func (t *tally) finish() {
	t.done++
	t.moment().Done++
}

func (t *tally) trip() {
	t.roundTrips++
	t.moment().RoundTrips++
}

// moved counts n bytes of a bulk transfer.
func (t *tally) moved(n int, up bool) {
	t.bytes += int64(n)
	if up {
		t.up += int64(n)
	}
	t.moment().Bytes += int64(n)
}

func (t *tally) fail(kind string, err error) {
	t.failed++
	t.failures[kind]++
	t.moment().Failed++
	if err != nil && t.example[kind] == "" {
		t.example[kind] = err.Error()
	}
}

// progressEvery is how often a load says how it is doing.
const progressEvery = time.Second

// tell passes a line to report once a second.
func (t *tally) tell(now time.Time, mode Mode, report func(string)) {
	since := now.Sub(t.told)
	if report == nil || since < progressEvery {
		return
	}
	all := Moment{Done: t.done, RoundTrips: int(t.roundTrips), Bytes: t.bytes}
	work := all.work(mode)
	report(fmt.Sprintf("%.0f s: %d started, %d done, %d failed, %s",
		now.Sub(t.began).Seconds(), t.started, t.done, t.failed, speedText(mode, (work-t.toldWork)/since.Seconds())))
	t.told, t.toldWork = now, work
}

// report closes the books.
func (t *tally) report(cfg LoadConfig) *LoadReport {
	r := &LoadReport{
		Elapsed:     time.Since(t.began),
		Started:     t.started,
		Done:        t.done,
		Failed:      t.failed,
		Failures:    t.failures,
		Examples:    t.example,
		Negotiated:  t.negotiated,
		Primed:      t.primed,
		RoundTrips:  t.roundTrips,
		Bytes:       t.bytes,
		Up:          t.up,
		Latency:     percentiles(t.latency),
		Late:        percentiles(t.late),
		Curve:       curveOf(t.latency),
		Timeline:    t.timeline,
		Generator:   proc.Self().Sub(t.cpu),
		MachineIdle: proc.MachineClock().IdleSince(t.clock),
	}
	r.Replayed, cfg.Replay = len(cfg.Replay), nil
	r.Config = cfg
	r.warn()
	return r
}
