package route

import (
	"fmt"
	"net/netip"
)

// maxProtocol is the longest ALPN protocol name (RFC 7301 §3.1: one length byte).
const maxProtocol = 255

func (p *plan) checkListeners() {
	for i := range p.set.Listeners {
		l := &p.set.Listeners[i]
		title := fmt.Sprintf("listener %q", l.Name)
		c := about(kindMissing).at("name", -1)
		c.Listener = i
		if l.Name == "" {
			title = fmt.Sprintf("listeners[%d]", i)
			p.report(c, "%s: has no name", title)
		} else if first, ok := p.listeners[l.Name]; ok {
			c.Kind, c.Other = kindDuplicate, first
			p.report(c, "%s: listeners[%d] has this name already", title, first)
		} else {
			p.listeners[l.Name] = i
		}
		p.checkFallback(i, title, "no_sni", &l.NoSNI)
		p.checkFallback(i, title, "unknown_sni", &l.UnknownSNI)
	}
}

func (p *plan) checkFallback(listener int, title, field string, a *Action) {
	c := about(kindBadAction).at(field, -1)
	c.Listener = listener
	if !a.isZero() {
		p.checkAction(c, title+": "+field, a)
	}
}

func (p *plan) checkPools() {
	for i, name := range p.set.Pools {
		c := about(kindMissing).at("pools", i)
		if name == "" {
			p.report(c, "pools[%d]: has no name", i)
		} else if first, ok := p.pools[name]; ok {
			c.Kind, c.Other = kindDuplicate, first
			p.report(c, "pool %q: pools[%d] has this name already", name, first)
		} else {
			p.pools[name] = i
		}
	}
}

func (p *plan) checkRoutes() {
	names := make(map[string]int, len(p.set.Routes))
	for i := range p.set.Routes {
		r := &p.set.Routes[i]
		p.checkRouteName(i, names)
		if len(r.Hosts) == 0 {
			p.report(p.route(kindMissing, i, "hosts"), `%s: no hosts; "*" matches any name`, p.title(i))
		}
		p.checkALPN(i)
		p.checkClients(i)
		p.checkListenerNames(i)
		p.checkRouteAction(i)
	}
}

func (p *plan) checkRouteName(i int, names map[string]int) {
	name := p.set.Routes[i].Name
	c := p.route(kindMissing, i, "name")
	if name == "" {
		p.report(c, "%s: has no name", p.title(i))
		return
	}
	first, ok := names[name]
	if !ok {
		names[name] = i
		return
	}
	c.Kind, c.Other = kindDuplicate, first
	p.report(c, "%s: routes[%d] has this name already", p.title(i), first)
}

func (p *plan) checkALPN(i int) {
	for j, proto := range p.set.Routes[i].ALPN {
		if proto == "" || len(proto) > maxProtocol {
			c := p.route(kindBadALPN, i, "alpn").at("alpn", j)
			p.report(c, "%s: alpn %q: a protocol name has 1 to %d bytes", p.title(i), proto, maxProtocol)
		}
	}
}

// checkClients refuses IPv4 prefixes in IPv6 clothes: ::ffff:10.0.0.0/8 looks like 10.0.0.0/8 and is, with 8 of 128 bits,
// all of IPv4 (CVE-2026-90711). Clients are unmapped before they are compared, so nobody needs one.
func (p *plan) checkClients(i int) {
	for j, prefix := range p.set.Routes[i].Clients {
		c := p.route(kindBadClient, i, "clients").at("clients", j)
		switch {
		case !prefix.IsValid():
			p.report(c, "%s: clients[%d]: not a prefix", p.title(i), j)
		case prefix.Addr().Is4In6():
			p.report(c, "%s: client %s: an IPv4 address mapped into IPv6; write %s", p.title(i), prefix, unmapped(prefix))
		}
	}
}

// unmapped suggests what a mapped prefix was meant to be.
func unmapped(p netip.Prefix) netip.Prefix {
	bits := p.Bits()
	if bits >= 96 {
		bits -= 96
	}
	return netip.PrefixFrom(p.Addr().Unmap(), min(bits, 32))
}

func (p *plan) checkListenerNames(i int) {
	for j, name := range p.set.Routes[i].Listeners {
		if _, ok := p.listeners[name]; !ok {
			c := p.route(kindUnknownListener, i, "listeners").at("listeners", j)
			p.report(c, "%s: unknown listener %q", p.title(i), name)
		}
	}
}

func (p *plan) checkRouteAction(i int) {
	r := &p.set.Routes[i]
	switch {
	case r.Action.isZero():
		p.report(p.route(kindBadAction, i, ""), "%s: says nothing to do; give it a pool, a split or a reject", p.title(i))
	case len(r.Action.Targets) == 1:
		p.checkAction(p.route(kindBadAction, i, "pool"), p.title(i), &r.Action)
	default:
		p.checkAction(p.route(kindBadAction, i, "split"), p.title(i), &r.Action)
	}
	if r.Terminate != nil && r.Action.Reject != RejectNone {
		p.report(p.route(kindBadAction, i, "terminate"), "%s: terminate and reject exclude each other", p.title(i))
	}
}

// checkAction checks an action that is not zero. c points at it.
func (p *plan) checkAction(c Conflict, title string, a *Action) {
	if a.Reject != RejectNone {
		p.checkReject(c, title, a)
	}
	weights := 0
	for i, t := range a.Targets {
		weights += min(max(t.Weight, 0), 1)
		if len(a.Targets) > 1 {
			c = c.at(c.Field, i)
		}
		p.checkTarget(c, title, t)
	}
	if len(a.Targets) > 0 && weights == 0 {
		p.report(c.at(c.Field, -1), "%s: no pool has a weight above 0", title)
	}
}

func (p *plan) checkReject(c Conflict, title string, a *Action) {
	if c.Route >= 0 {
		c = c.at("reject", -1)
	}
	if int(a.Reject) >= len(rejectWords) {
		p.report(c, "%s: %s is no way to reject", title, a.Reject)
	}
	if len(a.Targets) > 0 {
		p.report(c, "%s: a pool and a reject exclude each other", title)
	}
}

func (p *plan) checkTarget(c Conflict, title string, t Target) {
	if t.Weight < 0 || t.Weight > maxWeight {
		p.report(c, "%s: pool %q: weight %d is not in 0 to %d", title, t.Pool, t.Weight, maxWeight)
	}
	if _, ok := p.pools[t.Pool]; !ok {
		c.Kind = kindUnknownPool
		p.report(c, "%s: unknown pool %q", title, t.Pool)
	}
}

// route starts a Conflict that points at a field of a route.
func (p *plan) route(kind string, route int, field string) Conflict {
	c := about(kind).at(field, -1)
	c.Route = route
	return c
}
