package configs

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/configs/internal/file"
	"github.com/seed-23b4a313/switchyard/route"
)

// certificates opens what a route terminates with; nil if something is wrong with it.
func (c *checker) certificates(r *file.Route) *certs.Set {
	t := r.Terminate
	cfg, sound := c.certificateFiles(t)
	if !t.Has("certificates") && !t.Has("directories") && !t.Has("acme") {
		if t.Sound() {
			c.errorf(t, "", "route %q: terminate needs certificates, directories or acme", r.Name.V)
		}
		return nil
	}
	if !sound {
		return nil
	}
	cfg.Hosts = coverable(r)
	set := c.openCertificates(cfg, func(e *certs.Error, say saying) { c.certificateMistake(t, e, say) })
	if set == nil {
		return nil
	}
	if t.ACME != nil {
		m := c.acme(r, set)
		if m == nil {
			return nil
		}
		set.Order(m)
	}
	c.oneDefault(r, set)
	c.covered(r, set)
	c.coveredWithoutName(r, set)
	return set
}

// oneDefault points at defaults that are never shown: of those that a client can use the first one of the preferred kind is.
func (c *checker) oneDefault(r *file.Route, set *certs.Set) {
	seen := map[string]string{}
	for i, p := range set.Pairs() {
		at := &r.Terminate.Certificates[i]
		if !at.Default.V {
			continue
		}
		kind, _, _ := strings.Cut(p.Key, " ")
		if kind != "RSA" {
			kind = p.Key // a client may know one curve and not the other
		}
		if first := seen[kind]; first != "" {
			c.warnf(at.Default, "", "route %q: this default is never shown: %s is one, too, with the same kind of key", r.Name.V, first)
			continue
		}
		seen[kind] = at.Cert.V
	}
}

// certificateFiles returns the files that a route terminates with, and whether they could all be read from the text.
func (c *checker) certificateFiles(t *file.Terminate) (cfg *certs.Config, sound bool) {
	cfg = &certs.Config{}
	// Of a list that could not be read it is not known whether it has a certificate for a host.
	sound = (!t.Has("certificates") || len(t.Certificates) > 0) && (!t.Has("directories") || len(t.Directories) > 0)
	for i := range t.Certificates {
		p := &t.Certificates[i]
		key := p.Key
		if !p.Has("key") {
			key = p.Cert
		}
		sound = sound && p.Cert.IsSet() && key.IsSet()
		cfg.Pairs = append(cfg.Pairs, certs.PairFile{
			Cert: c.path(p.Cert.V), Key: c.path(key.V), Default: p.Default.V, AllowExpired: p.AllowExpired.V,
		})
	}
	for _, d := range t.Directories {
		sound = sound && d.IsSet()
		cfg.Dirs = append(cfg.Dirs, c.path(d.V))
	}
	return cfg, sound
}

// certificateMistake says what is wrong with a file of certificates, called as it is written.
func (c *checker) certificateMistake(t *file.Terminate, e *certs.Error, say saying) {
	switch e.Part {
	case certs.PartCert:
		c.fileMistake("cert", t.Certificates[e.Index].Cert, e, say)
	case certs.PartKey:
		p := &t.Certificates[e.Index]
		if p.Key.IsSet() {
			c.fileMistake("key", p.Key, e, say)
		} else { // it is in the same file
			c.fileMistake("cert", p.Cert, e, say)
		}
	case certs.PartDir:
		c.fileMistake("directories", t.Directories[e.Index], e, say)
	}
}

// fileMistake says what is wrong with the file of a key of the text.
func (c *checker) fileMistake(key string, at file.Path, e *certs.Error, say saying) {
	say(at, c.fileHint(e, at), "%s: %s %w", key, at.V, because{e.Why, e})
}

