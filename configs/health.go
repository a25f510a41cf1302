package configs

import (
	"strings"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

// health gives the active check of a pool its meaning.
func (c *checker) health(p *file.Pool, h *file.Health) *pool.Check {
	x := &pool.Check{
		Type: h.Type.V, Address: h.Address.V, Port: uint16(h.Port.V), SNI: c.serverName(h.SNI).String(), ALPN: protocols(h.ALPN),
		Interval: h.Interval.V, FastInterval: h.FastInterval.V, Timeout: h.Timeout.V, Rise: h.Rise.V, Fall: h.Fall.V,
		Method: h.Method.V, Path: h.Path.V, Host: h.Host.V, Header: p.ProxyProtocol.V,
	}
	c.healthTimes(p.Name.V, h, x)
	c.healthAddress(p, h)
	c.healthRequest(p.Name.V, h, x)
	c.healthVerify(p.Name.V, h, x)
	c.healthKeys(p.Name.V, h)
	return x
}

// healthTimes holds the times of a check against its interval; a default gives way.
func (c *checker) healthTimes(name string, h *file.Health, x *pool.Check) {
	if x.Timeout > x.Interval && h.Has("timeout") {
		c.errorf(h.Timeout, "", "pool %q: the timeout of a health check (%v) is longer than its interval (%v)", name, x.Timeout, x.Interval)
	}
	if x.FastInterval > x.Interval && h.Has("fast_interval") {
		c.errorf(h.FastInterval, "", "pool %q: the fast_interval of a health check (%v) is longer than its interval (%v)", name, x.FastInterval, x.Interval)
	}
	x.Timeout, x.FastInterval = min(x.Timeout, x.Interval), min(x.FastInterval, x.Interval)
}

// healthAddress checks what is checked in place of the backends.
func (c *checker) healthAddress(p *file.Pool, h *file.Health) {
	addr, source := h.Address.V, p.Source.V
	if !addr.IsValid() {
		return
	}
	if why := file.Forbidden(addr); why != "" {
		c.errorf(h.Address, "", "pool %q: %s is %s: no backend can be there", p.Name.V, addr, why)
	}
	if source.IsValid() && addr.Is4() != source.Is4() {
		c.errorf(h.Address, "", "pool %q: %s cannot be reached from the source address %s: one is IPv4, the other IPv6",
			p.Name.V, addr, source)
	}
}

// healthRequest checks the parts of an HTTP request, and fills in what only such checks have.
func (c *checker) healthRequest(name string, h *file.Health, x *pool.Check) {
	for _, s := range h.ExpectStatus {
		if s.IsSet() && (s.V < 100 || s.V > 599) {
			c.errorf(s, "", "pool %q: expect_status: there is no HTTP status %d: they are 100 to 599", name, s.V)
		}
		x.ExpectStatus = append(x.ExpectStatus, s.V)
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
	if x.Type.HTTP() && x.Method == "" {
		x.Method = "GET"
	}
	if x.Type.HTTP() && x.Path == "" {
		x.Path = "/"
	}
}

// healthVerify reads the authorities. A check that verifies by none, or has some and does not verify, is a mistake.
func (c *checker) healthVerify(name string, h *file.Health, x *pool.Check) {
	x.Verify = h.Verify.V
	switch {
	case x.Verify == pool.VerifyCA && !h.Has("ca"):
		c.errorf(h.Verify, "add `ca: FILE`", "pool %q: a health check with verify: ca needs ca", name)
	case x.Verify != pool.VerifyCA && h.Has("ca"):
		c.errorf(h.CA, "add `verify: ca`, or remove ca", "pool %q: a health check uses ca with verify: ca only", name)
	case h.CA.IsSet():
		if set := c.healthAuthorities(h.CA); set != nil {
			x.CA = set
		}
	}
}

// healthAuthorities opens a file of authorities, once for all pools that name it; nil if something is wrong.
func (c *checker) healthAuthorities(at file.Path) *certs.Set {
	path := c.path(at.V)
	if set := c.trusted[path]; set != nil {
		return set
	}
	set := c.openCertificates(&certs.Config{CA: path}, func(e *certs.Error, say saying) { c.fileMistake("ca", at, e, say) })
	if set != nil {
		if c.trusted == nil {
			c.trusted = map[string]*certs.Set{}
		}
		c.trusted[path] = set
	}
	return set
}

// healthKeys refuses keys that the type of the check has no use for.
func (c *checker) healthKeys(name string, h *file.Health) {
	secure, web := []string{"tls", "https"}, []string{"http", "https"}
	uses := map[string][]string{
		"sni": secure, "alpn": secure, "verify": secure, "ca": secure,
		"method": web, "path": web, "host": web, "expect_status": web,
	}
	for _, key := range []string{"sni", "alpn", "verify", "ca", "method", "path", "host", "expect_status"} {
		if u, is := uses[key], h.Type.V.String(); h.Has(key) && is != u[0] && is != u[1] {
			c.errorf(h, "set its type, or remove "+key, "pool %q: a health check of type %s does not use %s; %s and %s do",
				name, is, key, u[0], u[1])
		}
	}
}
