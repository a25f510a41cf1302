package balancer

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
)

const carried = "www.example.com"

// carrying serves one terminated host whose backend is served by f.
func carrying(t testing.TB, f func(*net.TCPConn), change ...func(*pool.Config)) *running {
	t.Helper()
	p := testPool("pool", listenTCP(t, f))
	for _, c := range change {
		c(&p)
	}
	return serve(t, terminatedHost(carried, policyOf(t, terminate.Config{Certificates: certsFor(t, carried)}), p))
}

// secured is a TLS connection to the host, with what lies under it.
func secured(t testing.TB, r *running) (*tls.Conn, *net.TCPConn) {
	t.Helper()
	raw := dial(t, r.addr)
	c := tls.Client(raw, &tls.Config{ServerName: carried, InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c, raw
}

// sink reads to the end.
func sink(c *net.TCPConn) { io.Copy(io.Discard, c) }

func TestBytesGoThroughATerminatedConnectionUnchanged(t *testing.T) {
	t.Parallel()
	r := carrying(t, func(c *net.TCPConn) {
		io.Copy(c, c)
		c.CloseWrite()
	})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		raw := dial(t, r.addr)
		c := tls.Client(raw, &tls.Config{ServerName: carried, InsecureSkipVerify: true, MaxVersion: version})
		want := make([]byte, 8<<20)
		rand.Read(want)
		go func() {
			c.Write(want)
			c.CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes came back, %v", tls.VersionName(version), len(got), err)
		}
		c.Close()
	}
	r.closed(t, CauseOK, 2)
	for _, l := range r.lines(t, 2) {
		if l.BytesIn != 8<<20 || l.BytesOut != 8<<20 {
			t.Errorf("the line says %d in, %d out", l.BytesIn, l.BytesOut)
		}
	}
}

func TestEndsAndResetsAreCarriedAcrossTLS(t *testing.T) {
	t.Parallel()
	t.Run("a client that has ended is answered", func(t *testing.T) {
		t.Parallel()
		r := carrying(t, func(c *net.TCPConn) {
			b, _ := io.ReadAll(c)
			c.Write(append(b, " answered"...))
		})
		c, _ := secured(t, r)
		io.WriteString(c, "asked and")
		c.CloseWrite()
		if b, err := io.ReadAll(c); string(b) != "asked and answered" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
		r.closed(t, CauseOK, 1)
	})
	t.Run("a backend that has ended is told more", func(t *testing.T) {
		t.Parallel()
		told := make(chan string, 1)
		r := carrying(t, func(c *net.TCPConn) {
			c.CloseWrite()
			b, _ := io.ReadAll(c)
			told <- string(b)
		})
		c, _ := secured(t, r)
		if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
		io.WriteString(c, "more")
		c.CloseWrite()
		if got := <-told; got != "more" {
			t.Errorf("the backend was told %q", got)
		}
		r.closed(t, CauseOK, 1)
	})
	t.Run("a reset of the backend is one to the client", func(t *testing.T) {
		t.Parallel()
		r := carrying(t, func(c *net.TCPConn) {
			io.ReadFull(c, make([]byte, 1))
			c.SetLinger(0)
		})
		c, _ := secured(t, r)
		io.WriteString(c, "x")
		if _, err := io.ReadAll(c); !isReset(err) {
			t.Errorf("the client sees %v", err)
		}
		r.closed(t, CauseBackendReset, 1)
	})
	t.Run("a reset of the client is one to the backend", func(t *testing.T) {
		t.Parallel()
		seen := make(chan error, 1)
		r := carrying(t, func(c *net.TCPConn) {
			_, err := io.ReadAll(c)
			seen <- err
		})
		c, raw := secured(t, r)
		io.WriteString(c, "x")
		eventually(t, func() bool {
			all, _ := r.Connections(&ConnectionFilter{}, 1)
			return len(all) == 1 && all[0].BytesIn == 1
		},
			func() string { return "the byte" })
		raw.SetLinger(0)
		raw.Close()
		if err := <-seen; !isReset(err) {
			t.Errorf("the backend sees %v", err)
		}
		r.closed(t, CauseClientReset, 1)
	})
	t.Run("a client that talks on to a backend that is gone is told so", func(t *testing.T) {
		t.Parallel()
		r := carrying(t, func(c *net.TCPConn) { // too large, as HTTP would say, and nothing more of it is read
			io.ReadFull(c, make([]byte, 1))
			io.WriteString(c, "no")
			c.CloseWrite()
			time.Sleep(100 * time.Millisecond)
		})
		c, _ := secured(t, r)
		io.WriteString(c, "x")
		if b, err := io.ReadAll(c); string(b) != "no" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
		talksOn(c)
		r.closed(t, CauseOK, 1)
	})
	t.Run("a backend that talks on to a client that is gone is told so", func(t *testing.T) {
		t.Parallel()
		r := carrying(t, func(c *net.TCPConn) { talksOn(c) })
		c, raw := secured(t, r)
		io.WriteString(c, "x")
		c.CloseWrite()
		io.ReadFull(c, make([]byte, 1))
		raw.SetLinger(0)
		raw.Close()
		r.closed(t, CauseOK, 1)
	})
	t.Run("a cut of the client ends the backend's stream", func(t *testing.T) {
		t.Parallel()
		r := carrying(t, func(c *net.TCPConn) {
			b, _ := io.ReadAll(c)
			c.Write(b)
		})
		c, raw := secured(t, r)
		io.WriteString(c, "x")
		raw.CloseWrite()
		if b, err := io.ReadAll(c); string(b) != "x" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
		r.closed(t, CauseOK, 1)
	})
	t.Run("an altered record ends the connection", func(t *testing.T) {
		t.Parallel()
		r := carrying(t, sink)
		_, raw := secured(t, r)
		raw.Write([]byte("\x17\x03\x03\x00\x20" + strings.Repeat("z", 32)))
		if _, err := readAll(raw); err != nil {
			t.Errorf("the client sees %v, and not the alert with an end", err)
		}
		raw.Close()
		r.closed(t, CauseBrokenTLS, 1)
	})
}

// A slow reader gets the last byte and the close_notify, however long the kernel's buffers hold them.
func TestASlowReaderGetsAllOfALongAnswer(t *testing.T) {
	t.Parallel()
	const size = 6 << 20
	r := carrying(t, func(c *net.TCPConn) { c.Write(make([]byte, size)) })
	c, _ := secured(t, r)
	n, err := 0, error(nil)
	for buf := make([]byte, size/16); err == nil; time.Sleep(40 * time.Millisecond) {
		var m int
		m, err = io.ReadFull(c, buf)
		n += m
	}
	if n != size || err != io.EOF {
		t.Errorf("%d bytes, then %v", n, err)
	}
	c.Close()
	r.closed(t, CauseOK, 1)
}

// talksOn reads to the end, and goes on to talk until it is cut off.
func talksOn(c net.Conn) {
	io.Copy(io.Discard, c)
	for err := error(nil); err == nil; time.Sleep(5 * time.Millisecond) {
		_, err = c.Write([]byte("x"))
	}
}

// The time limits of the pool hold where TLS ends here.
func TestTimeLimitsHoldForTerminatedConnections(t *testing.T) {
	t.Parallel()
	const soon = 200 * time.Millisecond
	over := make(chan struct{})
	for _, tt := range []struct {
		name    string
		backend func(*net.TCPConn)
		limit   func(*pool.Config)
		client  func(*tls.Conn)
		cause   Cause
	}{
		{"idle_timeout", sink, func(p *pool.Config) { p.IdleTimeout = soon }, func(*tls.Conn) {}, CauseIdleTimeout},
		{"half_close_timeout", func(c *net.TCPConn) { sink(c); <-over }, func(p *pool.Config) { p.HalfCloseTimeout = soon },
			func(c *tls.Conn) { c.CloseWrite(); sink(c.NetConn().(*net.TCPConn)); close(over) }, CauseHalfCloseTimeout},
		{"stalled_timeout", func(c *net.TCPConn) { c.Write(make([]byte, 64<<20)) }, func(p *pool.Config) { p.StalledTimeout = soon },
			func(*tls.Conn) {}, CauseStalled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := carrying(t, tt.backend, tt.limit)
			c, _ := secured(t, r)
			tt.client(c)
			r.closed(t, tt.cause, 1)
			r.quiet(t)
		})
	}
}

