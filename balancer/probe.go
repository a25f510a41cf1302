package balancer

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/health"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/resolve"
	"github.com/seed-23b4a313/switchyard/route"
)

// Probed is what one check of a backend has found.
type Probed struct {
	Pool     string
	Backend  string // its address, or as the file writes it if that has none
	Error    string // "": it passed
	NotAfter time.Time
	names    []string
}

// probeHurry is how soon one after the other the checks of a backend begin; the first one decides.
const probeHurry = 50 * time.Millisecond

// Probe checks the backends of all pools of cfg that have checks, once, without serving anything, and looks for overlaps
// of the certificates that were shown. What has no result when ctx ends counts as failed. The result is in file order.
func Probe(ctx context.Context, cfg *Config) ([]Probed, Overlaps, error) {
	table, err := route.NewTable(cfg.RouteSet())
	if err != nil {
		return nil, Overlaps{}, err
	}
	p := &prober{ctx: ctx, lookup: resolve.System(), service: resolve.SystemService(), checker: health.New(nil)}
	defer p.checker.Close()
	for i := range cfg.Pools {
		if c := &cfg.Pools[i]; c.Health != nil {
			p.pool(c)
		}
	}
	p.running.Wait()
	slices.SortStableFunc(p.results, func(a, b result) int {
		return cmp.Or(cmp.Compare(a.order, b.order), strings.Compare(a.Backend, b.Backend))
	})
	all, names := make([]Probed, len(p.results)), map[string][]string{}
	for i, r := range p.results {
		all[i] = r.Probed
		names[r.Pool] = append(names[r.Pool], r.names...)
	}
	var listeners []string
	for i := range cfg.Listeners {
		listeners = append(listeners, cfg.Listeners[i].Name)
	}
	return all, findOverlaps(table.Snapshot(), listeners, names), nil
}

// prober runs the checks of a Probe.
type prober struct {
	ctx     context.Context
	lookup  resolve.Lookup
	service resolve.LookupService
	checker *health.Checker
	running sync.WaitGroup
	entries int

	mu      sync.Mutex
	results []result // mu
}

// result is a Probed with the place of its entry in the file.
type result struct {
	Probed
	order int
}

func (p *prober) pool(cfg *pool.Config) {
	check := *cfg.Health
	check.Interval, check.FastInterval, check.Rise, check.Fall = probeHurry, probeHurry, 1, 1
	for i := range cfg.Backends {
		p.entries++
		order := p.entries
		p.running.Go(func() {
			addrs, err := p.addresses(&cfg.Backends[i])
			if err != nil {
				p.add(result{Probed{Pool: cfg.Name, Backend: cfg.Backends[i].Text(), Error: err.Error()}, order})
			}
			for _, a := range addrs {
				p.running.Go(func() { p.add(result{p.check(cfg, &check, a), order}) })
			}
		})
	}
}

func (p *prober) add(r result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.results = append(p.results, r)
}

// addresses are those of an entry now.
func (p *prober) addresses(b *pool.BackendConfig) (all []netip.AddrPort, err error) {
	targets := []resolve.Target{{Host: b.Host, Port: b.Addr.Port()}}
	switch {
	case b.Service != "":
		if targets, _, err = p.service(p.ctx, b.Service); len(targets) == 0 {
			return nil, err
		}
	case b.Host == "":
		return []netip.AddrPort{b.Addr}, nil
	}
	for _, t := range targets {
		var addrs []netip.Addr
		addrs, _, err = p.lookup(p.ctx, t.Host)
		for _, a := range addrs {
			all = append(all, netip.AddrPortFrom(a.Unmap(), t.Port))
		}
	}
	if len(all) > 0 {
		err = nil
	}
	return all, err
}

// check waits for the first result of a check.
func (p *prober) check(cfg *pool.Config, check *pool.Check, addr netip.AddrPort) Probed {
	first := make(chan health.Report, 1)
	stop := p.checker.Watch(addr, check, cfg.Source, func(r health.Report) {
		if r.State != pool.StateUnknown {
			select {
			case first <- r:
			default: // only the first one counts
			}
		}
	})
	defer stop()
	out := Probed{Pool: cfg.Name, Backend: addr.String(), Error: "no result in time"}
	select {
	case r := <-first:
		out.Error = ""
		if r.State == pool.StateDown {
			out.Error = r.Error
		}
		if r.Certificate != nil {
			out.NotAfter, out.names = r.Certificate.NotAfter, r.Certificate.Names
		}
	case <-p.ctx.Done():
	}
	return out
}
