package terminate

import (
	"crypto/tls"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
)

// lookPatience is how long a handshake waits for a look at the files of its policy, which nobody may answer. What was there before
// is in force then.
const lookPatience = 3 * time.Second

// handshake speaks TLS with the client as the policy says.
func (c *Conn) handshake() (Failure, string) {
	p := c.job.Policy
	now := time.Now()
	c.deadline(c.client.sock, now.Add(p.cfg.HandshakeTimeout))
	look := func(look func()) { c.client.sock.Aside(look, lookPatience) }
	terms := p.trusted(now, c.terminator.log, look).terms
	c.terms.Store(terms)
	cfg := terms.config(now, c.terminator.log, look)
	if c.job.Challenge {
		cfg = p.challenge()
	}
	defer func() { c.hello, c.chosen = nil, nil }() // up to 64 KiB of a stranger's, for as long as the connection lasts
	err := c.compute(cfg)
	if err != nil {
		c.terminator.counts.failed.Add(1)
		return c.handshakeFailure(err)
	}
	c.deadline(c.client.sock, time.Time{})
	c.agreed()
	return None, ""
}

// compute makes the handshake when it is its turn.
func (c *Conn) compute(cfg *tls.Config) error {
	turn, err := c.terminator.budget.begin(c.stop, c.job.Policy.cfg.HandshakeTimeout*4/5) // the rest is for the handshake
	if err != nil {
		return err
	}
	sock := c.client.sock
	sock.turn = turn
	defer func() {
		sock.turn = nil
		turn.yield()
	}()
	c.client.tls = tls.Server(sock, cfg)
	return c.client.tls.Handshake()
}

// agreed notes what came of the handshake.
func (c *Conn) agreed() {
	cs := c.client.tls.ConnectionState()
	info := &Info{
		Version: cs.Version, CipherSuite: cs.CipherSuite, Group: cs.CurveID, Resumed: cs.DidResume, ALPN: cs.NegotiatedProtocol,
		Certificate: c.shown,
		Policy:      c.PolicyID(), Took: c.now() - c.started,
	}
	if len(cs.PeerCertificates) > 0 {
		info.HasClient, info.Client = true, cs.PeerCertificates[0].Subject.CommonName
	}
	c.info.Store(info)
	c.terminator.counts.add(info)
}

// challenge is the config for a validation by TLS-ALPN-01 (RFC 8737 §3): its own protocol, its own certificate, nothing
// of the policy, and no session that anybody could resume.
func (p *Policy) challenge() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{certs.ChallengeProtocol}, SessionTicketsDisabled: true,
		GetConfigForClient: sameName,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			c := hello.Conn.(*socket).conn
			source, ok := p.cfg.Certificates.(interface {
				Challenge(*tls.ClientHelloInfo) (*tls.Certificate, error)
			})
			if !ok {
				c.missing = certs.ErrNone
				return nil, nil
			}
			return c.choose(hello, source.Challenge)
		},
	}
}
