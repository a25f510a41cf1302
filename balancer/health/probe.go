package health

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/proxyheader"
)

const (
	// linger bounds the wait for a backend to close its side after a check, or what is left of Timeout if that is
	// less. One that waits longer is left alone; it has its FIN.
	linger = 250 * time.Millisecond

	// leftover bounds what is read of a backend after its result is known: the body of a response, or what a server
	// says before its client does.
	leftover = 64 << 10
)

// probe is one check under way. It belongs to one goroutine.
type probe struct {
	target   *target
	check    *pool.Check
	deadline time.Time
	ctx      context.Context // ends at deadline, and with the Checker
	end      context.CancelFunc

	tcp     net.Conn            // nil until connected
	conn    net.Conn            // tcp, or TLS over it
	cancel  func() bool         // takes ctx's hold off tcp
	roots   *x509.CertPool      // nil: those of the system, or nothing is verified
	state   tls.ConnectionState // after the handshake
	resumes bool                // a TLS session was offered and, after the handshake, taken
	asked   bool                // a request was sent
	outcome outcome
}

// outcome is what a check has found.
type outcome struct {
	took   time.Duration
	reason string // why it failed; "": it passed

	shown       bool // a TLS handshake was completed
	version     uint16
	alpn        string
	certificate *Certificate // nil: not looked at
}

func newProbe(t *target, start time.Time) *probe {
	p := &probe{target: t, check: t.check, deadline: start.Add(t.check.Timeout)}
	p.ctx, p.end = context.WithDeadline(t.checker.ctx, p.deadline)
	return p
}

// run goes through the steps. Its error is a *failure.
func (p *probe) run() error {
	steps := []struct {
		name string
		does func() error
		when bool
	}{
		{"connect", p.connect, true},
		{"PROXY header", p.sendHeader, p.check.Header != pool.HeaderNone},
		{"TLS handshake", p.handshake, p.check.Type.TLS()},
		{"certificate", p.verify, p.check.Type.TLS()},
		{"request", p.request, p.check.Type.HTTP()},
	}
	for _, s := range steps {
		if !s.when {
			continue
		}
		if err := s.does(); err != nil {
			if over := p.ctx.Err(); over != nil {
				err = over // whatever half of a message has made of it
			}
			return &failure{step: s.name, err: err}
		}
	}
	return nil
}

// connect leaves a connection in tcp and conn whose reads and writes fail once ctx has ended.
func (p *probe) connect() error {
	conn, err := p.target.checker.dial(p.ctx, p.target.to, p.target.source)
	if err != nil {
		return err
	}
	p.tcp, p.conn = conn, conn
	p.cancel = context.AfterFunc(p.ctx, p.abort)
	return nil
}

// abort fails whatever is being read or written.
func (p *probe) abort() { _ = p.tcp.SetDeadline(time.Unix(1, 0)) }

// sendHeader tells a backend that expects a PROXY header that this connection is nobody's but ours.
func (p *probe) sendHeader() error {
	b, err := proxyheader.Append(nil, &proxyheader.Out{Version: int(p.check.Header)})
	if err != nil {
		return err
	}
	_, err = p.tcp.Write(b)
	return err
}

// farewell ends the connection so that the backend finds nothing wrong with it: see the package comment. It does
// so for a check that has failed too, as far as the connection is still good for that.
func (p *probe) farewell() error {
	if p.tcp == nil {
		return nil
	}
	_ = p.tcp.SetDeadline(earlier(p.deadline, time.Now().Add(p.target.checker.linger)))
	if p.ctx.Err() != nil {
		p.abort() // which may have been overridden
	}
	if p.asked {
		p.drain() // the backend was asked to close: FIN from us would read as a client that has given up
	}
	p.closeWrite()
	p.drain() // TLS 1.3 sends its tickets after the handshake
	return nil
}

// drain reads until the other side has closed, or has said too much or nothing for too long.
func (p *probe) drain() { _, _ = io.CopyN(io.Discard, p.conn, leftover) }

// closeWrite sends close_notify where there is TLS, and FIN.
func (p *probe) closeWrite() {
	if p.tcp == nil {
		return
	}
	if c, ok := p.conn.(*tls.Conn); ok {
		_ = c.CloseWrite() // an error if there was no handshake
	}
	if c, ok := p.tcp.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
}

// close lets go of everything.
func (p *probe) close() {
	p.end()
	if p.tcp != nil {
		p.cancel()
		_ = p.tcp.Close()
	}
}

// name is the host that this check is about: the SNI, or the address.
func (p *probe) name() string {
	if p.check.SNI != "" {
		return p.check.SNI
	}
	return p.target.to.Addr().Unmap().WithZone("").String()
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// withoutZone is addr as a backend would write it.
func withoutZone(addr netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(addr.Addr().Unmap().WithZone(""), addr.Port())
}
