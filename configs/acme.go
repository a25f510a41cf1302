package configs

import (
	"errors"
	"net/url"
	"strings"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/certs/acme"
	"github.com/seed-23b4a313/switchyard/configs/internal/file"
	"github.com/seed-23b4a313/switchyard/route"
)

// acme makes the manager of the certificates that are ordered for a route; nil if something is wrong with its keys.
func (c *checker) acme(r *file.Route, set *certs.Set) *acme.Manager {
	a, mistakes := r.Terminate.ACME, len(c.mistakes)
	cfg := acme.Config{
		Names: ordered(r, set), Directory: c.directoryURL(a), Email: c.email(a.Email), Storage: c.path(a.Storage.V), HTTPBind: a.HTTPBind.V,
		Key: a.KeyType.V, Binding: c.binding(a),
	}
	for _, challenge := range a.Challenges {
		cfg.TLSALPN = cfg.TLSALPN || challenge.V == file.TLSALPN01
		cfg.HTTP = cfg.HTTP || challenge.V == file.HTTP01
	}
	if a.Agree.IsSet() && !a.Agree.V {
		c.errorf(a.Agree, "read the terms of the authority, and say `agree: true`", "acme: nothing can be ordered without agreement")
	}
	if a.HTTPBind.IsSet() && !cfg.HTTP {
		c.warnf(a.HTTPBind, "add http-01 to challenges", "acme: http_bind is only for the challenge http-01")
	}
	if a.CA.IsSet() {
		cfg.Roots = c.authorities(a.CA)
	}
	if len(cfg.Names) == 0 && len(r.Hosts) > 0 {
		c.warnf(a, "", "route %q: acme has nothing to order: no host needs a certificate and is a whole name", r.Name.V)
	}
	if len(c.mistakes) > mistakes || !a.Storage.IsSet() || !a.Agree.V {
		return nil
	}
	m, err := acme.New(cfg)
	if err != nil {
		c.errorf(a.Storage, "it is to be a directory of mode 0700, with keys of mode 0600, or nothing yet", "storage: %s %w", a.Storage.V, err)
		return nil
	}
	return m
}

// binding is what an account of an authority is tied to.
func (c *checker) binding(a *file.ACME) acme.Binding {
	e := a.EAB
	if e == nil {
		return acme.Binding{}
	}
	if strings.ContainsFunc(e.Kid.V, func(r rune) bool { return r <= ' ' || r > '~' }) {
		c.errorf(e.Kid, "copy it as the authority gave it", "kid: %q is no key identifier: that is printable ASCII without spaces", e.Kid.V)
	}
	if !a.DirectoryURL.IsSet() {
		c.warnf(e, "directory_url names the authority that gave it", "acme: Let's Encrypt has no use for eab")
	}
	b := acme.Binding{KeyID: e.Kid.V, File: c.path(e.HMACKeyFile.V)}
	if !e.HMACKeyFile.IsSet() {
		return b // missing or wrong, and said so
	}
	warning, err := b.Check()
	if warning != nil {
		c.fileMistake("hmac_key_file", e.HMACKeyFile, warning, c.warnf)
	}
	if wrong, ok := errors.AsType[*certs.Error](err); ok {
		if c.pasted("hmac_key_file", e.HMACKeyFile, wrong) {
			return b
		}
		c.fileMistake("hmac_key_file", e.HMACKeyFile, wrong, c.errorf)
	}
	return b
}

// ordered are the hosts of a route to order certificates for: whole names that have none, or only the default.
func ordered(r *file.Route, set *certs.Set) (names []string) {
	for _, h := range r.Hosts {
		name, err := route.ParseName(h.V)
		if err != nil || name.IsZero() {
			continue
		}
		has, err := set.Choices(name.String())
		if errors.Is(err, certs.ErrNone) || len(has) > 0 && has[0].Default { // one that cannot be read is a mistake, and no reason to order
			names = append(names, name.String())
		}
	}
	return names
}

// directoryURL returns where the authority is asked.
func (c *checker) directoryURL(a *file.ACME) string {
	own := a.DirectoryURL
	switch {
	case own.IsSet() && a.Staging.V:
		c.errorf(a.Staging, "remove one of them", "acme: staging is for Let's Encrypt, and directory_url names an authority")
	case a.Staging.V:
		return acme.LetsEncryptStaging
	case !own.IsSet():
		return acme.LetsEncrypt
	}
	u, err := url.Parse(own.V)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		c.errorf(own, "for example https://acme.example.net/directory", "directory_url: %q is no URL that starts with https://", own.V)
	}
	return own.V
}

// email checks an address just enough to find a wrong one by.
func (c *checker) email(t file.Text) string {
	user, host, ok := strings.Cut(t.V, "@")
	if t.IsSet() && (!ok || user == "" || host == "" || strings.ContainsAny(t.V, " \t\r\n<>,;") || strings.Contains(host, "@")) {
		c.errorf(t, "for example hostmaster@example.com", "email: %q is no address", t.V)
	}
	return t.V
}
