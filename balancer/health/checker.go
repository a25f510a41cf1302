package health

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// checksAtOnce bounds the checks under way, each of which holds a descriptor and, for TLS, up to 64 KiB. With 1 000
// backends that all are silent, a timeout of 1 s and an interval of 5 s there are 200.
const checksAtOnce = 512

// Checker runs the checks of all pools: one for each address, source and check, however many pools share it.
// Close ends its goroutines.
type Checker struct {
	log    *slog.Logger
	slots  chan struct{} // one taken per check under way
	linger time.Duration // the constant, but in tests of what backends find
	dial   func(ctx context.Context, to netip.AddrPort, source netip.Addr) (net.Conn, error)

	born    time.Time
	ctx     context.Context // ends with Close
	end     context.CancelFunc
	running sync.WaitGroup // timers that have fired

	mu      sync.Mutex          // never held together with target.mu
	targets map[place][]*target // mu; usually one in each place
	count   atomic.Int64        // of targets
}

// place is what the checks of some targets have in common.
type place struct {
	to     netip.AddrPort
	source netip.Addr
}

// New makes a Checker; log may be nil.
func New(log *slog.Logger) *Checker {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Checker{
		log:     log,
		slots:   make(chan struct{}, checksAtOnce),
		linger:  linger,
		dial:    dial,
		born:    time.Now(),
		targets: make(map[place][]*target),
	}
	c.ctx, c.end = context.WithCancel(context.Background())
	return c
}

// Watch has the backend at addr checked, and calls told with the Report: at once, before Watch returns, if there is
// one already, and then after every check, until stop is called. A check that could not be made for want of descriptors
// or memory on this machine is none. The connections come from source; if that is zero, the kernel chooses. check is
// not changed by anybody from now on; an Interval that it leaves at zero is 5 s, a Timeout 1 s or the Interval, Rise and
// Fall are 1.
//
// Those who watch the same address by an equal check from the same source share its checks and their result, which
// are forgotten when the last one stops: when a pool is replaced, its successor has to watch first. They verify by
// the CA of one that watches still.
//
// told is called by one goroutine at a time, and has to return soon; its panics are logged and go no further. stop
// waits for a call that is under way: none begins or ends after it. So Watch and stop must not be called with a
// lock held that told takes, and told must not call them, nor Close. Calling stop again does nothing, and neither
// does watching with a closed Checker.
func (c *Checker) Watch(addr netip.AddrPort, check *pool.Check, source netip.Addr, told func(Report)) (stop func()) {
	w := &watcher{told: told, trusts: check.CA}
	t := c.join(place{to: check.Target(addr), source: source}, settled(check), w)
	if t == nil {
		return func() {}
	}
	t.add(w)
	return sync.OnceFunc(func() {
		t.remove(w)
		c.leave(t)
	})
}

// settled is check with a value for everything that has to have one, and without what place says already. Its CA is good for
// comparing alone: whose it is may stop to watch.
func settled(check *pool.Check) *pool.Check {
	s := *check
	s.Address, s.Port = netip.Addr{}, 0
	if s.Interval <= 0 {
		s.Interval = 5 * time.Second
	}
	if s.Timeout <= 0 {
		s.Timeout = min(time.Second, s.Interval)
	}
	if s.FastInterval <= 0 || s.FastInterval > s.Interval {
		s.FastInterval = s.Interval
	}
	s.Rise, s.Fall = max(s.Rise, 1), max(s.Fall, 1)
	return &s
}

// join returns the target for one more watcher, nil if c is closed. One that is new has first for a watcher, because its
// first check may come to its result before anybody else does anything.
func (c *Checker) join(at place, check *pool.Check, first *watcher) *target {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return nil
	}
	same := func(t *target) bool { return t.check.Equal(check) }
	if i := slices.IndexFunc(c.targets[at], same); i >= 0 {
		c.targets[at][i].uses++
		return c.targets[at][i]
	}
	t := newTarget(c, at, check, first)
	c.targets[at] = append(c.targets[at], t)
	c.count.Add(1)
	return t
}

// leave ends t with its last watcher.
func (c *Checker) leave(t *target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.uses--; t.uses > 0 {
		return
	}
	t.timer.Stop()
	c.count.Add(-1)
	rest := slices.DeleteFunc(c.targets[t.place], func(o *target) bool { return o == t })
	if len(rest) == 0 {
		delete(c.targets, t.place)
		return
	}
	c.targets[t.place] = rest
}

// enter counts a timer of t that has fired as running. It reports false if t is not to be checked any more.
func (c *Checker) enter(t *target) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.uses == 0 || c.ctx.Err() != nil {
		return false
	}
	c.running.Add(1)
	return true
}

// again has t checked after d, unless its last watcher has gone.
func (c *Checker) again(t *target, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.uses > 0 && c.ctx.Err() == nil {
		t.timer.Reset(d)
	}
}

// longestBeat is the time between two beats, see untilBeat. In TestThousandBackendsCostLittle, a check by TCP costs 205 µs
// of processor time if each begins at its own time, 125 µs with beats of 20 ms, 78 µs with 50 ms and 67 µs with 100 ms;
// one by TLS 426, 310, 281 and 211 µs. The longer the beat, the more checks stand together in the way of what else the
// process has to do: with 50 ms it is ten of them, 3 ms of processor time if they are by TLS.
const longestBeat = 50 * time.Millisecond

// untilBeat is the time left until due, brought forward to the last beat before it: checks that begin together wake
// the process up once instead of each by itself. A beat takes at most a twentieth of interval off, and becomes shorter
// with more than a thousand targets, so that no more of them begin together.
func (c *Checker) untilBeat(due time.Time, interval time.Duration) time.Duration {
	beat := min(longestBeat, interval/20, 1000*longestBeat/time.Duration(max(c.count.Load(), 1)))
	if beat > 0 {
		due = due.Add(-(due.Sub(c.born) % beat))
	}
	return max(time.Until(due), 0)
}

// Close ends all checks, those under way included, and waits for that. No told is called after it has returned.
// Calling it again does nothing.
func (c *Checker) Close() {
	c.mu.Lock()
	c.end()
	for _, targets := range c.targets {
		for _, t := range targets {
			t.timer.Stop()
		}
	}
	c.mu.Unlock()
	c.running.Wait()
}
