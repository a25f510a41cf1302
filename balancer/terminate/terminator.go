package terminate

import (
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options are the bounds of a [Terminator].
type Options struct {
	// Turns is how many handshakes are computed at one time. Zero: [DefaultTurns].
	Turns int
	// Queue is how many new handshakes wait for a turn at the most, in a flood; see [Budget]. Zero: 256 for each turn.
	Queue int
	// Patience is how long a new handshake waits for a turn at the most, in a flood. Zero: 1 s.
	Patience time.Duration
	// Connections bounds the connections. Zero: no bound.
	Connections int64
	// Lent reports whether a descriptor just got may be one that connections are refused with, and is to be given back.
	// Nil: it never is.
	Lent func() bool
	Log  *slog.Logger // nil: discard
}

const (
	queuePerTurn    = 256
	defaultPatience = time.Second
)

// Terminator runs the connections whose TLS ends here. It is safe for any number of goroutines.
type Terminator struct {
	budget  *Budget
	limit   int64
	lent    func() bool
	log     *slog.Logger
	live    atomic.Int64
	running sync.WaitGroup
	counts  counts
}

// DefaultTurns is Options.Turns where it is zero: as many as there are cores, less one that is left to the loops. The
// netpoller, which wakes the loops, is looked at by cores that have nothing else to do; where all of them compute, it is left
// to a background thread that looks every 10 ms (runtime/proc.go, findRunnable and sysmon).
func DefaultTurns() int { return max(runtime.GOMAXPROCS(0)-1, 1) }

// New makes a Terminator. It needs no closing, but Wait.
func New(opt Options) *Terminator {
	if opt.Turns <= 0 {
		opt.Turns = DefaultTurns()
	}
	if opt.Queue <= 0 {
		opt.Queue = queuePerTurn * opt.Turns
	}
	if opt.Patience <= 0 {
		opt.Patience = defaultPatience
	}
	if opt.Lent == nil {
		opt.Lent = func() bool { return false }
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Terminator{
		budget: &Budget{turns: opt.Turns, queue: opt.Queue, patience: opt.Patience}, limit: opt.Connections, lent: opt.Lent,
		log: opt.Log,
	}
}

// Crowded reports whether a new connection would be told that there are too many handshakes. It costs nothing to ask, and
// may be late: whoever is started nevertheless is told so then.
func (t *Terminator) Crowded() bool { return t.budget.crowded.Load() }

// Pace sets the time between the beginnings of two handshakes, on average and of all connections together; 0 is no bound.
// Those that come faster wait, for a bounded time.
func (t *Terminator) Pace(every time.Duration) { t.budget.pace(every) }

// Full reports whether there are as many connections as there may be.
func (t *Terminator) Full() bool { return t.limit > 0 && t.live.Load() >= t.limit }

// Start takes a connection over. It does not wait, and neither reads nor writes.
func (t *Terminator) Start(job Job) *Conn {
	c := &Conn{job: job, terminator: t, stop: make(chan struct{})}
	c.started = c.now()
	t.live.Add(1)
	t.running.Add(1)
	go c.run()
	return c
}

// Wait waits until the last connection has ended. No other is to be started meanwhile.
func (t *Terminator) Wait() { t.running.Wait() }

// describe is what a log line says of a panic.
func describe(r any) string { return plain(fmt.Sprint(r)) }

// stack is where a goroutine stands: functions and lines, without the arguments that a dump of the runtime shows, which
// could be parts of keys.
func stack() string {
	var b strings.Builder
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		f, more := frames.Next()
		fmt.Fprintf(&b, "%s\n\t%s:%d\n", f.Function, f.File, f.Line)
		if !more {
			return b.String()
		}
	}
}
