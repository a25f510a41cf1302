package terminate

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/route"
)

// Config says how TLS is spoken with the clients of a route.
type Config struct {
	// Route is the name of the route. A session is resumed under the same route alone: another one may have the same
	// options for the same server name, and other certificates.
	Route        string
	Certificates certs.Source
	ALPN         []string // the preferred first; empty: none is agreed upon
	MinVersion   uint16   // tls.VersionTLS12 or tls.VersionTLS13; 0: TLS 1.2
	MaxVersion   uint16   // likewise; 0: the newest
	// CipherSuites are those of TLS 1.2, in no order; empty: [DefaultCipherSuites]. Those of TLS 1.3 are all good and cannot
	// be chosen.
	CipherSuites []uint16
	Curves       []tls.CurveID // key exchange groups; empty: those of crypto/tls, X25519MLKEM768 first
	ClientAuth   *ClientAuth   // nil: clients are not asked for a certificate
	Tickets      Tickets
	// HandshakeTimeout bounds a handshake, waiting for its turn included. 0: 5 s.
	HandshakeTimeout time.Duration
}

// defaultHandshakeTimeout is Config.HandshakeTimeout where it is 0.
const defaultHandshakeTimeout = 5 * time.Second

// DefaultCipherSuites are the suites of TLS 1.2 with forward secrecy and authenticated encryption (RFC 9325 §4.2).
func DefaultCipherSuites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}

// Policy is a Config that was checked, with what its connections have in common. It is what [route.Route] carries in
// Terminate. It may be used by any number of goroutines, and starts none.
type Policy struct {
	cfg   Config
	files *trustFiles // nil: no client certificates
	trust atomic.Pointer[trust]
	// usualCiphers says that those of cfg are the default. It is told to people, and no part of what a policy means.
	usualCiphers bool
}

// NewPolicy checks cfg and reads the files it names. The error is [FileErrors], with all that is wrong.
func NewPolicy(cfg Config) (*Policy, error) {
	usual := len(cfg.CipherSuites) == 0
	if cfg.MinVersion == 0 {
		cfg.MinVersion = tls.VersionTLS12
	}
	if len(cfg.CipherSuites) == 0 {
		cfg.CipherSuites = DefaultCipherSuites()
	}
	if cfg.HandshakeTimeout <= 0 {
		cfg.HandshakeTimeout = defaultHandshakeTimeout
	}
	p := &Policy{cfg: cfg, usualCiphers: usual}
	var wrong FileErrors
	var lists revocations
	if cfg.ClientAuth != nil {
		p.files, lists, wrong = openTrust(cfg.ClientAuth)
	}
	var ring *ticketRing
	if !cfg.Tickets.Off {
		var err FileErrors
		ring, err = newTicketRing(&cfg.Tickets)
		wrong = append(wrong, err...)
	}
	if wrong != nil {
		return nil, wrong
	}
	var trusted *authorities
	if p.files != nil {
		trusted = p.files.authorities()
	}
	p.trust.Store(&trust{p.newTerms(trusted, ring), lists})
	return p, nil
}

// ID is the beginning of the digest of what clients of p can notice, by what its files hold now: two routes with the same ID
// speak TLS alike.
func (p *Policy) ID() string { return p.trust.Load().terms.id() }

// Equal reports whether other is a *Policy that means the same, with the same certificates and files. What files hold does not
// matter: both follow them. It is how a reload tells that a route has not changed.
func (p *Policy) Equal(other any) bool {
	o, ok := other.(*Policy)
	if !ok || p == nil || o == nil {
		return ok && p == o
	}
	same, ok := p.cfg.Certificates.(interface{ Equal(any) bool })
	return p.sum(nil) == o.sum(nil) && p.cfg.Route == o.cfg.Route && ok && same.Equal(o.cfg.Certificates) &&
		p.cfg.HandshakeTimeout == o.cfg.HandshakeTimeout && p.cfg.ClientAuth.equal(o.cfg.ClientAuth) &&
		p.cfg.Tickets.equal(&o.cfg.Tickets)
}

func (a *ClientAuth) equal(o *ClientAuth) bool {
	if a == nil || o == nil {
		return a == o
	}
	return *a == *o
}

func (t *Tickets) equal(o *Tickets) bool {
	return t.Off == o.Off && t.Rotate == o.Rotate && slices.Equal(t.Files, o.Files)
}

