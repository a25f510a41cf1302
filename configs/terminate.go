package configs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/certs/acme"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

// terminate makes the policy of a route whose TLS ends here; nil if something is wrong with it.
func (c *checker) terminate(r *file.Route) *terminate.Policy {
	name, t := r.Name.V, r.Terminate
	set := c.certificates(r)
	cfg := terminate.Config{
		Route: name, ALPN: protocols(t.ALPN), MinVersion: t.MinVersion.V, MaxVersion: t.MaxVersion.V,
		Tickets: c.tickets(t.Tickets), HandshakeTimeout: t.HandshakeTimeout.V,
	}
	for _, s := range t.Ciphers {
		cfg.CipherSuites = append(cfg.CipherSuites, s.V)
	}
	for _, g := range t.Curves {
		cfg.Curves = append(cfg.Curves, g.V)
	}
	if a := t.ClientAuth; a != nil {
		cfg.ClientAuth = &terminate.ClientAuth{CA: c.path(a.CA.V), Require: a.Require.V, CRL: c.path(a.CRL.V)}
	}
	c.conditionMakesSense(r)
	if c.policyMakesSense(name, t); !t.Sound() {
		return nil
	}
	if set != nil {
		cfg.Certificates = set
		c.ciphersMakeSense(name, t, set)
	}
	p, err := terminate.NewPolicy(cfg) // even without certificates, so that all that is wrong is told at once
	if wrong, ok := errors.AsType[terminate.FileErrors](err); ok {
		for _, e := range wrong {
			c.policyMistake(t, e, c.errorf)
		}
		return nil
	}
	for _, w := range p.Warnings() {
		c.policyMistake(t, w, c.warnf)
	}
	if set == nil {
		return nil
	}
	return p
}

// handshakes are the bounds of all clients and of each source, of all listeners and routes together.
func (c *checker) handshakes(f *file.File, b *balancer.Config) {
	h := f.Handshakes
	switch {
	case h == nil || !h.Sound():
		return
	case !h.Has("total") && !h.Has("per_source"):
		c.errorf(h, "for example `per_source: 50/s`", "handshakes bounds neither the total nor a source")
		return
	}
	if h.Has("burst") && !h.Has("per_source") {
		c.errorf(h.Burst, "", "burst is that of a source, and per_source is not there")
	}
	if len(h.Exempt) > 0 && !h.Has("per_source") {
		c.errorf(h, "", "exempt is from per_source, which is not there")
	}
	if !slices.ContainsFunc(f.Routes, func(r file.Route) bool { return r.Terminate != nil }) {
		c.warnf(h, "", "handshakes bounds nothing: TLS ends here on no route (terminate)")
	}
	if h.Total.IsSet() {
		b.HandshakeEvery = time.Minute / time.Duration(h.Total.V)
	}
	if !h.PerSource.IsSet() {
		return // absent, or wrong and said so
	}
	if h.Total.IsSet() && h.PerSource.V > h.Total.V {
		c.warnf(h.PerSource, "", "per_source is more than total: one source can take all of it")
	}
	every := time.Minute / time.Duration(h.PerSource.V)
	burst := h.Burst.V
	if !h.Has("burst") {
		burst = max(int(time.Second/every), leastBurst)
	}
	b.Handshakes = balancer.HandshakeRate{Every: every, Burst: burst, Exempt: prefixes(h.Exempt)}
}

// leastBurst is what handshakes allows at once where it does not say: browsers open six connections to a host, and
// to several hosts of a page at once.
const leastBurst = 10

