package resolve

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Lookup asks for the addresses of host and how long they may be kept. ttl 0: unknown.
//
// Addresses beside an error are the part of the answer that could be had: where they are all IPv4, the IPv6 ones
// known before are still believed, and the other way round. It is called by many goroutines at once, and has
// to return when ctx ends.
type Lookup func(ctx context.Context, host string) (addrs []netip.Addr, ttl time.Duration, err error)

// lookupsAtOnce bounds the lookups under way, each of which may hold a descriptor for A and one for AAAA.
const lookupsAtOnce = 64

// Resolver resolves names again as their records expire. Close ends its goroutines.
type Resolver struct {
	lookup Lookup
	log    *slog.Logger
	slots  chan struct{} // one taken per lookup under way

	ctx  context.Context // ends with Close
	end  context.CancelFunc
	done sync.WaitGroup

	mu    sync.Mutex
	names map[string]*name // mu; in lower case
}

// New makes a Resolver; log may be nil.
func New(lookup Lookup, log *slog.Logger) *Resolver {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &Resolver{
		lookup: lookup,
		log:    log,
		slots:  make(chan struct{}, lookupsAtOnce),
		names:  make(map[string]*name),
	}
	r.ctx, r.end = context.WithCancel(context.Background())
	return r
}

// Watch calls changed with the addresses of host, first as soon as they are known and then on every change,
// until stop is called. One lookup serves all watchers of a name. changed is called from one goroutine at a time.
//
// The addresses are sorted, IPv4 first and 4-in-6 addresses as IPv4, without repetitions, never empty, and
// changed may keep them. changed must not call Close. A call that is under way when stop is called may end after
// it; none begins. Calling stop again does nothing, and neither does watching with a closed Resolver.
func (r *Resolver) Watch(host string, changed func([]netip.Addr)) (stop func()) {
	w := &watcher{changed: changed}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return func() {}
	}
	key := strings.ToLower(host)
	n := r.names[key]
	if n == nil {
		n = r.newName(key)
	}
	n.watchers = append(n.watchers, w)
	n.wakeUp()
	return func() { r.unwatch(n, w) }
}

// newName begins to follow host. The caller holds mu.
func (r *Resolver) newName(host string) *name {
	n := &name{host: host, resolver: r, wake: make(chan struct{}, 1)}
	var ctx context.Context
	ctx, n.end = context.WithCancel(r.ctx)
	r.names[host] = n
	r.done.Go(func() { n.follow(ctx) })
	return n
}

// unwatch takes w away from n, and ends n with its last watcher.
func (r *Resolver) unwatch(n *name, w *watcher) {
	if w.stopped.Swap(true) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n.watchers = slices.DeleteFunc(slices.Clone(n.watchers), func(o *watcher) bool { return o == w })
	if len(n.watchers) == 0 {
		n.end()
		delete(r.names, n.host)
	}
}

// Close stops everything and waits for it. Calling it again does nothing.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.end()
	r.mu.Unlock()
	r.done.Wait()
}

// watcher is one call of Watch.
type watcher struct {
	changed func([]netip.Addr)
	stopped atomic.Bool
	seen    int // the version it was told; owned by name.follow
}