// Until bytes are carried, a step that does not come ends in the deadline of that step.
func TestBackendsOfTerminatedConnectionsAreTriedInTurn(t *testing.T) {
	t.Parallel()
	good := echo(t)
	for _, tt := range []struct {
		name     string
		backends []string
		limit    func(*pool.Config)
		cause    Cause
	}{
		{"one refuses, the next serves", []string{refusing(t), good}, func(p *pool.Config) { p.Balance = pool.First }, CauseOK},
		{"all refuse", []string{refusing(t), refusing(t)}, func(*pool.Config) {}, CauseConnectFail},
		{"as many as attempts says", []string{refusing(t), good}, func(p *pool.Config) { p.Balance, p.Attempts = pool.First, 1 }, CauseConnectFail},
		{"none that may be tried", []string{good}, func(p *pool.Config) { p.Backends[0].Weight = 0 }, CauseNoBackend},
		{"an address that does not answer", []string{blackhole(t)}, func(p *pool.Config) { p.ConnectTimeout = 100 * time.Millisecond }, CauseConnectTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := testPool("pool", tt.backends...)
			tt.limit(&p)
			r := serve(t, terminatedHost(carried, policyOf(t, terminate.Config{Certificates: certsFor(t, carried)}), p))
			_, err := talk(r.addr, &tls.Config{ServerName: carried})
			if (err == nil) != (tt.cause == CauseOK) {
				t.Errorf("the client sees %v", err)
			}
			r.closed(t, tt.cause, 1)
			r.quiet(t)
			for _, b := range r.Stats().Pools[0].Backends {
				if b.Active != 0 {
					t.Errorf("%s holds %d slots", b.Address, b.Active)
				}
			}
		})
	}
}

