package balancer

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/health"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// checks has the members of all pools checked that ask for it, and puts what is found in force.
type checks struct {
	log     *slog.Logger
	checker *health.Checker
	keeper  *keeper // is told what has changed
	watches map[*pool.Backend]*watch
}

// watch is one backend that is checked.
type watch struct {
	check  *pool.Check
	source netip.Addr
	stop   func() // nothing is heard of the checks after it
}

func newChecks(log *slog.Logger, k *keeper) *checks {
	quiet := slog.New(errorsOnly{log.Handler()}) // changes of state are told by pool, with everything else that changes one
	return &checks{log: log, checker: health.New(quiet), keeper: k, watches: map[*pool.Backend]*watch{}}
}

// errorsOnly is a handler that wants nothing below level error.
type errorsOnly struct{ slog.Handler }

func (h errorsOnly) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelError && h.Handler.Enabled(ctx, l)
}

// follow makes the checks those that the members of pools ask for. A backend whose check stays goes on with it, whatever
// else is reloaded; one that gets another check keeps its state until that has come to one.
func (c *checks) follow(pools []*livePool) {
	wanted := make(map[*pool.Backend]bool, len(c.watches))
	for _, p := range pools {
		cfg := p.Config()
		for _, b := range p.Backends() {
			if cfg.Health == nil {
				continue
			}
			wanted[b] = true
			w := c.watches[b]
			if w != nil && w.source == cfg.Source && w.check.Equal(cfg.Health) {
				c.renew(w, b, cfg)
				continue
			}
			if w != nil {
				w.stop()
			}
			c.watches[b] = c.begin(b, cfg)
		}
	}
	for b, w := range c.watches {
		if !wanted[b] {
			w.stop()
			delete(c.watches, b)
			b.Checked(nil)
		}
	}
}

// renew has w go on by the check of cfg, which is equal to its own. Files of authorities are followed as long as they are those
// of a pool in force: the ones that w has are not, from now on.
func (c *checks) renew(w *watch, b *pool.Backend, cfg *pool.Config) {
	if w.check.CA != cfg.Health.CA {
		stop := w.stop
		*w = *c.begin(b, cfg) // first, so that what is known is not forgotten
		stop()
	}
}

func (c *checks) begin(b *pool.Backend, cfg *pool.Config) *watch {
	return &watch{cfg.Health, cfg.Source, c.checker.Watch(b.Addr, cfg.Health, cfg.Source, func(r health.Report) {
		before, now := b.Report(), reportFor(b, &r)
		if expiresSoon(now) && !(expiresSoon(before) && before.NotAfter.Equal(now.NotAfter)) {
			c.log.Warn("the certificate of a backend expires soon", "pool", cfg.Name, "backend", b.Name, "not_after", now.NotAfter.UTC())
		}
		shown := before == nil && now.Names != nil || before != nil && !slices.Equal(before.Names, now.Names)
		if shown {
			c.keeper.shown.Store(true)
		}
		if b.Checked(now) || shown {
			c.keeper.wakeUp()
		}
	})}
}

// soonExpired is when an end of a certificate is worth a warning: what is renewed by itself, a third of its time before as a
// rule, is renewed by then.
const soonExpired = 14 * 24 * time.Hour

// expiresSoon reports whether the certificate that r tells of ended soon after the check, or had ended.
func expiresSoon(r *pool.Report) bool {
	return r != nil && !r.NotAfter.IsZero() && r.NotAfter.Sub(r.Last) < soonExpired
}

// reportFor is what the pool is told of r. As long as a check has come to no state, the one before stays.
func reportFor(b *pool.Backend, r *health.Report) *pool.Report {
	out := &pool.Report{State: r.State, Error: r.Error, Last: r.Last, Latency: r.Latency}
	if r.State == pool.StateUnknown {
		if before := b.Report(); before != nil {
			out.State = before.State
		}
	}
	if r.Certificate != nil {
		out.NotAfter, out.Names = r.Certificate.NotAfter, r.Certificate.Names
	}
	return out
}

// close ends all checks.
func (c *checks) close() { c.checker.Close() }