// policyMakesSense points at keys that contradict each other.
func (c *checker) policyMakesSense(name string, t *file.Terminate) {
	c.protocolsMakeSense(t.ALPN)
	low, high := t.MinVersion.V, t.MaxVersion.V
	switch {
	case high != 0 && high < low:
		c.errorf(t.MaxVersion, "", "route %q: max_version is older than min_version", name)
	case low == tls.VersionTLS13 && len(t.Ciphers) > 0:
		c.warnf(t.Ciphers[0], "", "route %q: ciphers are for TLS 1.2, which min_version does not allow", name)
	}
	if high == tls.VersionTLS12 && len(t.Curves) > 0 && !slices.ContainsFunc(t.Curves, worksInTLS12) {
		c.errorf(t.Curves[0], "for example `curves: [X25519MLKEM768, X25519]`, or remove max_version",
			"route %q: these curves are for TLS 1.3, which max_version does not allow: no client could connect", name)
	}
	switch k := t.Tickets; {
	case k == nil || len(k.Keys) == 0:
	case !k.Enabled.V:
		c.warnf(k.Keys[0], "", "route %q: no ticket is made with these keys: tickets has enabled: false", name)
	case k.Has("rotate"):
		c.warnf(k.Rotate, "remove it; other keys are taken when the files change", "route %q: rotate is for keys of this process, and tickets has keys from files", name)
	}
}

// conditionMakesSense points at a condition on ALPN that lets in clients who cannot be served: there is no protocol of it that the
// handshake would agree on.
func (c *checker) conditionMakesSense(r *file.Route) {
	ours := protocols(r.Terminate.ALPN)
	if len(ours) == 0 || len(r.ALPN) == 0 || slices.ContainsFunc(protocols(r.ALPN), func(p string) bool {
		return p == certs.ChallengeProtocol || terminate.Speaks(ours, []string{p})
	}) {
		return
	}
	c.warnf(r.ALPN[0], "let terminate's alpn have one of them", "route %q: of the protocols that alpn wants, its terminate speaks none (%s): "+
		"clients that offer nothing else besides are refused (no_common_protocol)", r.Name.V, strings.Join(ours, ", "))
}

// theirProtocols is what ALPN calls protocols that are often written otherwise (IANA, TLS ALPN Protocol IDs).
var theirProtocols = map[string]string{
	"http2": "h2", "http/2": "h2", "http/2.0": "h2", "h2c": "h2", "http1": "http/1.1", "http/1": "http/1.1", "http1.1": "http/1.1", "http/1.1": "http/1.1",
}

// protocolsMakeSense points at names of protocols that no client and no backend knows. Others may be names of anybody's own.
func (c *checker) protocolsMakeSense(all []file.Protocol) {
	for _, p := range all {
		if meant := theirProtocols[strings.ToLower(p.V)]; meant != "" && meant != p.V {
			c.warnf(p, fmt.Sprintf("did you mean %q?", meant), "alpn: %q is not how ALPN calls that protocol: nobody offers it", p.V)
		}
	}
}

// worksInTLS12 reports whether a group is not one of TLS 1.3 alone (draft-ietf-tls-ecdhe-mlkem). Of one that could not be read
// there is worse to say.
func worksInTLS12(g file.Choice[tls.CurveID, file.Curves]) bool {
	return !slices.Contains([]tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024}, g.V)
}

// ciphersMakeSense points at ciphers none of which is for the key of any certificate. What directories have is not known.
func (c *checker) ciphersMakeSense(name string, t *file.Terminate, set *certs.Set) {
	if len(t.Ciphers) == 0 || len(t.Directories) > 0 || t.MinVersion.V == tls.VersionTLS13 {
		return
	}
	keys := map[string]bool{} // as the names of suites have them
	for _, p := range set.Pairs() {
		keys[terminate.KeyOfSuites(p.Certificate.Leaf.PublicKey)] = true
	}
	if a := t.ACME; a != nil {
		keys[orderedKey(a.KeyType.V)] = true
	}
	if len(keys) == 0 {
		return // there is worse to say
	}
	for _, s := range t.Ciphers {
		for key := range keys {
			if strings.Contains(tls.CipherSuiteName(s.V), "_"+key+"_") {
				return
			}
		}
	}
	say, clients := c.warnf, "no client of TLS 1.2"
	if t.MaxVersion.V == tls.VersionTLS12 {
		say, clients = c.errorf, "no client"
	}
	wanted := slices.Sorted(maps.Keys(keys))
	say(t.Ciphers[0], "for example TLS_ECDHE_"+wanted[0]+"_WITH_AES_128_GCM_SHA256",
		"route %q: none of these ciphers is for the keys of its certificates (%s): %s can connect", name, strings.Join(wanted, ", "), clients)
}

