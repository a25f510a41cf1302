package terminate

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"slices"
	"time"
)

// terms are how a [Policy] speaks TLS for as long as it trusts the same authorities: one config, and ticket keys that no other
// terms have. What was agreed under others is not resumed, and cannot even be read.
type terms struct {
	policy  *Policy
	trusted *authorities // nil: clients are not asked for a certificate
	digest  [sha256.Size]byte
	tickets *ticketRing // nil: none
	server  *tls.Config // of all connections under these terms; made once, never cloned
	refuses *tls.Config // of those that offer no protocol of the policy: it agrees to none, and has no certificate
}

// newTerms are those of p with authorities that are trusted from now on. Files of ticket keys are those of before.
func (p *Policy) newTerms(trusted *authorities, before *ticketRing) *terms {
	t := &terms{policy: p, trusted: trusted, digest: p.sum(trusted)}
	if before != nil {
		t.tickets = before.under(t.ticketScope())
	}
	t.server = t.newServer()
	t.refuses = &tls.Config{
		MinVersion: p.cfg.MinVersion, MaxVersion: p.cfg.MaxVersion, CipherSuites: p.cfg.CipherSuites, CurvePreferences: p.cfg.Curves,
		NextProtos: []string{""}, SessionTicketsDisabled: true, // no hello offers a protocol without a name (RFC 7301 §3.1)
	}
	return t
}

// sum digests everything about p that a client or a ticket can depend on, and nothing of where files lie: machines that
// share ticket keys have the same sums.
func (p *Policy) sum(trusted *authorities) (digest [sha256.Size]byte) {
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
	if trusted != nil {
		field(trusted.raw()...)
		field(numbers(number(p.cfg.ClientAuth.Require), number(p.cfg.ClientAuth.CRL != "")))
	}
	h.Sum(digest[:0])
	return digest
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

// id is the beginning of the digest.
func (t *terms) id() string { return hex.EncodeToString(t.digest[:4]) }

// ticketScope is what tickets are good within: the terms, and the route that has them.
func (t *terms) ticketScope() [sha256.Size]byte {
	return sha256.Sum256(append(t.digest[:], t.policy.cfg.Route...))
}

// config is what connections hand to crypto/tls, with the ticket keys that are right now. It is one and the same for all of
// them: no clone of it exists that a session could be carried over to.
func (t *terms) config(now time.Time, log *slog.Logger, aside aside) *tls.Config {
	if t.tickets != nil {
		t.tickets.refresh(t.server, now, log, aside)
	}
	return t.server
}

func (t *terms) newServer() *tls.Config {
	p := t.policy
	cfg := &tls.Config{
		MinVersion: p.cfg.MinVersion, MaxVersion: p.cfg.MaxVersion,
		CipherSuites: p.cfg.CipherSuites, CurvePreferences: p.cfg.Curves, NextProtos: p.cfg.ALPN,
		GetConfigForClient:     t.admit,
		GetCertificate:         p.certificate,
		VerifyConnection:       t.verify,
		SessionTicketsDisabled: t.tickets == nil,
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
	if t.trusted != nil {
		cfg.ClientCAs, cfg.ClientAuth = t.trusted.pool, tls.VerifyClientCertIfGiven
		if p.cfg.ClientAuth.Require {
			cfg.ClientAuth = tls.RequireAndVerifyClientCert
		}
	}
	return cfg
}

// admit has a client refused that offers protocols, and none of the policy's. crypto/tls does so too, but for one that offers
// http/1.1 where h2 is asked for: to that it agrees without a protocol, as if it had not offered any.
func (t *terms) admit(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if cfg, err := sameName(hello); err != nil || Speaks(t.policy.cfg.ALPN, hello.SupportedProtos) {
		return cfg, err
	}
	return t.refuses, nil
}

// ticketExtra is what a ticket carries of the name that it was made for.
func ticketExtra(serverName string) []byte {
	name, err := nameOf(serverName)
	if err != nil {
		return nil // sameName has refused it
	}
	return []byte("switchyard name " + name.String())
}

// verify runs at the end of every handshake, resumed ones included, after crypto/tls has verified the client's chain
// against the authorities of these terms. What is in force by now counts: a handshake takes as long as its client likes.
func (t *terms) verify(cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 {
		return nil
	}
	now, chains := t.policy.trust.Load(), cs.VerifiedChains
	if now.terms != t {
		var err error
		if chains, err = now.terms.trusted.verify(cs.PeerCertificates); err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
		}
	}
	return now.lists.allow(chains, time.Now())
}
