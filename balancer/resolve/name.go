package resolve

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"time"
)

const (
	minTTL     = time.Second     // also of records with TTL 0, so that a name costs at most one lookup a second
	maxTTL     = 5 * time.Minute // also of records that claim to live for years
	unknownTTL = 5 * time.Second // of answers that tell none: the hosts file, which is cheap to read

	firstRetry = minTTL           // after an error; doubled with each further one
	lastRetry  = 30 * time.Second // so that a name server's return is noticed well before maxTTL

	lookupTimeout = 30 * time.Second // three servers in resolv.conf, asked twice, 5s each: the defaults of resolv.conf(5)
)

// errNoAddress is the reason when a lookup succeeds and nothing of it can be used.
var errNoAddress = errors.New("resolve: no usable address in the answer")

// name is a host that somebody watches.
type name struct {
	host     string
	resolver *Resolver
	end      context.CancelFunc
	wake     chan struct{} // holds one when watchers joined
	watchers []*watcher    // resolver.mu; replaced, never changed, when one leaves

	// Owned by follow.
	addrs   []netip.Addr  // the last good answer
	version int           // of addrs; 0 while there is none
	retry   time.Duration // how long to wait after the next error; 0 while all is well
}

func (n *name) wakeUp() {
	select {
	case n.wake <- struct{}{}:
	default: // it will wake up anyway, and look at all watchers
	}
}

// follow asks, tells, and waits, until ctx ends.
func (n *name) follow(ctx context.Context) {
	for {
		next := time.NewTimer(n.refresh(ctx))
		for expired := false; !expired; {
			n.tell(ctx)
			select {
			case <-ctx.Done():
				next.Stop()
				return
			case <-n.wake:
			case <-next.C:
				expired = true
			}
		}
	}
}

// tell calls the watchers that do not know the present version.
func (n *name) tell(ctx context.Context) {
	n.resolver.mu.Lock()
	watchers := n.watchers
	n.resolver.mu.Unlock()
	for _, w := range watchers {
		if w.seen == n.version || w.stopped.Load() || ctx.Err() != nil {
			continue
		}
		w.seen = n.version
		w.changed(slices.Clone(n.addrs))
	}
}

// refresh asks once, takes over what is new, and says when to ask again.
func (n *name) refresh(ctx context.Context) time.Duration {
	addrs, ttl, err := n.ask(ctx)
	if ctx.Err() != nil {
		return maxTTL // follow is about to end
	}
	good, ignored := usable(addrs)
	if err != nil {
		good = completed(good, n.addrs)
	} else if len(good) == 0 {
		err = errNoAddress
	}
	if len(good) > 0 && !slices.Equal(good, n.addrs) {
		n.addrs = good
		n.version++
		n.resolver.log.LogAttrs(ctx, slog.LevelInfo, "addresses of a name changed",
			slog.String("name", n.host), slog.Int("addresses", len(good)), slog.Int("ignored", ignored))
	}
	if err != nil {
		return n.failed(ctx, err)
	}
	n.recovered(ctx)
	if ttl <= 0 {
		ttl = unknownTTL
	}
	return min(max(ttl, minTTL), maxTTL)
}

// ask looks the name up within lookupTimeout, once there is a slot for it.
func (n *name) ask(ctx context.Context) ([]netip.Addr, time.Duration, error) {
	select {
	case n.resolver.slots <- struct{}{}:
		defer func() { <-n.resolver.slots }()
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	return n.resolver.lookup(ctx, n.host)
}

// failed notes an error and says how long to wait. Only the first of a row is logged.
func (n *name) failed(ctx context.Context, err error) time.Duration {
	if n.retry == 0 {
		n.retry = firstRetry
		n.resolver.log.LogAttrs(ctx, slog.LevelWarn, "a name does not resolve; its last addresses stay",
			slog.String("name", n.host), slog.Int("addresses", len(n.addrs)), slog.Any("error", err))
	}
	wait := n.retry
	n.retry = min(2*n.retry, lastRetry)
	return wait
}

// recovered ends a row of errors.
func (n *name) recovered(ctx context.Context) {
	if n.retry == 0 {
		return
	}
	n.retry = 0
	n.resolver.log.LogAttrs(ctx, slog.LevelInfo, "a name resolves again",
		slog.String("name", n.host), slog.Int("addresses", len(n.addrs)))
}