// A panic ends its connection, and no other.
func TestAPanicEndsOneTerminatedConnection(t *testing.T) {
	t.Parallel()
	names := certsFor(t, carried)
	var n atomic.Int64
	p := policyOf(t, terminate.Config{Certificates: sourceFunc(func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if n.Add(1)%3 == 0 {
			panic("a defect")
		}
		return names.Certificate(h)
	})})
	r := serve(t, terminatedHost(carried, p, testPool("pool", echo(t))))
	failed := 0
	for range 9 {
		if _, err := talk(r.addr, &tls.Config{ServerName: carried}); err != nil {
			failed++
		}
	}
	if failed != 3 {
		t.Errorf("%d of 9 failed", failed)
	}
	r.closed(t, CauseInternalError, 3)
	r.closed(t, CauseOK, 6)
	eventually(t, func() bool { return strings.Contains(r.log.String(), "a defect") }, func() string { return "a line about it in the log" })
	if r.Stats().Panics != 3 {
		t.Errorf("%d panics counted", r.Stats().Panics)
	}
	if b := r.Stats().Terminate.Budget; b.Running != 0 {
		t.Errorf("%d turns are still taken", b.Running)
	}
	r.quiet(t)
}

type sourceFunc func(*tls.ClientHelloInfo) (*tls.Certificate, error)

func (f sourceFunc) Certificate(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return f(h) }

// A stop waits for terminated connections, and closes what is left with FIN.
func TestAStopDrainsTerminatedConnections(t *testing.T) {
	t.Parallel()
	cfg := terminatedHost(carried, policyOf(t, terminate.Config{Certificates: certsFor(t, carried)}), testPool("pool", echo(t)))
	cfg.Drain.Max = 2 * time.Second // in which the one that ends by itself does so on a busy machine, too
	r := serve(t, cfg)
	ends, _ := secured(t, r)
	stays, _ := secured(t, r)
	for _, c := range []*tls.Conn{ends, stays} {
		io.WriteString(c, "x")
		io.ReadFull(c, make([]byte, 1))
	}
	ended := make(chan error, 1)
	go func() {
		ends.CloseWrite()
		_, err := io.ReadAll(ends)
		ended <- err
	}()
	if n := r.Shutdown(context.Background()); n != 1 {
		t.Errorf("%d connections were closed", n)
	}
	if err := <-ended; err != nil {
		t.Errorf("the one that ended by itself: %v", err)
	}
	if _, err := stays.Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the one that stayed sees %v", err)
	}
	r.closed(t, CauseDraining, 1)
}
