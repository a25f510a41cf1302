package balancer

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// badBackends are the ways in which a backend can fail before its first byte.
var badBackends = []struct {
	name  string
	make  func(testing.TB) string
	cause Cause // of a connection that found only such backends
}{
	{"refuses", refusing, CauseConnectFail},
	{"does not answer the SYN", blackhole, CauseConnectTimeout},
	{"resets after accept", func(t testing.TB) string {
		return listenTCP(t, func(c *net.TCPConn) { c.SetLinger(0) })
	}, CauseAnswerFail},
	{"resets after the hello", func(t testing.TB) string {
		return listenTCP(t, func(c *net.TCPConn) { readHelloRecord(c); c.SetLinger(0) })
	}, CauseAnswerFail},
	{"closes after the hello", func(t testing.TB) string {
		return listenTCP(t, func(c *net.TCPConn) { readHelloRecord(c) })
	}, CauseAnswerFail},
	{"accepts and is silent", func(t testing.TB) string {
		return listenTCP(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) })
	}, CauseAnswerTimeout},
	{"answers with an alert", func(t testing.TB) string { return answering(t, alertOf(80)) }, CauseOK},
	{"answers with an alert in single bytes", func(t testing.TB) string {
		return listenTCP(t, func(c *net.TCPConn) {
			readHelloRecord(c)
			for _, b := range alertOf(40) {
				c.Write([]byte{b})
			}
			io.Copy(io.Discard, c)
		})
	}, CauseOK},
}

// inOrder is a pool whose backends are tried in the order of the file.
func inOrder(addrs ...string) pool.Config {
	p := testPool("pool", addrs...)
	p.Balance = pool.First
	return p
}

// hurry shortens the time limit of p that a backend runs into which fails with that cause. The others stay long: on a busy
// machine a backend that is to answer, or to fail otherwise, may take its time. It is connected to by the kernel alone.
func hurry(p *pool.Config, cause Cause, answer time.Duration) {
	switch cause {
	case CauseConnectTimeout:
		p.ConnectTimeout = 300 * time.Millisecond
	case CauseAnswerTimeout:
		p.AnswerTimeout = answer
	}
}

// R13: one backend of three fails in whatever way: no client notices, and the one that serves it gets the client's
// bytes as they were.
func TestClientIsServedByAnotherBackend(t *testing.T) {
	t.Parallel()
	for _, bad := range badBackends {
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			hello := append(craft(serverName("a.example.com")), "and what follows it"...)
			good := record(t, len(hello), serverHelloLike)
			p := testPool("pool", bad.make(t), good.addr, good.addr)
			hurry(&p, bad.cause, 2*time.Second) // in which a good one answers on a busy machine, too
			p.Balance = pool.RoundRobin
			s := serve(t, oneHost("a.example.com", p))
			n := sized(12, 300)
			var wg sync.WaitGroup
			for range n {
				wg.Go(func() {
					c := dial(t, s.addr)
					defer c.Close()
					c.Write(hello)
					if got, err := readAll(c); err != nil || !bytes.Equal(got, serverHelloLike) {
						t.Errorf("client got % x, %v", got, err)
					}
				})
			}
			wg.Wait()
			s.balanced(t)
			for _, got := range good.all() {
				if !bytes.Equal(got, hello) {
					t.Fatalf("a backend got %d bytes that are not the client's", len(got))
				}
			}
			backends := s.Stats().Pools[0].Backends
			if backends[0].Failures == 0 {
				t.Error("no connection met the backend that fails: nothing was tested")
			}
		})
	}
}

// R13: none of three serves: the client gets the alert internal_error, or the backend's own, and an orderly end; each
// backend was tried once.
func TestAllBackendsDown(t *testing.T) {
	t.Parallel()
	for _, bad := range badBackends {
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			p := inOrder(bad.make(t), bad.make(t), bad.make(t))
			hurry(&p, bad.cause, 300*time.Millisecond)
			s := serve(t, oneHost("a.example.com", p))
			start := time.Now()
			c := dial(t, s.addr)
			mustWrite(t, c, craft(serverName("a.example.com")))
			got := make([]byte, 7)
			if _, err := io.ReadFull(c, got); err != nil || got[0] != 21 {
				t.Errorf("client got % x, %v, want an alert", got, err)
			}
			if bad.cause != CauseOK && !bytes.Equal(got, alertOf(80)) {
				t.Errorf("client got % x, want internal_error", got)
			}
			c.CloseWrite()
			mustEnd(t, c, false)
			if took := time.Since(start); full() && took > 10*time.Second {
				t.Errorf("a clean end took %v", took)
			}
			s.closed(t, bad.cause, 1)
			s.balanced(t)
			for i, b := range s.Stats().Pools[0].Backends {
				if tried := b.Failures + b.Total; tried != 1 {
					t.Errorf("backend %d was tried %d times, want once", i, tried)
				}
			}
		})
	}
}

