package bench

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/seed-23b4a313/switchyard/bench/internal/proc"
)

// The kinds of failure, besides those that failureKinds names after an error number. Each failed connection counts
// under exactly one, and none is left out of the total.
const (
	failTimeout   = "timeout"   // no answer within LoadConfig.Timeout
	failClosed    = "closed"    // the other side finished before its answer was complete
	failCorrupt   = "corrupt"   // the answer is not our backend's, or says that the hello did not arrive whole
	failMisrouted = "misrouted" // the answer came from another pool than the name's
	failOverflow  = "overflow"  // an open loop had LoadConfig.Workers connections unanswered already
	failCanceled  = "canceled"  // the load was stopped
	failOther     = "other"
)

var failureKinds = []struct {
	err  error
	kind string
}{
	{io.EOF, failClosed},
	{io.ErrUnexpectedEOF, failClosed},
	{syscall.ECONNREFUSED, "refused"},
	{syscall.ECONNRESET, "reset"},
	{syscall.EPIPE, "reset"},
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
	started, done int
	failures      map[string]int
	example       map[string]string // the first error's text of each kind
	roundTrips    int64
	bytes         int64
	latency       *hdrhistogram.Histogram
	late          *hdrhistogram.Histogram
	began         time.Time
	cpu           proc.CPU // of this process when it began
}

func newTally() *tally {
	return &tally{
		failures: map[string]int{},
		example:  map[string]string{},
		latency:  hdrhistogram.New(shortest, longest, digits),
		late:     hdrhistogram.New(shortest, longest, digits),
		began:    time.Now(),
		cpu:      proc.Self(),
	}
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), shortest), longest)) // the only error is a value out of range
}

func (t *tally) fail(kind string, err error) {
	t.failures[kind]++
	if err != nil && t.example[kind] == "" {
		t.example[kind] = err.Error()
	}
}

// report closes the books.
func (t *tally) report(cfg LoadConfig) *LoadReport {
	r := &LoadReport{
		Config:     cfg,
		Elapsed:    time.Since(t.began),
		Started:    t.started,
		Done:       t.done,
		Failures:   t.failures,
		Examples:   t.example,
		RoundTrips: t.roundTrips,
		Bytes:      t.bytes,
		Latency:    percentiles(t.latency),
		Late:       percentiles(t.late),
		Generator:  proc.Self().Sub(t.cpu),
	}
	for _, n := range t.failures {
		r.Failed += n
	}
	r.warn()
	return r
}

func percentiles(h *hdrhistogram.Histogram) Percentiles {
	if h.TotalCount() == 0 {
		return Percentiles{}
	}
	at := func(q float64) time.Duration { return time.Duration(h.ValueAtQuantile(q)) }
	return Percentiles{
		Count: h.TotalCount(),
		Min:   time.Duration(h.Min()),
		Mean:  time.Duration(h.Mean()),
		P50:   at(50), P90: at(90), P99: at(99), P999: at(99.9), P9999: at(99.99),
		Max: time.Duration(h.Max()),
	}
}
