package configs

import (
	"net/netip"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/configs/internal/file"
	"github.com/seed-23b4a313/switchyard/route"
)

func (c *checker) listeners(f *file.File, n *names) []balancer.ListenerConfig {
	all := make([]balancer.ListenerConfig, len(f.Listeners))
	for i := range f.Listeners {
		all[i] = c.oneListener(&f.Listeners[i], n)
	}
	return all
}

func (c *checker) oneListener(l *file.Listener, n *names) balancer.ListenerConfig {
	cfg := balancer.ListenerConfig{
		Name:           l.Name.V,
		HelloTimeout:   l.HelloTimeout.V,
		HelloMaxSize:   l.HelloMaxSize.V,
		MaxConnections: l.MaxConnections.V,
		NoSNI:          c.action("no_sni", l.NoSNI, n),
		UnknownSNI:     c.action("unknown_sni", l.UnknownSNI, n),
		NotTLS:         reject(l.NotTLS.Reject.V),
	}
	for _, b := range l.Bind {
		cfg.Bind = append(cfg.Bind, b.V)
	}
	if p := l.ProxyProtocol; p != nil {
		cfg.ProxyFrom, cfg.ProxyOptional = prefixes(p.From), p.Optional.V
	}
	return cfg
}

// action gives no_sni and unknown_sni their meaning: a pool, or a way to refuse.
func (c *checker) action(key string, a *file.Action, n *names) route.Action {
	c.pool(n, a.Pool)
	switch {
	case a.Has("pool") && a.Has("reject"):
		c.errorf(a, "remove one of them", "%s has both pool and reject", key)
	case a.Pool.IsSet():
		return route.Action{Targets: []route.Target{{Pool: a.Pool.V, Weight: 1}}}
	case !a.Has("pool") && !a.Has("reject") && a.Sound():
		c.errorf(a, "for example {reject: alert}", "%s needs one of pool and reject", key)
	}
	return route.Action{Reject: reject(a.Reject.V)}
}

func reject(w file.RejectWord) route.Reject {
	switch w {
	case file.Alert:
		return route.RejectAlert
	case file.Close:
		return route.RejectClose
	case file.Reset:
		return route.RejectReset
	}
	return route.RejectNone
}

func prefixes(list []file.Prefix) []netip.Prefix {
	var all []netip.Prefix
	for _, p := range list {
		if p.IsSet() {
			all = append(all, p.V)
		}
	}
	return all
}
