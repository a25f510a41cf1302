package configs

import (
	"strconv"
	"strings"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/configs/internal/file"
	"github.com/seed-23b4a313/switchyard/route"
)

// Features are the settings of a pool that the balancer does not know yet: checked, and kept for whoever needs them.
type Features struct {
	Health    *Health       // nil: no active checks
	Outlier   *Outlier      // nil: never ejected
	SlowStart time.Duration // 0: full share at once
}

// Health is an active check of backends.
type Health struct {
	Type         string     // "tcp", "tls", "http" or "https"
	SNI          route.Name // server name to send; zero: none
	ALPN         []string   // protocols to offer
	Interval     time.Duration
	Timeout      time.Duration // <= Interval
	Rise, Fall   int           // checks in a row, >= 1
	Port         uint16        // 0: the backend's own
	Method       string        // of http and https
	Path         string        // of http and https; starts with "/"
	Host         string        // of http and https; "": the SNI, or the backend's address
	ExpectStatus []int         // empty: 200 to 399
}

// Outlier says when a backend that fails real connections is left out.
type Outlier struct {
	Failures   int // in a row
	Eject      time.Duration
	MaxEjected int // percent of the pool
}

func (c *checker) pools(pools []file.Pool) ([]pool.Config, map[string]Features) {
	all := make([]pool.Config, len(pools))
	features := map[string]Features{}
	for i := range pools {
		p := &pools[i]
		all[i] = c.onePool(p)
		if x := c.features(p); x != (Features{}) {
			features[p.Name.V] = x
		}
	}
	return all, features
}

func (c *checker) onePool(p *file.Pool) pool.Config {
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
			Host: b.Address.Host, Addr: b.Address.Addr,
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

func (c *checker) features(p *file.Pool) Features {
	x := Features{SlowStart: p.SlowStart.V}
	if p.Health != nil {
		x.Health = c.health(p.Name.V, p.Health)
		c.inactive(p.Health, p.Name.V, "health", "backends are not checked")
	}
	if o := p.Outlier; o != nil {
		x.Outlier = &Outlier{Failures: o.Failures.V, Eject: o.Eject.V, MaxEjected: o.MaxEjected.V}
		c.inactive(o, p.Name.V, "outlier", "backends that fail are not left out")
	}
	if p.SlowStart.V > 0 {
		c.inactive(p.SlowStart, p.Name.V, "slow_start", "a new backend gets its full share at once")
	}
	return x
}

// inactive warns of a key that is checked and not acted upon.
func (c *checker) inactive(at placed, name, key, effect string) {
	c.warnf(at, "", "pool %q: this version does not act on %s; %s", name, key, effect)
}

func (c *checker) health(name string, h *file.Health) *Health {
	x := &Health{
		Type: h.Type.V, SNI: c.serverName(h.SNI), ALPN: protocols(h.ALPN),
		Interval: h.Interval.V, Timeout: h.Timeout.V, Rise: h.Rise.V, Fall: h.Fall.V, Port: uint16(h.Port.V),
		Method: h.Method.V, Path: h.Path.V, Host: h.Host.V,
	}
	for _, s := range h.ExpectStatus {
		if s.IsSet() && (s.V < 100 || s.V > 599) {
			c.errorf(s, "", "pool %q: expect_status: there is no HTTP status %d: they are 100 to 599", name, s.V)
		}
		x.ExpectStatus = append(x.ExpectStatus, s.V)
	}
	if x.Timeout > x.Interval && h.Has("timeout") {
		c.errorf(h.Timeout, "", "pool %q: the timeout of a health check (%v) is longer than its interval (%v)", name, x.Timeout, x.Interval)
	} else if x.Timeout > x.Interval {
		x.Timeout = x.Interval // a default gives way
	}
	if h.Method.IsSet() && strings.Trim(h.Method.V, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		c.errorf(h.Method, "for example HEAD", "pool %q: method: %q is no HTTP method", name, h.Method.V)
	}
	if h.Path.IsSet() && (h.Path.V[0] != '/' || strings.ContainsAny(h.Path.V, " \t\r\n")) {
		c.errorf(h.Path, "", "pool %q: path: %q must start with \"/\" and hold no blanks", name, h.Path.V)
	}
	if h.Host.IsSet() && strings.ContainsAny(h.Host.V, " \t\r\n/") {
		c.errorf(h.Host, "", "pool %q: host: %q is no host", name, h.Host.V)
	}
	c.healthKeys(name, h)
	x.defaults()
	return x
}

// defaults fills in what only HTTP checks have.
func (h *Health) defaults() {
	if h.Type != "http" && h.Type != "https" {
		return
	}
	if h.Method == "" {
		h.Method = "GET"
	}
	if h.Path == "" {
		h.Path = "/"
	}
}

// healthKeys refuses keys that the type of the check has no use for.
func (c *checker) healthKeys(name string, h *file.Health) {
	web := []string{"http", "https"}
	uses := map[string][]string{
		"sni": {"tls", "https"}, "alpn": {"tls", "https"},
		"method": web, "path": web, "host": web, "expect_status": web,
	}
	for _, key := range []string{"sni", "alpn", "method", "path", "host", "expect_status"} {
		if u := uses[key]; h.Has(key) && h.Type.V != u[0] && h.Type.V != u[1] {
			c.errorf(h, "set its type, or remove "+key, "pool %q: a health check of type %s does not use %s; %s and %s do",
				name, h.Type.V, key, u[0], u[1])
		}
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
	if t.Host != "" {
		return t.Host + ":" + strconv.Itoa(int(t.Addr.Port()))
	}
	return t.Addr.String()
}