// R13: the number of attempts is the pool's, and a backend is not tried twice.
func TestAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ attempts, backends, want int }{{1, 3, 1}, {2, 3, 2}, {3, 3, 3}, {5, 2, 2}} {
		p := inOrder()
		p.Attempts = c.attempts
		for range c.backends {
			p.Backends = append(p.Backends, testPool("", refusing(t)).Backends...)
		}
		s := serve(t, oneHost("a.example.com", p))
		exchange(t, s.addr, craft(serverName("a.example.com")))
		s.balanced(t)
		got := 0
		for _, b := range s.Stats().Pools[0].Backends {
			got += int(b.Failures)
		}
		if got != c.want {
			t.Errorf("%d attempts of %d backends: tried %d, want %d", c.attempts, c.backends, got, c.want)
		}
	}
}

// R13: once a byte has reached the client there is no other backend, whatever becomes of this one.
func TestNoRetryAfterTheFirstByte(t *testing.T) {
	t.Parallel()
	bad := listenTCP(t, func(c *net.TCPConn) {
		readHelloRecord(c)
		c.Write(serverHelloLike)
		one := make([]byte, 1)
		c.Read(one) // the client has it
		c.SetLinger(0)
	})
	other := record(t, 1, serverHelloLike)
	s := serve(t, oneHost("a.example.com", inOrder(bad, other.addr)))
	c := dial(t, s.addr)
	mustWrite(t, c, craft(serverName("a.example.com")))
	mustRead(t, c, serverHelloLike)
	mustWrite(t, c, []byte("x"))
	mustEnd(t, c, true)
	s.closed(t, CauseBackendReset, 1)
	if n := len(other.all()); n != 0 {
		t.Errorf("the hello went to another backend %d times", n)
	}
}

// R13, RFC 8446 §8: a hello with early data is sent to one backend, whatever becomes of it: its data must not be
// carried out twice.
func TestNoRetryWithEarlyData(t *testing.T) {
	t.Parallel()
	for _, how := range []struct {
		name  string
		f     func(*net.TCPConn)
		cause Cause
	}{
		{"the backend resets", func(c *net.TCPConn) { readHelloRecord(c); c.SetLinger(0) }, CauseAnswerFail},
		{"the backend closes", func(c *net.TCPConn) { readHelloRecord(c) }, CauseAnswerFail},
		{"the backend sends an alert", func(c *net.TCPConn) { readHelloRecord(c); c.Write(alertOf(80)) }, CauseOK},
	} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			other := record(t, 1, serverHelloLike)
			s := serve(t, oneHost("a.example.com", inOrder(listenTCP(t, how.f), other.addr)))
			hello := craft(append([]extension{serverName("a.example.com")}, earlyData()...)...)
			exchange(t, s.addr, hello)
			s.closed(t, how.cause, 1)
			if n := len(other.all()); n != 0 {
				t.Errorf("the early data went to a second backend")
			}
		})
	}
	t.Run("a backend that never saw it may be left", func(t *testing.T) {
		t.Parallel()
		s := serve(t, oneHost("a.example.com", inOrder(refusing(t), echo(t))))
		hello := craft(append([]extension{serverName("a.example.com")}, earlyData()...)...)
		if got, err := exchange(t, s.addr, hello); err != nil || !bytes.Equal(got, hello) {
			t.Errorf("%d of %d bytes came back, %v", len(got), len(hello), err)
		}
	})
}

// A large hello that a backend took only in part before it failed goes to the next one whole.
func TestLargeHelloIsReplayedFromItsStart(t *testing.T) {
	t.Parallel()
	hello := craft(serverName("a.example.com"), padding(60<<10))
	bad := listenTCP(t, func(c *net.TCPConn) {
		io.ReadFull(c, make([]byte, 1000))
		c.SetLinger(0)
	})
	good := record(t, len(hello), serverHelloLike)
	s := serve(t, oneHost("a.example.com", inOrder(bad, good.addr)))
	for range 20 {
		if got, err := exchange(t, s.addr, hello); err != nil || !bytes.Equal(got, serverHelloLike) {
			t.Fatalf("client got % x, %v", got, err)
		}
	}
	for _, got := range good.all() {
		if !bytes.Equal(got, hello) {
			t.Fatal("the hello was changed on its way")
		}
	}
}
