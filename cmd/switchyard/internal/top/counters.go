package top

import (
	"cmp"
	"maps"
	"slices"

	"github.com/seed-23b4a313/switchyard/admin"
)

// totals are the counters of all listeners and pools together.
type totals struct {
	accepted uint64
	bytesIn  uint64
	bytesOut uint64
	closed   map[string]uint64 // by cause
}

func totalsOf(s *Sample) totals {
	t := totals{closed: map[string]uint64{}}
	if s == nil {
		return t
	}
	for i := range s.Status.Listeners {
		l := &s.Status.Listeners[i]
		t.accepted += l.Accepted
		for cause, n := range l.Closed {
			t.closed[cause] += n
		}
	}
	for i := range s.Status.Pools {
		for j := range s.Status.Pools[i].Backends {
			b := &s.Status.Pools[i].Backends[j]
			t.bytesIn += b.BytesIn
			t.bytesOut += b.BytesOut
		}
	}
	return t
}

// causeRate is how many connections end in a second by one cause.
type causeRate struct {
	cause string
	rate  float64
	total uint64
}

// causes are those that have occurred, the most frequent first.
func (v *View) causes(now, before *totals) []causeRate {
	var all []causeRate
	for cause, n := range now.closed {
		all = append(all, causeRate{cause, v.rate(n, before.closed[cause]), n})
	}
	slices.SortFunc(all, func(a, b causeRate) int {
		return cmp.Or(cmp.Compare(b.rate, a.rate), cmp.Compare(b.total, a.total), cmp.Compare(a.cause, b.cause))
	})
	return all
}

// backend is one backend in one pool, now and before.
type backend struct {
	pool string
	admin.BackendStatus
	perSecond, in, out float64 // connections, and bytes each way
}

// backends are all there are, in the order of the configuration.
func (v *View) backends() []backend {
	before := map[[2]string]*admin.BackendStatus{}
	if v.before != nil {
		for i := range v.before.Status.Pools {
			p := &v.before.Status.Pools[i]
			for j := range p.Backends {
				before[[2]string{p.Name, p.Backends[j].Address}] = &p.Backends[j]
			}
		}
	}
	var all []backend
	for i := range v.now.Status.Pools {
		p := &v.now.Status.Pools[i]
		for _, b := range p.Backends {
			x := backend{pool: p.Name, BackendStatus: b}
			if was := before[[2]string{p.Name, b.Address}]; was != nil {
				x.perSecond, x.in, x.out = v.rate(b.Total, was.Total), v.rate(b.BytesIn, was.BytesIn), v.rate(b.BytesOut, was.BytesOut)
			}
			all = append(all, x)
		}
	}
	return all
}

// poolSum is one pool with the sum of its backends.
type poolSum struct {
	name               string
	up, backends       int
	open               int64
	failures           uint64
	perSecond, in, out float64
}

// pools are all there are, in the order of the configuration.
func (v *View) pools(backends []backend) []poolSum {
	all := make([]poolSum, len(v.now.Status.Pools))
	at := make(map[string]*poolSum, len(all))
	for i := range v.now.Status.Pools {
		p := &v.now.Status.Pools[i]
		all[i] = poolSum{name: p.Name, backends: len(p.Backends), open: p.Active}
		at[p.Name] = &all[i]
	}
	for i := range backends {
		b, p := &backends[i], at[backends[i].pool]
		if b.Up {
			p.up++
		}
		p.failures += b.Failures
		p.perSecond, p.in, p.out = p.perSecond+b.perSecond, p.in+b.in, p.out+b.out
	}
	return all
}

// name is one server name that clients asked for.
type name struct {
	name, pool string // pool is "" if no route took it
	count      uint64
	perSecond  float64
	idle       float64 // seconds since the last one
}

// names are those of the sample, with and without a route.
func (v *View) names() []name {
	before := map[string]uint64{}
	if v.before != nil {
		for _, n := range slices.Concat(v.before.Names.Routed, v.before.Names.Unrouted) {
			before[n.Name] += n.Count
		}
	}
	all := map[string]*name{}
	for _, n := range slices.Concat(v.now.Names.Routed, v.now.Names.Unrouted) {
		idle := max(v.now.At.Sub(n.Last).Seconds(), 0)
		if x := all[n.Name]; x != nil { // with a route and without, as routes came and went
			x.count, x.pool, x.idle = x.count+n.Count, cmp.Or(x.pool, n.Pool), min(x.idle, idle)
			continue
		}
		all[n.Name] = &name{name: n.Name, pool: n.Pool, count: n.Count, idle: idle}
	}
	var list []name
	for _, key := range slices.Sorted(maps.Keys(all)) {
		x := all[key]
		if was, ok := before[key]; ok {
			x.perSecond = v.rate(x.count, was)
		}
		list = append(list, *x)
	}
	return list
}
