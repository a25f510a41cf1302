package resolve

import (
	"context"
	"log/slog"
	"net/netip"
	"time"
)

// Lookup asks for the addresses of host and how long they may be kept. ttl 0: unknown.
type Lookup func(ctx context.Context, host string) (addrs []netip.Addr, ttl time.Duration, err error)

// System is the Lookup of the operating system's resolver configuration (hosts file, resolv.conf).
func System() Lookup { panic("stub") }

// Resolver resolves names again as their records expire. Close ends its goroutines.
type Resolver struct{}

// New makes a Resolver; log may be nil.
func New(lookup Lookup, log *slog.Logger) *Resolver { panic("stub") }

// Watch calls changed with the addresses of host, first as soon as they are known and then on every change,
// until stop is called. One lookup serves all watchers of a name. changed is called from one goroutine at a time.
func (r *Resolver) Watch(host string, changed func([]netip.Addr)) (stop func()) { panic("stub") }

// Close stops everything and waits for it.
func (r *Resolver) Close() {}
