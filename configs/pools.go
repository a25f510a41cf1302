package configs

import (
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/configs/internal/file"
	"github.com/seed-23b4a313/switchyard/route"
)

func (c *checker) pools(pools []file.Pool) []pool.Config {
	all := make([]pool.Config, len(pools))
	for i := range pools {
		all[i] = c.onePool(&pools[i])
	}
	return all
}

func (c *checker) onePool(p *file.Pool) pool.Config {
	c.progress.step("pool", p.Name.V, p.Health != nil || p.TLS != nil)
	if p.Has("hash") && p.Balance.V != pool.Maglev {
		c.errorf(p.Hash, "add `balance: maglev`, or remove hash", "pool %q: hash is only for balance: maglev", p.Name.V)
	}
	cfg := pool.Config{
		Name:             p.Name.V,
		Balance:          p.Balance.V,
		Hash:             p.Hash.V,
		Backends:         c.backends(p),
		MaxConnections:   p.MaxConnections.V,
		ConnectTimeout:   p.ConnectTimeout.V,
		AnswerTimeout:    p.AnswerTimeout.V,
		SetupTimeout:     p.SetupTimeout.V,
		IdleTimeout:      p.IdleTimeout.V,
		HalfCloseTimeout: p.HalfCloseTimeout.V,
		StalledTimeout:   p.StalledTimeout.V,
		DrainTimeout:     p.DrainTimeout.V,
		Attempts:         p.Attempts.V,
		Header:           p.ProxyProtocol.V,
		Source:           p.Source.V,
		SlowStart:        p.SlowStart.V,
		PanicBelow:       p.PanicBelow.V,
		QueueTimeout:     p.QueueTimeout.V,
		QueueSize:        p.QueueSize.V,
		AcmeFanout:       p.AcmeFanout.V,
	}
	if p.Health != nil {
		cfg.Health = c.health(p, p.Health)
	}
	if o := p.Outlier; o != nil {
		cfg.Outlier = &pool.Outlier{Failures: o.Failures.V, Eject: o.Eject.V, MaxEjected: o.MaxEjected.V}
	}
	if p.TLS != nil {
		cfg.TLS = c.backendTLS(p.Name.V, p.TLS)
	}
	return cfg
}

func (c *checker) backends(p *file.Pool) []pool.BackendConfig {
	seen := make(map[string]file.At, len(p.Backends))
	var all []pool.BackendConfig
	weights, sound := 0, len(p.Backends) > 0
	for i := range p.Backends {
		b := &p.Backends[i]
		sound = sound && b.Address.IsSet()
		weights += b.Weight.V
		c.oneBackend(p, b, seen)
		all = append(all, pool.BackendConfig{
			Host: b.Address.Host, Service: b.Address.Service, Addr: b.Address.Addr,
			Weight: b.Weight.V, MaxConnections: b.MaxConnections.V, Backup: b.Backup.V,
		})
	}
	if sound && weights == 0 {
		c.warnf(p.Backends[0], "", "pool %q: every backend has weight 0; its connections are refused", p.Name.V)
	}
	return all
}

// oneBackend checks a backend beside those before it, whose places are in seen.
func (c *checker) oneBackend(p *file.Pool, b *file.Backend, seen map[string]file.At) {
	if !b.Address.IsSet() {
		return // missing or wrong, and said so
	}
	text := targetText(b.Address)
	if first, ok := seen[text]; ok {
		c.errorf(b.Address, "give one of them a larger weight instead", "pool %q: a second backend %s; the first is on %s",
			p.Name.V, text, c.line(first, b.Address.At))
		return
	}
	seen[text] = b.Address.At
	addr, source := b.Address.Addr.Addr(), p.Source.V
	if addr.IsValid() && source.IsValid() && addr.Is4() != source.Is4() {
		c.errorf(b.Address, "", "pool %q: %s cannot be reached from the source address %s: one is IPv4, the other IPv6",
			p.Name.V, text, source)
	}
}

// serverName checks a name to send as SNI.
func (c *checker) serverName(t file.Text) route.Name {
	if !t.IsSet() {
		return route.Name{}
	}
	n, err := route.ParseName(t.V)
	if err != nil {
		c.errorf(t, "", "sni: %q is no host name", t.V)
	}
	return n
}

// targetText writes a backend as the file would.
func targetText(t file.Target) string {
	b := pool.BackendConfig{Host: t.Host, Service: t.Service, Addr: t.Addr}
	return b.Text()
}
