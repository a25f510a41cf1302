package resolve

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Target is one SRV record (RFC 2782): where a service is.
type Target struct {
	Host     string
	Port     uint16
	Priority uint16 // the lowest is tried first
	Weight   uint16 // beside others of the same priority
}

// Endpoint is an address of a service.
type Endpoint struct {
	Addr     netip.AddrPort
	Priority uint16
	Weight   uint16
}

// LookupService asks for the SRV records of a name such as _https._tcp.example.net, and how long they may be kept. ttl 0:
// unknown. It is called by many goroutines at once, and has to return when ctx ends.
type LookupService func(ctx context.Context, name string) (targets []Target, ttl time.Duration, err error)

// SystemService is the LookupService of the operating system's resolver configuration, as System is its Lookup.
func SystemService() LookupService {
	var d net.Dialer
	return serviceVia(d.DialContext)
}

func serviceVia(dial dialFunc) LookupService {
	return func(ctx context.Context, name string) (targets []Target, ttl time.Duration, err error) {
		var m meter
		err = through(ctx, dial, &m, func(r *net.Resolver) error {
			_, records, err := r.LookupSRV(ctx, "", "", name)
			for _, s := range records {
				targets = append(targets, Target{s.Target, s.Port, s.Priority, s.Weight})
			}
			return err
		})
		return targets, m.ttl(), err
	}
}

// errNoTarget is the reason when a lookup succeeds and names no host: "." says that there is no such service.
var errNoTarget = errors.New("resolve: no usable target in the answer")

// WatchService calls changed with the endpoints of the service name, first as soon as some are known and then on every
// change, until stop is called. Records are asked for again as they expire, and so are the addresses of each target. As
// with Watch, an error or an answer without anything usable changes nothing.
//
// The endpoints are sorted by priority and address, without repetitions, never empty, and changed may keep them. There are
// at most 64. changed is called from one goroutine at a time, and must not call Close. A call that is under way when stop is
// called may end after it. Calling stop again does nothing, and neither does watching with a closed Resolver.
func (r *Resolver) WatchService(name string, lookup LookupService, changed func([]Endpoint)) (stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return func() {}
	}
	ctx, end := context.WithCancel(r.ctx)
	s := &service{
		name: name, resolver: r, lookup: lookup, changed: changed, hosts: map[string]*targetHost{}, wake: make(chan struct{}, 1),
	}
	r.done.Go(func() { s.follow(ctx) })
	return end
}

// service is a name with SRV records that somebody watches.
type service struct {
	name     string
	resolver *Resolver
	lookup   LookupService
	changed  func([]Endpoint)
	wake     chan struct{} // holds one when addresses of a target changed

	mu sync.Mutex // of the addresses of hosts

	// Owned by follow.
	targets []Target               // the last good answer
	hosts   map[string]*targetHost // of the targets, by name
	told    []Endpoint
	retry   time.Duration // how long to wait after the next error; 0 while all is well
}

// targetHost is one watch of a host of the targets. A call of it that ends after it was stopped finds this, and not what a later
// watch of the same host has been told.
type targetHost struct {
	addrs []netip.Addr // service.mu
	stop  func()
}

// follow asks, tells, and waits, until ctx ends.
func (s *service) follow(ctx context.Context) {
	defer s.unwatch(nil)
	for ctx.Err() == nil {
		next := time.NewTimer(s.refresh(ctx))
		for expired := false; !expired; {
			s.tell(ctx)
			select {
			case <-ctx.Done():
				next.Stop()
				return
			case <-s.wake:
			case <-next.C:
				expired = true
			}
		}
	}
}

// refresh asks once, follows the hosts of the answer, and says when to ask again.
func (s *service) refresh(ctx context.Context) time.Duration {
	targets, ttl, err := s.ask(ctx)
	if ctx.Err() != nil {
		return maxTTL // follow is about to end
	}
	good := slices.DeleteFunc(targets, func(t Target) bool { return t.Host == "" || t.Host == "." || t.Port == 0 })
	for i := range good {
		good[i].Host = strings.ToLower(strings.TrimSuffix(good[i].Host, "."))
	}
	if len(good) == 0 && err == nil {
		err = errNoTarget
	}
	if len(good) > 0 {
		slices.SortFunc(good, func(a, b Target) int {
			return cmp.Or(cmp.Compare(a.Priority, b.Priority), strings.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port))
		})
		s.targets = good[:min(len(good), maxAddresses)]
		s.watch()
		s.unwatch(s.targets)
	}
	if err != nil && len(good) == 0 {
		return s.failed(ctx, err)
	}
	s.retry = 0
	if ttl <= 0 {
		ttl = unknownTTL
	}
	return min(max(ttl, minTTL), maxTTL)
}

// ask looks the service up within lookupTimeout, once there is a slot for it.
func (s *service) ask(ctx context.Context) ([]Target, time.Duration, error) {
	select {
	case s.resolver.slots <- struct{}{}:
		defer func() { <-s.resolver.slots }()
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	return s.lookup(ctx, s.name)
}

// failed notes an error and says how long to wait. Only the first of a row is logged.
func (s *service) failed(ctx context.Context, err error) time.Duration {
	if s.retry == 0 {
		s.retry = firstRetry
		s.resolver.log.LogAttrs(ctx, slog.LevelWarn, "a service does not resolve; its last targets stay",
			slog.String("name", s.name), slog.Int("targets", len(s.targets)), slog.Any("error", err))
	}
	wait := s.retry
	s.retry = min(2*s.retry, lastRetry)
	return wait
}

// watch follows the hosts of the targets.
func (s *service) watch() {
	for _, t := range s.targets {
		if s.hosts[t.Host] != nil {
			continue
		}
		h := &targetHost{}
		s.hosts[t.Host] = h
		h.stop = s.resolver.Watch(t.Host, func(addrs []netip.Addr) {
			s.mu.Lock()
			h.addrs = addrs
			s.mu.Unlock()
			select {
			case s.wake <- struct{}{}:
			default: // it will look at all of them anyway
			}
		})
	}
}

// unwatch stops to follow the hosts that are not among keep.
func (s *service) unwatch(keep []Target) {
	for host, h := range s.hosts {
		if slices.ContainsFunc(keep, func(t Target) bool { return t.Host == host }) {
			continue
		}
		h.stop()
		delete(s.hosts, host)
	}
}

// tell calls changed if there is something new. A target whose addresses are not known yet is left out; one that was there
// before has them.
func (s *service) tell(ctx context.Context) {
	endpoints := s.endpoints()
	if len(endpoints) == 0 || slices.Equal(endpoints, s.told) || ctx.Err() != nil {
		return
	}
	s.resolver.log.LogAttrs(ctx, slog.LevelInfo, "endpoints of a service changed",
		slog.String("name", s.name), slog.Int("endpoints", len(endpoints)))
	s.told = endpoints
	s.changed(slices.Clone(endpoints))
}

// endpoints are the addresses of all targets.
func (s *service) endpoints() (list []Endpoint) {
	s.mu.Lock()
	for _, t := range s.targets {
		for _, a := range s.hosts[t.Host].addrs {
			list = append(list, Endpoint{netip.AddrPortFrom(a, t.Port), t.Priority, t.Weight})
		}
	}
	s.mu.Unlock()
	slices.SortStableFunc(list, func(a, b Endpoint) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), a.Addr.Compare(b.Addr))
	})
	seen := map[netip.AddrPort]bool{}
	list = slices.DeleteFunc(list, func(e Endpoint) bool {
		again := seen[e.Addr]
		seen[e.Addr] = true
		return again
	})
	return list[:min(len(list), maxAddresses)]
}
