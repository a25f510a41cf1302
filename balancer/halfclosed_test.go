package balancer

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// halfCloser is a connection one side of which can end while the other goes on.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// kinds are the two kinds of connections, as seen by a client that is connected.
var kinds = []struct {
	name string
	open func(t *testing.T, backend func(*net.TCPConn), change func(*pool.Config)) (r *running, c halfCloser, raw *net.TCPConn)
}{
	{"passing through", func(t *testing.T, backend func(*net.TCPConn), change func(*pool.Config)) (*running, halfCloser, *net.TCPConn) {
		p := testPool("pool", listenTCP(t, func(c *net.TCPConn) {
			readHelloRecord(c)
			c.Write(serverHelloLike)
			backend(c)
		}))
		change(&p)
		s := serve(t, oneHost("a.example.com", p))
		c := open(t, s.addr, helloA, serverHelloLike)
		return s, c, c
	}},
	{"where TLS ends", func(t *testing.T, backend func(*net.TCPConn), change func(*pool.Config)) (*running, halfCloser, *net.TCPConn) {
		r := carrying(t, backend, change)
		c, raw := secured(t, r)
		return r, c, raw
	}},
}

var _ halfCloser = (*tls.Conn)(nil)

// A download goes on at the pace of its reader, long after the backend has sent all of it and has ended.
func TestHalfCloseTimeoutWaitsForASlowReader(t *testing.T) {
	t.Parallel()
	const limit, size, step = 2 * time.Second, 2 << 20, 128 << 10
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			r, c, raw := k.open(t, func(c *net.TCPConn) { c.Write(make([]byte, size)) }, func(p *pool.Config) { p.HalfCloseTimeout = limit })
			raw.SetReadBuffer(step / 2)
			start, n := time.Now(), 0
			for buf := make([]byte, step); ; time.Sleep(limit / 8) {
				m, err := io.ReadFull(c, buf)
				n += m
				if err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("after %d of %d bytes, and %v: %v", n, size, time.Since(start), err)
				}
			}
			c.Close()
			if n != size || time.Since(start) < limit*3/2 {
				t.Errorf("%d of %d bytes in %v", n, size, time.Since(start))
			}
			r.closed(t, CauseOK, 1)
			r.balanced(t)
		})
	}
}

// A side that goes on to talk is open, and not silent.
func TestHalfCloseTimeoutIsForSilence(t *testing.T) {
	t.Parallel()
	const limit = 2 * time.Second
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			r, c, _ := k.open(t, func(c *net.TCPConn) {
				for range 6 {
					time.Sleep(limit / 4)
					c.Write([]byte("x"))
				}
				io.Copy(io.Discard, c)
			}, func(p *pool.Config) { p.HalfCloseTimeout = limit })
			c.CloseWrite()
			if b, err := readAll(c); len(b) != 6 || err != nil {
				t.Errorf("%d bytes came of 6, %v", len(b), err)
			}
			r.closed(t, CauseOK, 1)
			r.balanced(t)
		})
		t.Run(k.name+", silent", func(t *testing.T) {
			t.Parallel()
			over := make(chan struct{})
			r, c, _ := k.open(t, func(c *net.TCPConn) { <-over }, func(p *pool.Config) { p.HalfCloseTimeout = limit })
			t.Cleanup(func() { close(over) })
			start := time.Now()
			c.CloseWrite()
			readAll(c)
			if took := time.Since(start); took < limit {
				t.Errorf("ended after %v", took)
			}
			r.closed(t, CauseHalfCloseTimeout, 1)
			r.balanced(t)
		})
	}
}

// A side that resets after its end is gone: the other one, which is silent, is not waited for, though nothing else would end that.
func TestAResetAfterTheEndIsNoticedWhileTheOtherSideIsSilent(t *testing.T) {
	t.Parallel()
	never := func(p *pool.Config) { p.HalfCloseTimeout = 0 }
	for _, k := range kinds {
		t.Run("by the client, "+k.name, func(t *testing.T) {
			t.Parallel()
			ended, seen := make(chan struct{}), make(chan bool, 1)
			r, c, raw := k.open(t, func(c *net.TCPConn) {
				io.Copy(io.Discard, c)
				close(ended)
				seen <- untilReset(c)
			}, never)
			c.CloseWrite()
			<-ended
			raw.SetLinger(0)
			raw.Close()
			r.closed(t, CauseOK, 1)
			if !<-seen {
				t.Error("the backend is not told")
			}
			r.balanced(t)
		})
		t.Run("by the backend, "+k.name, func(t *testing.T) {
			t.Parallel()
			goes := make(chan struct{})
			r, c, raw := k.open(t, func(c *net.TCPConn) {
				c.CloseWrite()
				<-goes
				c.SetLinger(0)
			}, never)
			if b, err := readAll(c); len(b) != 0 || err != nil {
				t.Errorf("the client got %q, %v", b, err)
			}
			close(goes)
			r.closed(t, CauseOK, 1)
			if !untilReset(raw) {
				t.Error("the client is not told")
			}
			r.balanced(t)
		})
	}
}

// untilReset waits until the socket of c was reset, without reading or writing.
func untilReset(c *net.TCPConn) (was bool) {
	for end := time.Now().Add(30 * time.Second); !was && time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		control(c, func(fd int) { was = sys.TakeError(fd) != 0 })
	}
	return was
}

func control(c *net.TCPConn, f func(fd int)) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { f(int(fd)) })
	}
}

// What a client sent before it ended and reset is on its way: it arrives first, even at a backend that takes its time.
func TestWhatWasSentBeforeAResetArrivesAtASilentBackend(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			reset, got := make(chan struct{}), make(chan int64, 1)
			r, c, raw := k.open(t, func(c *net.TCPConn) {
				c.SetReadBuffer(64 << 10)
				<-reset
				n, _ := io.Copy(io.Discard, c)
				got <- n
				untilReset(c)
			}, func(p *pool.Config) { p.HalfCloseTimeout = 0 })
			raw.SetWriteBuffer(size)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				c.Write(make([]byte, size/4))
				c.CloseWrite()
			}()
			<-sent
			eventually(t, func() (all bool) {
				control(raw, func(fd int) { all = sys.Unacknowledged(fd) == 0 })
				return all
			}, func() string { return "all that the client has sent at the balancer" })
			raw.SetLinger(0)
			raw.Close()
			close(reset)
			if n := <-got; n < size/4 {
				t.Errorf("the backend got %d bytes of %d", n, size/4)
			}
			r.closed(t, CauseOK, 1)
			r.balanced(t)
		})
	}
}
