package terminate

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
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
	cfg     Config
	digest  [sha256.Size]byte
	trusted *authorities // nil: no client certificates
	check   *clientCheck // nil: nothing beyond what crypto/tls verifies
	tickets *ticketRing  // nil: none

	once   sync.Once
	server *tls.Config // of all connections; made once, never cloned
	log    *slog.Logger
}

// NewPolicy checks cfg and reads the files it names. The error is [FileErrors], with all that is wrong.
func NewPolicy(cfg Config) (*Policy, error) {
	if cfg.MinVersion == 0 {
		cfg.MinVersion = tls.VersionTLS12
	}
	if len(cfg.CipherSuites) == 0 {
		cfg.CipherSuites = DefaultCipherSuites()
	}
	if cfg.HandshakeTimeout <= 0 {
		cfg.HandshakeTimeout = defaultHandshakeTimeout
	}
	p := &Policy{cfg: cfg}
	wrong := p.readClientAuth()
	p.digest = p.sum()
	if !cfg.Tickets.Off {
		ring, err := newTicketRing(&cfg.Tickets, p.ticketScope())
		p.tickets, wrong = ring, append(wrong, err...)
	}
	if wrong != nil {
		return nil, wrong
	}
	return p, nil
}

func (p *Policy) readClientAuth() (wrong FileErrors) {
	a := p.cfg.ClientAuth
	if a == nil {
		return nil
	}
	var err error
	var trusted []*x509.Certificate
	if p.trusted, err = readAuthorities(a.CA); err != nil {
		wrong = append(wrong, fileError(a.CA, err))
	} else {
		trusted = p.trusted.all
	}
	if a.CRL == "" {
		return wrong
	}
	lists, err := watch(a.CRL, false, func(data []byte) (revocations, error) { return parseRevocations(data, trusted) })
	if err != nil {
		return append(wrong, fileError(a.CRL, err))
	}
	p.check = &clientCheck{lists: lists, trusted: trusted}
	return wrong
}

// sum digests everything about p that a client or a ticket can depend on, and nothing of where files lie: machines that
// share ticket keys have the same sums.
func (p *Policy) sum() (digest [sha256.Size]byte) {
	h := sha256.New()
	field := func(values ...[]byte) { // each with its length, so that no two policies read alike
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(values))))
		for _, v := range values {
			h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(v))))
			h.Write(v)
		}
	}
	field([]byte("switchyard policy 1"))
	field(bytesOf(p.cfg.ALPN)...)
	field(numbers(p.cfg.MinVersion, p.cfg.MaxVersion))
	field(numbers(slices.Sorted(slices.Values(p.cfg.CipherSuites))...))
	field(numbers(p.cfg.Curves...))
	if p.trusted != nil {
		var all [][]byte
		for _, c := range p.trusted.all {
			all = append(all, c.Raw)
		}
		slices.SortFunc(all, bytes.Compare)
		field(all...)
		field(numbers(number(p.cfg.ClientAuth.Require), number(p.cfg.ClientAuth.CRL != "")))
	}
	h.Sum(digest[:0])
	return digest
}

// ticketScope is what tickets are good within: the policy, and the route that has it.
func (p *Policy) ticketScope() [sha256.Size]byte {
	return sha256.Sum256(append(p.digest[:], p.cfg.Route...))
}

func bytesOf(list []string) (all [][]byte) {
	for _, s := range list {
		all = append(all, []byte(s))
	}
	return all
}

func numbers[T ~uint16](list ...T) (b []byte) {
	for _, v := range list {
		b = binary.BigEndian.AppendUint16(b, uint16(v))
	}
	return b
}

func number(b bool) uint16 {
	if b {
		return 1
	}
	return 0
}

// ID is the beginning of the policy's digest: two routes with the same ID speak TLS alike.
func (p *Policy) ID() string { return hex.EncodeToString(p.digest[:4]) }

// Equal reports whether other is a *Policy that means the same, with the same certificates and ticket files. It is how a
// reload tells that a route has not changed.
func (p *Policy) Equal(other any) bool {
	o, ok := other.(*Policy)
	if !ok || p == nil || o == nil {
		return ok && p == o
	}
	same, ok := p.cfg.Certificates.(interface{ Equal(any) bool })
	return p.digest == o.digest && p.cfg.Route == o.cfg.Route && ok && same.Equal(o.cfg.Certificates) &&
		p.cfg.HandshakeTimeout == o.cfg.HandshakeTimeout && p.crl() == o.crl() && p.cfg.Tickets.equal(&o.cfg.Tickets)
}

func (p *Policy) crl() string {
	if p.cfg.ClientAuth == nil {
		return ""
	}
	return p.cfg.ClientAuth.CRL
}

func (t *Tickets) equal(o *Tickets) bool {
	return t.Off == o.Off && t.Rotate == o.Rotate && slices.Equal(t.Files, o.Files)
}

// Warnings are what NewPolicy found that is allowed, and yet probably not meant.
func (p *Policy) Warnings() (all []*FileError) {
	if p.check != nil {
		for _, l := range (*p.check.lists.value.Load()).expired(p.trusted.all, time.Now()) {
			all = append(all, &FileError{
				File: p.cfg.ClientAuth.CRL,
				Why:  fmt.Sprintf("the list of %q expired on %s: its clients are refused", l.issuer, l.end.UTC().Format(time.DateOnly)),
				Hint: "renew the list",
			})
		}
	}
	if p.tickets == nil {
		return all
	}
	for _, f := range p.tickets.files {
		if f.warning != nil {
			all = append(all, f.warning)
		}
	}
	return all
}