// Warnings are what NewPolicy found that is allowed, and yet probably not meant.
func (p *Policy) Warnings() (all []*FileError) {
	now, in := time.Now(), p.trust.Load()
	for _, e := range in.lists.ends() {
		w := &FileError{Key: "crl", File: p.cfg.ClientAuth.CRL, Hint: "renew the list"}
		switch {
		case !now.Before(e.end):
			w.Why = fmt.Sprintf("the list of %q expired on %s: its clients are refused", e.issuer, e.end.UTC().Format(time.DateOnly))
		case !now.Before(e.warn):
			w.Why = fmt.Sprintf("the list of %q ends on %s UTC: from then on its clients are refused", e.issuer, e.end.UTC().Format(time.DateTime))
		default:
			continue
		}
		all = append(all, w)
	}
	if in.lists != nil {
		for _, name := range in.lists.without(in.terms.trusted) {
			all = append(all, &FileError{Key: "crl", File: p.cfg.ClientAuth.CRL, Hint: "add it",
				Why: fmt.Sprintf("it holds no list of %q, which is in ca: clients of it are refused", name)})
		}
	}
	if ring := in.terms.tickets; ring != nil {
		for _, f := range ring.files {
			if f.warning != nil {
				all = append(all, f.warning)
			}
		}
	}
	return all
}

// Refusals are the files of client_auth and of ticket keys that have changed and are not taken.
func (p *Policy) Refusals() (all []certs.Refusal) {
	if f := p.files; f != nil {
		all = append(all, f.ca.refusal()...)
		if f.crl != nil {
			all = append(all, f.crl.refusal()...)
		}
	}
	if ring := p.trust.Load().terms.tickets; ring != nil {
		for _, f := range ring.files {
			all = append(all, f.refusal()...)
		}
	}
	return all
}

// HasFiles reports whether p names files that are followed, its certificates aside.
func (p *Policy) HasFiles() bool { return p.files != nil || len(p.cfg.Tickets.Files) > 0 }

// Certificates are where the certificates of p come from.
func (p *Policy) Certificates() certs.Source { return p.cfg.Certificates }

// SetOf is what the Terminate of a [route.Route] shows to clients; nil if their TLS does not end here, or the certificates come
// from no [certs.Set].
func SetOf(x any) *certs.Set {
	p, ok := x.(*Policy)
	if !ok || p == nil {
		return nil
	}
	set, _ := p.cfg.Certificates.(*certs.Set)
	return set
}

// nameOf is the name of a hello as the route has it; the zero Name of one that has none.
func nameOf(serverName string) (route.Name, error) {
	if serverName == "" {
		return route.Name{}, nil
	}
	return route.ParseName(serverName)
}

// sameName refuses a handshake whose name is not the one that chose the policy. It returns no config: that of the policy
// stays.
func sameName(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	c := hello.Conn.(*socket).conn
	c.hello = hello
	if name, err := nameOf(hello.ServerName); err != nil || name != c.job.Name {
		return nil, &refusal{NameDiffers, "the server name was read in two ways"}
	}
	return nil, nil
}

// certificate gives crypto/tls the certificate for a handshake.
func (p *Policy) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c := hello.Conn.(*socket).conn
	source, ok := p.cfg.Certificates.(interface {
		Choose(*tls.ClientHelloInfo) (*certs.Choice, error)
	})
	if !ok {
		return c.choose(hello, p.cfg.Certificates.Certificate)
	}
	return c.choose(hello, func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		choice, err := source.Choose(hello)
		if err != nil {
			return nil, err
		}
		c.shown = choice.File
		return choice.Certificate, nil
	})
}

// choose asks a source for the certificate for the name that chose the route, spelt as the route has it.
func (c *Conn) choose(hello *tls.ClientHelloInfo, source func(*tls.ClientHelloInfo) (*tls.Certificate, error)) (*tls.Certificate, error) {
	asked := *hello
	asked.ServerName = c.job.Name.String()
	cert, err := source(&asked)
	switch {
	case errors.Is(err, certs.ErrNone):
		c.missing = err
		return nil, nil // crypto/tls answers with the alert unrecognized_name
	case err != nil:
		return nil, &refusal{BadCertificate, strings.ReplaceAll(err.Error(), "certs: ", "")}
	}
	c.chosen = cert
	return cert, nil
}
