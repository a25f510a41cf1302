package bench

import (
	"context"
	"runtime"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/poll"
	"github.com/seed-23b4a313/switchyard/bench/internal/wire"
)

// loader is the generator of every raw mode: one event loop, owned with all that is below by the goroutine in run.
//
//	           due?                        answered?
//	turn ──▶ start a session ──▶ (socket) ──▶ session.Ready ──▶ finish or fail ──▶ tally
//	  ▲  └──▶ wake one that paused ─────────────▲                    │
//	  └──────────────────── one place is free ◀──────────────────────┘
type loader struct {
	cfg    LoadConfig
	ctx    context.Context
	loop   *poll.Loop
	hellos *wire.Hellos
	tasks  *tasks
	choice *choice
	tally  *tally

	arrivals arrivals
	interval time.Duration // between two messages of one connection; 0: as fast as they are answered
	end      time.Time     // no session starts after it; zero: Count alone ends the load
	active   map[*session]struct{}
	alarms   alarms
	opening  int // of the active ones, those without an answer
	stopping bool
	holding  bool // ModeIdle has all it will hold
	swept    time.Time
	scratch  []byte
}

// openingLimit is how many connections that are to stay are opened at a time, well below any balancer's listen backlog.
const openingLimit = 64

// sweepEvery is how often overdue sessions are looked for, and so how late a timeout may be noticed.
const sweepEvery = 100 * time.Millisecond

func runLoop(ctx context.Context, cfg LoadConfig) (*LoadReport, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	hellos, err := cfg.hellos()
	if err != nil {
		return nil, err
	}
	loop, err := poll.New()
	if err != nil {
		return nil, err
	}
	defer loop.Close()
	l := newLoader(ctx, cfg, loop, hellos)
	stop := context.AfterFunc(ctx, loop.Wake)
	defer stop()
	if err := loop.Run(l.turn); err != nil {
		return nil, err
	}
	return l.tally.report(cfg), nil
}

func newLoader(ctx context.Context, cfg LoadConfig, loop *poll.Loop, hellos *wire.Hellos) *loader {
	l := &loader{
		cfg: cfg, ctx: ctx, loop: loop, hellos: hellos, choice: newChoice(cfg, hellos.Len()), tally: newTally(),
		active: map[*session]struct{}{}, scratch: make([]byte, bulkBuffer),
	}
	l.tasks = newTasks(&l.cfg)
	l.arrivals = arrivals{start: l.tally.began, rate: cfg.Rate}
	if cfg.Rate > 0 && !cfg.arrivals() {
		l.interval = time.Duration(float64(cfg.Workers) / cfg.Rate * float64(time.Second))
	}
	if cfg.Duration > 0 && cfg.Mode != ModeIdle {
		l.end = l.tally.began.Add(cfg.Duration)
	}
	return l
}

// turn starts what is due and says how long the loop may sleep.
func (l *loader) turn() (sleep time.Duration, more bool) {
	now := time.Now()
	l.sweep(now)
	l.tally.tell(now, l.cfg.Mode, l.cfg.Progress)
	if l.ctx.Err() != nil {
		l.abandon()
		return 0, false
	}
	alarm := l.wake(now)
	l.stopping = l.stopping || l.over(now)
	if l.stopping {
		l.release()
		return min(sweepEvery, alarm), len(l.active) > 0
	}
	if l.cfg.arrivals() {
		return min(l.startDue(now), alarm), true
	}
	l.refill()
	if l.cfg.Mode == ModeIdle && l.opening == 0 {
		l.hold()
	}
	return min(l.untilEnd(now), alarm), true
}

// wake has every session go on whose pause is over, and says how long the next one's still is.
func (l *loader) wake(now time.Time) (next time.Duration) {
	for {
		s, wait := l.alarms.due(now)
		if s == nil {
			return wait
		}
		s.wake()
	}
}

// over reports whether no further session may start.
func (l *loader) over(now time.Time) bool {
	if l.cfg.Count > 0 && l.tally.started >= l.cfg.Count {
		return true
	}
	// However short the time, and however late the machine: a load without one connection would tell nothing.
	return !l.end.IsZero() && !now.Before(l.end) && l.tally.started > 0
}

