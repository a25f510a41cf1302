package terminate

import (
	"crypto/tls"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/proxyheader"
	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// reach connects to a backend, and to the next one if that fails: nothing of the client's has been sent before. The caller owes
// a Release of what it returns.
func (c *Conn) reach() (*pool.Backend, Failure, string) {
	var cfg *pool.Config
	giveUp := time.Time{}
	var tried []*pool.Backend
	failed, why := None, error(nil)
	for {
		b, refused := c.job.Backends.Pick(tried, c.stop)
		if b == nil && failed == None {
			return nil, refused, ""
		}
		if b == nil {
			return nil, failed, textOf(failed, why)
		}
		if cfg == nil { // as it is now, and not before the wait for a slot
			cfg = c.job.Backends.Config()
			if cfg.SetupTimeout > 0 {
				giveUp = time.Now().Add(cfg.SetupTimeout)
			}
		}
		c.member.Store(b)
		c.attempts.Add(1)
		if failed, why = c.attempt(b, cfg, giveUp); failed == None {
			return b, None, ""
		}
		if c.isOver() {
			return nil, Stopped, ""
		}
		tried = append(tried, b)
		late := !giveUp.IsZero() && time.Now().After(giveUp)
		c.job.Backends.Failed(b, failed, errnoOf(why), late)
		if len(tried) >= cfg.Attempts || failed == FDLimit || late {
			return nil, failed, textOf(failed, why)
		}
	}
}

// textOf is what the log line says of a failed attempt.
func textOf(f Failure, why error) string {
	if f == BackendRefused {
		return "backend: " + plain(why.Error())
	}
	return errnoText(why)
}

// attempt is try, and leaves the backend again unless that succeeds: after a panic, too, or its slot would be held for ever.
func (c *Conn) attempt(b *pool.Backend, cfg *pool.Config, giveUp time.Time) (failed Failure, why error) {
	failed = Defect
	defer func() {
		if failed != None {
			c.dropBackend()
			c.job.Backends.Release(b)
		}
	}()
	return c.try(b, cfg, giveUp)
}

// try makes one attempt: it connects, says who the client is, and speaks TLS if the pool wants that.
func (c *Conn) try(b *pool.Backend, cfg *pool.Config, giveUp time.Time) (Failure, error) {
	if err := c.connect(b, cfg, giveUp); err != nil {
		return connectFailure(err), err
	}
	t, _ := cfg.TLS.(*BackendTLS)
	if header := c.header(cfg); len(header) > 0 {
		if _, err := c.backend.sock.Write(header); err != nil {
			return AnswerFail, err
		}
	}
	if t == nil {
		return None, nil
	}
	if t.SNI == "" && !t.Insecure && c.job.Name.IsZero() {
		return BackendRefused, errNameless
	}
	c.deadline(c.backend.sock, earlier(time.Now().Add(cfg.AnswerTimeout), giveUp))
	c.backend.tls = tls.Client(c.backend.sock, t.config(c.job.Name.String(), c.Info().ALPN))
	if err := c.backend.tls.Handshake(); err != nil {
		return backendFailure(err), err
	}
	return t.agreed(c.backend.tls.ConnectionState().NegotiatedProtocol, c.Info().ALPN)
}

// errNameless says that there is no name to verify a backend's certificate for.
var errNameless = errors.New("the client sends no server name, and the pool has no tls.sni to verify")

// connect makes the socket of the backend.
func (c *Conn) connect(b *pool.Backend, cfg *pool.Config, giveUp time.Time) error {
	v6 := b.Addr.Addr().Is6() && !b.Addr.Addr().Is4In6()
	fd, e := sys.Socket(v6)
	if e != 0 {
		return e
	}
	if c.terminator.lent() {
		sys.Close(fd)
		return syscall.EMFILE
	}
	sock, err := newSocket(fd, nil)
	if err != nil {
		return err
	}
	c.attach(&c.backend, sock)
	if src := cfg.Source; src.IsValid() {
		if src.Is4() == v6 {
			return syscall.EAFNOSUPPORT // a name that resolves to the other family than the source's
		}
		sock.control(func(fd int) { e = sys.BindSource(fd, src, v6) })
		if e != 0 {
			return e
		}
	}
	sock.control(func(fd int) {
		if cfg.TLS != nil || cfg.Header != pool.HeaderNone {
			sys.SetSmartConnect(fd) // only where bytes follow at once
		}
		sys.SetNoDelay(fd)
	})
	c.deadline(sock, earlier(time.Now().Add(cfg.ConnectTimeout), giveUp))
	began := c.now()
	if err := sock.connect(b.Addr, v6); err != nil {
		return err
	}
	took := max(c.now()-began, 1)
	c.dialTook.Store(took)
	c.job.Backends.Connected(b, took)
	return nil
}

// earlier is the earlier of two times; b may be zero, for never.
func earlier(a, b time.Time) time.Time {
	if !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// dropBackend closes the socket of a failed attempt.
func (c *Conn) dropBackend() {
	c.mu.Lock()
	s := c.backend.sock
	c.backend = side{}
	c.mu.Unlock()
	if s != nil {
		s.reset()
	}
}

// header is the PROXY header that the backend is sent; nil for none. The ALPN is the one that was agreed upon.
func (c *Conn) header(cfg *pool.Config) []byte {
	if cfg.Header == pool.HeaderNone {
		return nil
	}
	h := proxyheader.Out{Version: int(cfg.Header), Source: c.job.Client, Dest: c.job.Dest, UniqueID: c.job.ID[:]}
	if cfg.Header == pool.HeaderV2 {
		i := c.Info()
		h.Authority, h.ALPN = c.job.Name.String(), i.ALPN
		h.TLS = &proxyheader.TLS{
			Version: wireVersion(i.Version), Cipher: i.CipherName(), Group: i.GroupName(), Certificate: i.HasClient, Resumed: i.Resumed,
			CommonName: i.Client,
		}
		if i.HasClient {
			h.TLS.DER = c.client.tls.ConnectionState().PeerCertificates[0].Raw
		}
	}
	b, err := proxyheader.Append(nil, &h)
	if err != nil {
		panic(err) // every field is bounded: a defect, which ends this connection only
	}
	return b
}

// wireVersion is the name of a version as OpenSSL writes it, which receivers of PROXY headers know.
func wireVersion(v uint16) string {
	if v == tls.VersionTLS13 {
		return "TLSv1.3"
	}
	return "TLSv1.2"
}

// connectFailure says what an error of connect means.
func connectFailure(err error) Failure {
	if sys.Exhausted(err) {
		return FDLimit
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ConnectTimeout
	}
	return ConnectFail
}

// backendFailure says why a handshake with a backend came to nothing.
func backendFailure(err error) Failure {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return AnswerTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errnoOf(err) != 0:
		return AnswerFail
	}
	return BackendRefused
}