// Certificates are where the certificates of p come from.
func (p *Policy) Certificates() certs.Source { return p.cfg.Certificates }

// Summary says in a line what p asks of clients: "TLS 1.2 to 1.3, ALPN h2, http/1.1, client certificate required".
func (p *Policy) Summary() string {
	parts := []string{versionRange(p.cfg.MinVersion, p.cfg.MaxVersion)}
	if len(p.cfg.ALPN) > 0 {
		parts = append(parts, "ALPN "+strings.Join(p.cfg.ALPN, " "))
	}
	if a := p.cfg.ClientAuth; a != nil && a.Require {
		parts = append(parts, "client certificate required")
	} else if a != nil {
		parts = append(parts, "client certificate optional")
	}
	return strings.Join(parts, ", ")
}

// Describe says how TLS is spoken with a client that asks for name: the policy, and each certificate that there is for it.
func (p *Policy) Describe(name route.Name) []string {
	lines := []string{"policy " + p.ID() + ": " + p.Summary()}
	source, ok := p.cfg.Certificates.(interface {
		Choices(string) ([]*certs.Choice, error)
	})
	if !ok {
		return lines
	}
	choices, err := source.Choices(name.String())
	for _, c := range choices {
		is := "for " + strings.Join(c.Names, ", ")
		if c.Default {
			is = "the default, " + is
		}
		lines = append(lines, fmt.Sprintf("certificate %s: %s, %s, until %s", c.File, c.Key, is, c.NotAfter.UTC().Format(time.DateOnly)))
	}
	switch {
	case err == certs.ErrNone: //nolint:errorlint // and nothing that says more
		lines = append(lines, "no certificate for this name")
	case err != nil:
		lines = append(lines, "no certificate: "+strings.TrimPrefix(err.Error(), "certs: "))
	}
	return lines
}

func versionRange(low, high uint16) string {
	switch high {
	case 0:
		return tls.VersionName(low) + " or newer"
	case low:
		return tls.VersionName(low)
	}
	return tls.VersionName(low) + " to " + strings.TrimPrefix(tls.VersionName(high), "TLS ")
}

// config is what the connections of p hand to crypto/tls, with the ticket keys that are right now. It is one and the same
// for all of them: no clone of it exists that a session could be carried over to.
func (p *Policy) config(now time.Time, log *slog.Logger) *tls.Config {
	p.once.Do(func() { p.server, p.log = p.newServer(), log })
	if p.tickets != nil {
		p.tickets.refresh(p.server, now, log)
	}
	return p.server
}

func (p *Policy) newServer() *tls.Config {
	cfg := &tls.Config{
		MinVersion: p.cfg.MinVersion, MaxVersion: p.cfg.MaxVersion,
		CipherSuites: p.cfg.CipherSuites, CurvePreferences: p.cfg.Curves, NextProtos: p.cfg.ALPN,
		GetConfigForClient:     sameName,
		GetCertificate:         p.certificate,
		VerifyConnection:       p.verify,
		SessionTicketsDisabled: p.tickets == nil,
	}
	cfg.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) ([]byte, error) {
		ss.Extra = append(ss.Extra, ticketExtra(cs.ServerName))
		return cfg.EncryptTicket(cs, ss)
	}
	cfg.UnwrapSession = func(identity []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		ss, err := cfg.DecryptTicket(identity, cs)
		if err != nil || ss == nil || !slices.ContainsFunc(ss.Extra, func(x []byte) bool {
			return bytes.Equal(x, ticketExtra(cs.ServerName))
		}) {
			return nil, nil // not ours, or of another name: a full handshake
		}
		return ss, nil
	}
	if p.trusted != nil {
		cfg.ClientCAs, cfg.ClientAuth = p.trusted.pool, tls.VerifyClientCertIfGiven
		if p.cfg.ClientAuth.Require {
			cfg.ClientAuth = tls.RequireAndVerifyClientCert
		}
	}
	return cfg
}

// nameOf is the name of a hello as the route has it; the zero Name of one that has none.
func nameOf(serverName string) (route.Name, error) {
	if serverName == "" {
		return route.Name{}, nil
	}
	return route.ParseName(serverName)
}

// ticketExtra is what a ticket carries of the name that it was made for.
func ticketExtra(serverName string) []byte {
	name, err := nameOf(serverName)
	if err != nil {
		return nil // sameName has refused it
	}
	return []byte("switchyard name " + name.String())
}

// sameName refuses a handshake whose name is not the one that chose the policy. It returns no config: that of the policy
// stays.
func sameName(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	c := hello.Conn.(*socket).conn
	c.offered = hello.SupportedVersions
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
		return nil, &refusal{BadCertificate, err.Error()}
	}
	return cert, nil
}

// verify runs at the end of every handshake, resumed ones included, after crypto/tls has verified the client's chain
// against the authorities that are trusted now.
func (p *Policy) verify(cs tls.ConnectionState) error {
	if p.check == nil {
		return nil
	}
	return p.check.allows(cs.VerifiedChains, time.Now(), p.log)
}

// Authorities are the certificates that clients' certificates are verified with; nil if clients are not asked for one.
func (p *Policy) Authorities() []*x509.Certificate {
	if p.trusted == nil {
		return nil
	}
	return p.trusted.all
}
