package balancer

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// keeper watches over all pools, in one goroutine: it has their members checked, ends ejections, decides on panic mode,
// and writes a line when a backend's state has changed.
type keeper struct {
	server   *Server
	checks   *checks     // the goroutine's
	moved    atomic.Bool // pools or members have changed
	shown    atomic.Bool // a backend has shown another certificate
	overlaps atomic.Pointer[Overlaps]
	pending  atomic.Bool   // a wake-up is on its way
	wake     chan struct{} // has room for one
	quit     chan struct{}
	done     chan struct{}
}

func newKeeper(s *Server) *keeper {
	k := &keeper{server: s, wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	k.checks = newChecks(s.log, k)
	k.overlaps.Store(&Overlaps{})
	return k
}

// membersMoved is wakeUp after pools, their members or their settings have changed.
func (k *keeper) membersMoved() {
	k.moved.Store(true)
	k.wakeUp()
}

// wakeUp has all pools reviewed soon. Any goroutine may call it, a loop's too: it never waits.
func (k *keeper) wakeUp() {
	if k.pending.CompareAndSwap(false, true) {
		k.wake <- struct{}{} // has room: only who sets pending sends
	}
}

// run reviews the pools when somebody asks for it, or something is due, until stop.
func (k *keeper) run() {
	defer close(k.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if next := k.review(); next == 0 {
			timer.Reset(time.Hour)
		} else {
			timer.Reset(max(time.Duration(next-pool.Clock()), time.Millisecond))
		}
		select {
		case <-k.wake:
			k.pending.Store(false)
		case <-timer.C:
		case <-k.quit:
			return
		}
	}
}

// stop ends run, and the checks.
func (k *keeper) stop() {
	close(k.quit)
	<-k.done
	k.checks.close()
}

// review looks at every pool, and returns when to look again; 0: when somebody asks.
func (k *keeper) review() (next int64) {
	now := k.server.world.Load()
	pools := now.order
	moved, shown := k.moved.Swap(false), k.shown.Swap(false)
	if moved {
		k.checks.follow(pools)
	}
	if moved || shown {
		k.findOverlaps(now)
	}
	for _, p := range pools {
		r := p.Review(pool.Clock())
		for _, c := range r.Changes {
			k.logChange(p.Name(), &c)
		}
		if r.PanicChanged {
			k.logPanic(p.Name(), &r)
		}
		if r.Next != 0 && (next == 0 || r.Next < next) {
			next = r.Next
		}
	}
	return next
}

// findOverlaps looks for overlaps of certificates, and warns when there are more than before.
func (k *keeper) findOverlaps(now *world) {
	var listeners []string
	for _, l := range now.listeners {
		listeners = append(listeners, l.name())
	}
	found := findOverlaps(now.routes, listeners, certificates(now.order))
	before := k.overlaps.Swap(&found)
	if found.Total > before.Total {
		o := &found.First[0]
		k.server.log.Warn("the certificate of a pool is good for hosts of another: browsers may send their requests to the wrong one",
			"overlaps", found.Total, "listener", o.Listener, "pool", o.Pool, "name", o.Name, "host", o.Host, "other_pool", o.OtherPool)
	}
}

// logChange writes that a backend's state has changed, and why.
func (k *keeper) logChange(name string, c *pool.Change) {
	level := slog.LevelInfo
	switch {
	case c.To == pool.StateDown || c.To == pool.StateEjected:
		level = slog.LevelWarn
	case c.From == pool.StateUnknown && c.To == pool.StateUp: // the first checks after the start
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{slog.String("pool", name), slog.String("backend", c.Backend.Name),
		slog.String("from", c.From.String()), slog.String("to", c.To.String())}
	if why := reasonOf(c.Backend, c.To); why != "" {
		attrs = append(attrs, slog.String("reason", why))
	}
	if c.To == pool.StateEjected {
		_, until := c.Backend.Ejections()
		attrs = append(attrs, slog.Float64("eject_s", time.Duration(until-pool.Clock()).Round(time.Millisecond).Seconds()))
	}
	k.server.log.LogAttrs(context.Background(), level, "backend changed", attrs...)
}

func (k *keeper) logPanic(name string, r *pool.Review) {
	attrs := []slog.Attr{slog.String("pool", name), slog.Int("healthy", r.Healthy), slog.Int("backends", r.Total)}
	if r.Panic {
		k.server.log.LogAttrs(context.Background(), slog.LevelWarn,
			"too few healthy backends: all that are not drained are used (panic mode)", attrs...)
		return
	}
	k.server.log.LogAttrs(context.Background(), slog.LevelInfo, "enough healthy backends again: panic mode is over", attrs...)
}

// reasonOf says why b is in that state; "" where that needs no reason.
func reasonOf(b *pool.Backend, state pool.State) string {
	switch state {
	case pool.StateDown:
		if r := b.Report(); r != nil {
			return r.Error
		}
	case pool.StateEjected:
		return failureOf(b)
	case pool.StateDrain, pool.StateMaint:
		return "set by an operator"
	}
	return ""
}

// failureOf describes the last failure of a connection to b; "" if there was none.
func failureOf(b *pool.Backend) string {
	o, e, at := b.LastFailure()
	switch {
	case at == 0:
		return ""
	case e != 0:
		return o.String() + ": " + e.Error()
	}
	return o.String()
}