// fileHint is the hint of a mistake. A command in it has the whole path of the file: it is copied to wherever somebody is.
func (c *checker) fileHint(e *certs.Error, at file.Path) string {
	if errors.Is(e, fs.ErrNotExist) && e.File != at.V {
		return "relative paths start at " + c.dir
	}
	return e.Hint
}

// coverable are the hosts of a route that must have a certificate, "" for hellos without a name.
func coverable(r *file.Route) (hosts []string) {
	for _, h := range r.Hosts {
		if h.IsSet() && isHost(h.V) {
			hosts = append(hosts, h.V)
		}
	}
	if r.NoSNI.V {
		hosts = append(hosts, "")
	}
	return hosts
}

// covered points at the hosts of a route that have no certificate.
func (c *checker) covered(r *file.Route, set *certs.Set) {
	for _, h := range r.Hosts {
		err := set.Covers(h.V)
		if err == nil || !h.IsSet() || !isHost(h.V) {
			continue // what is no host is told elsewhere
		}
		if e, ok := errors.AsType[*certs.Error](err); ok {
			c.errorf(h, e.Hint, "route %q: the certificate for %s: %s %w", r.Name.V, h.V, e.File, because{e.Why, e})
			continue
		}
		hint := "add one, or make one the default with `default: true`"
		if r.Terminate.ACME != nil {
			hint = "acme orders for whole names only: add a certificate or a directory"
		}
		c.errorf(h, hint, "route %q: there is no certificate for %s", r.Name.V, h.V)
	}
}

// coveredWithoutName points at a route that takes hellos without a name and has no certificate for them.
func (c *checker) coveredWithoutName(r *file.Route, set *certs.Set) {
	if r.NoSNI.V && set.Covers("") != nil {
		c.errorf(r.NoSNI, "make one the default with `default: true`", "route %q: there is no certificate for hellos without a server name", r.Name.V)
	}
}

// isHost reports whether a host of a route can be one.
func isHost(host string) bool {
	if host == "*" || strings.HasPrefix(host, "~") {
		return true
	}
	_, err := route.ParseName(strings.TrimPrefix(host, "*."))
	return err == nil
}

// backendFiles opens what is shown to the backends of a pool, and trusted; nil if nothing is named, or something is wrong.
func (c *checker) backendFiles(t *file.BackendTLS) *certs.Set {
	cfg := &certs.Config{CA: c.path(t.CA.V)}
	if t.Cert.IsSet() && t.Key.IsSet() { // otherwise missing or wrong, and said so
		// A default, since a client's certificate need not be for a name. Backends say themselves if it has expired.
		cfg.Pairs = []certs.PairFile{{Cert: c.path(t.Cert.V), Key: c.path(t.Key.V), Default: true, AllowExpired: true, Client: true}}
	}
	if cfg.CA == "" && cfg.Pairs == nil {
		return nil
	}
	return c.openCertificates(cfg, func(e *certs.Error, say saying) { c.backendMistake(t, e, say) })
}

// saying is errorf or warnf of a checker.
type saying = func(at placed, hint, format string, args ...any)

// openCertificates opens cfg, and has tell say what is wrong with each of its files; nil if something is.
func (c *checker) openCertificates(cfg *certs.Config, tell func(e *certs.Error, say saying)) *certs.Set {
	set, err := certs.Open(cfg)
	if wrong, ok := errors.AsType[certs.Errors](err); ok {
		for _, e := range wrong {
			tell(e, c.errorf)
		}
		return nil
	}
	for _, e := range set.Warnings() {
		tell(e, c.warnf)
	}
	return set
}

// backendMistake says what is wrong with a file of TLS towards backends.
func (c *checker) backendMistake(t *file.BackendTLS, e *certs.Error, say saying) {
	switch e.Part {
	case certs.PartCA:
		c.fileMistake("ca", t.CA, e, say)
	case certs.PartKey:
		c.fileMistake("key", t.Key, e, say)
	default:
		c.fileMistake("cert", t.Cert, e, say)
	}
}