// untilEnd is how long to sleep when only sockets and the end can bring work.
func (l *loader) untilEnd(now time.Time) time.Duration {
	if l.end.IsZero() {
		return sweepEvery
	}
	return max(min(sweepEvery, l.end.Sub(now)), 0)
}

// refill keeps a closed loop at its number of sessions. It starts each place at most once a turn: a balancer that
// refuses at once must not keep the loop from its other sockets.
func (l *loader) refill() {
	for range l.cfg.Workers - len(l.active) {
		if l.over(time.Now()) || l.standing() && l.opening >= openingLimit || l.cfg.Mode == ModeIdle && l.tally.started >= l.cfg.Workers {
			return
		}
		l.start(time.Time{})
	}
}

// standing reports whether the connections are there to stay, and so may be opened with care.
func (l *loader) standing() bool { return l.cfg.Mode == ModeIdle || l.cfg.Mode == ModeRoundTrip }

// startDue starts every arrival of an open loop that is due and says how long until the next.
func (l *loader) startDue(now time.Time) time.Duration {
	for {
		due := l.arrivals.next()
		if wait := due.Sub(now); wait > 0 {
			return min(wait, l.untilEnd(now))
		}
		if !l.end.IsZero() && !due.Before(l.end) || l.cfg.Count > 0 && l.tally.started >= l.cfg.Count {
			return 0
		}
		l.arrivals.taken++
		record(l.tally.late, time.Since(due))
		if len(l.active) >= l.cfg.Workers {
			l.tally.started++
			l.tally.fail(failOverflow, nil)
			continue
		}
		l.start(due)
	}
}

// start opens one session. due is when it should have started; the zero time is now.
func (l *loader) start(due time.Time) {
	l.tally.started++
	name, source, target := l.choice.next()
	if due.IsZero() {
		due = time.Now()
	}
	fd, err := poll.Connect(source, target)
	if err != nil {
		l.tally.fail(failureKind(err), err)
		return
	}
	s := &session{loader: l, fd: fd, name: name, task: l.tasks.next(), since: due, deadline: time.Now().Add(l.cfg.Timeout)}
	if l.cfg.SegmentBytes > 0 {
		_ = poll.NoDelay(fd) // each write a segment
	}
	l.active[s] = struct{}{}
	l.opening++
	if err := l.loop.Add(fd, s); err != nil {
		s.fail(failureKind(err), err)
		return
	}
	s.Ready(false) // on loopback the connection is often there before connect returns
}

// finish closes a session, well or not, and frees its place.
func (l *loader) finish(s *session) {
	if !s.open() {
		l.opening--
	}
	delete(l.active, s)
	l.loop.Drop(s.fd)
	s.state = sessionClosed
}

// sweep fails what is overdue.
func (l *loader) sweep(now time.Time) {
	if now.Sub(l.swept) < sweepEvery {
		return
	}
	l.swept = now
	for s := range l.active {
		if s.state != sessionIdle && !s.pausing() && now.After(s.deadline) {
			s.fail(failTimeout, nil)
		}
	}
}

// release ends the sessions that would otherwise last: those that are only held, and those with nothing due any more.
func (l *loader) release() {
	for s := range l.active {
		if s.state == sessionIdle || s.state == sessionPaused && s.then == sessionLeave {
			s.done()
		}
	}
}

// abandon fails what was under way when the load was stopped.
func (l *loader) abandon() {
	l.release()
	for s := range l.active {
		s.fail(failCanceled, nil)
	}
}

// hold begins the time of ModeIdle once all sessions are held: that of Hold, after which it looks once at those that
// broke meanwhile, or Duration.
func (l *loader) hold() {
	if l.holding || l.tally.started < l.cfg.Workers {
		return
	}
	l.holding = true
	switch {
	case l.cfg.Hold != nil:
		l.cfg.Hold(len(l.active))
		l.end = time.Now()
		_ = l.loop.Poll()
	case l.cfg.Duration > 0:
		l.end = time.Now().Add(l.cfg.Duration)
	}
}

// arrivals is the schedule of an open loop: evenly spaced from its start.
type arrivals struct {
	start time.Time
	rate  float64 // per second
	taken int
}

// next is when the first arrival not yet taken is due.
func (a *arrivals) next() time.Time {
	return a.start.Add(time.Duration(float64(a.taken) / a.rate * float64(time.Second)))
}