// orderedKey is what suites of TLS 1.2 call a key that ACME orders a certificate for.
func orderedKey(t acme.KeyType) string {
	if t == acme.RSA2048 || t == acme.RSA4096 {
		return "RSA"
	}
	return "ECDSA"
}

func (c *checker) tickets(t *file.Tickets) terminate.Tickets {
	if t == nil {
		return terminate.Tickets{}
	}
	x := terminate.Tickets{Off: !t.Enabled.V, Rotate: t.Rotate.V}
	for _, k := range t.Keys {
		x.Files = append(x.Files, c.path(k.V))
	}
	return x
}

// policyMistake points at the file that is wrong.
func (c *checker) policyMistake(t *file.Terminate, wrong *terminate.FileError, say saying) {
	files := map[string]file.Path{}
	if a := t.ClientAuth; a != nil {
		files["ca"], files["crl"] = a.CA, a.CRL
	}
	if t.Tickets != nil {
		for i, k := range t.Tickets.Keys {
			files[fmt.Sprintf("keys[%d]", i)] = k
		}
	}
	at := files[wrong.Key]
	switch {
	case !at.IsSet(): // missing or wrong, and said so
		return
	case strings.HasPrefix(wrong.Key, "keys") && c.pasted(wrong.Key, at, wrong):
		return
	}
	hint := wrong.Hint
	if errors.Is(wrong, fs.ErrNotExist) && wrong.File != at.V {
		hint = "relative paths start at " + c.dir
	}
	say(at, hint, "%s: %s: %w", wrong.Key, at.V, because{wrong.Why, wrong})
}

func (c *checker) backendTLS(name string, t *file.BackendTLS) *terminate.BackendTLS {
	c.protocolsMakeSense(t.ALPN)
	x := &terminate.BackendTLS{SNI: c.serverName(t.SNI).String(), Insecure: !t.Verify.V, ALPN: protocols(t.ALPN)}
	if t.Has("ca") && !t.Verify.V {
		c.errorf(t, "remove one of them", "pool %q: tls has a ca to trust, and verify: false", name)
	}
	if t.Has("cert") != t.Has("key") {
		c.errorf(t, "", "pool %q: tls needs cert and key together", name)
	}
	x.Files = c.backendFiles(t)
	return x
}

// authorities reads a file of certificates to trust. A file that is missing or holds none is a mistake: to go on without it
// would be to trust somebody else.
func (c *checker) authorities(p file.Path) *x509.CertPool {
	data, ok := c.readFile("ca", p)
	if !ok {
		return nil
	}
	all, wrong := certs.Authorities(c.path(p.V), data)
	if wrong != nil {
		c.errorf(p, wrong.Hint, "ca: %s %s", p.V, wrong.Why)
		return nil
	}
	authorities := x509.NewCertPool()
	for _, cert := range all {
		authorities.AddCert(cert)
	}
	return authorities
}

// readFile reads a file that a key of the configuration names.
func (c *checker) readFile(key string, p file.Path) ([]byte, bool) {
	if !p.IsSet() {
		return nil, false // missing or wrong, and said so
	}
	data, err := readBounded(c.path(p.V))
	if err == nil {
		return data, true
	}
	hint := ""
	if errors.Is(err, fs.ErrNotExist) && c.path(p.V) != p.V {
		hint = "relative paths start at " + c.dir
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	c.errorf(p, hint, "%s: %s: %w", key, p.V, err)
	return nil, false
}

// maxPEM is the largest file of certificates or keys; the bundle of all public authorities has 0.25 MiB.
const maxPEM = 8 << 20

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if info.Size() > maxPEM {
		return nil, errors.New("larger than 8 MiB")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxPEM))
}
