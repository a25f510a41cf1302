package balancer

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/relay"
	"golang.org/x/sys/unix"
)

var helloA = craft(serverName("a.example.com"))

// R18: the client ends first and still gets all that the backend sends then: 0 bytes lost.
func TestHalfCloseByTheClient(t *testing.T) {
	t.Parallel()
	backend := listenTCP(t, func(c *net.TCPConn) { // answers the hello, and the rest when it has seen the end
		readHelloRecord(c)
		c.Write(serverHelloLike)
		got, _ := io.ReadAll(c)
		c.Write(got)
	})
	s := serve(t, oneHost("a.example.com", testPool("pool", backend)))
	repeat(sized(300, 1000), func(i int) {
		body := pattern(i * 37 % 20_000)
		want := append(bytes.Clone(serverHelloLike), body...)
		if got, err := exchange(t, s.addr, append(bytes.Clone(helloA), body...)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("exchange %d: %d of %d bytes came back, %v", i, len(got), len(want), err)
		}
	})
	s.balanced(t)
}

// R18: the backend ends first and still gets all that the client sends then.
func TestHalfCloseByTheBackend(t *testing.T) {
	t.Parallel()
	got := make(chan []byte, 8)
	backend := listenTCP(t, func(c *net.TCPConn) {
		readHelloRecord(c)
		c.Write(serverHelloLike)
		c.CloseWrite()
		b, _ := io.ReadAll(c)
		got <- b
	})
	s := serve(t, oneHost("a.example.com", testPool("pool", backend)))
	for i := range sized(300, 1000) {
		c := dial(t, s.addr)
		mustWrite(t, c, helloA)
		if b, err := readAll(c); err != nil || !bytes.Equal(b, serverHelloLike) {
			t.Fatalf("client got % x, %v", b, err)
		}
		sent := pattern(i * 37 % 20_000)
		go func() { c.Write(sent); c.Close() }()
		if b := <-got; !bytes.Equal(b, sent) {
			t.Fatalf("exchange %d: the backend got %d bytes of %d after its end", i, len(b), len(sent))
		}
	}
	s.closed(t, CauseOK, uint64(sized(300, 1000)))
	s.balanced(t)
}

// repeat runs f(0) … f(n-1), eight at a time.
func repeat(n int, f func(i int)) { repeatBy(8, n, f) }

// repeatBy does the same with as many at a time as it is told.
func repeatBy(width, n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range width {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				f(int(i))
			}
		})
	}
	wg.Wait()
}

// R18: RST is passed on as RST, both ways, and while bytes are on their way or not.
func TestResetIsPassedOn(t *testing.T) {
	t.Parallel()
	type end struct {
		err  error
		took time.Duration
	}
	var resetAt atomic.Pointer[time.Time]
	ends := make(chan end, 1)
	fromClient := listenTCP(t, func(c *net.TCPConn) {
		readHelloRecord(c)
		c.Write(serverHelloLike)
		_, err := io.Copy(io.Discard, c)
		ends <- end{err, time.Since(*resetAt.Load())}
	})
	fromBackend := listenTCP(t, func(c *net.TCPConn) {
		readHelloRecord(c)
		c.Write(serverHelloLike)
		io.ReadFull(c, make([]byte, 1))
		c.SetLinger(0)
	})
	t.Run("by the client", func(t *testing.T) {
		s := serve(t, oneHost("a.example.com", testPool("pool", fromClient)))
		for range 50 {
			c := open(t, s.addr, helloA, serverHelloLike)
			now := time.Now()
			resetAt.Store(&now)
			c.SetLinger(0)
			c.Close()
			e := <-ends
			if !isReset(e.err) {
				t.Fatalf("the backend saw %v, want a reset", e.err)
			}
			if full() && e.took > 50*time.Millisecond {
				t.Errorf("the backend saw the reset after %v", e.took)
			}
		}
		s.closed(t, CauseClientReset, 50)
		s.balanced(t)
	})
	t.Run("by the backend", func(t *testing.T) {
		s := serve(t, oneHost("a.example.com", testPool("pool", fromBackend)))
		for range 50 {
			c := open(t, s.addr, helloA, serverHelloLike)
			mustWrite(t, c, []byte("x"))
			mustEnd(t, c, true)
			c.Close()
		}
		s.closed(t, CauseBackendReset, 50)
		s.balanced(t)
	})
}

// R18, Envoy #8679: a half-closed connection does not live for ever; an idle one only where the pool says so; and a
// peer that is alive and takes nothing is told apart from both.
func TestTimersOfARelay(t *testing.T) {
	t.Parallel()
	const d = time.Second
	never := func(c *net.TCPConn, over <-chan struct{}) { // answers, takes what comes, and does not end
		readHelloRecord(c)
		c.Write(serverHelloLike)
		io.Copy(io.Discard, c)
		<-over
	}
	for _, c := range []struct {
		name    string
		backend func(c *net.TCPConn, over <-chan struct{})
		set     func(*pool.Config)
		client  func(t *testing.T, c *net.TCPConn)
		cause   Cause
	}{
		{"idle", never, func(p *pool.Config) { p.IdleTimeout = d }, func(t *testing.T, c *net.TCPConn) {
			mustEnd(t, c, false)
		}, CauseIdleTimeout},
		{"idle after bytes", never, func(p *pool.Config) { p.IdleTimeout = 2 * d }, func(t *testing.T, c *net.TCPConn) {
			start := time.Now()
			for range 10 { // longer than the timeout in all, and in steps that are short beside it on a busy machine, too
				mustWrite(t, c, []byte("x"))
				time.Sleep(d / 4)
			}
			mustEnd(t, c, false)
			if time.Since(start) < 4*d {
				t.Error("the connection ended while bytes were moving")
			}
		}, CauseIdleTimeout},
		{"half-closed by the client", never, func(p *pool.Config) { p.HalfCloseTimeout = d },
			func(t *testing.T, c *net.TCPConn) {
				start := time.Now()
				c.CloseWrite()
				mustEnd(t, c, false)
				if time.Since(start) < d {
					t.Error("ended before half_close_timeout")
				}
			}, CauseHalfCloseTimeout},
		{"half-closed by the backend", func(c *net.TCPConn, over <-chan struct{}) {
			readHelloRecord(c)
			c.Write(serverHelloLike)
			c.CloseWrite()
			io.Copy(io.Discard, c)
		}, func(p *pool.Config) { p.HalfCloseTimeout = d }, func(t *testing.T, c *net.TCPConn) {
			mustEnd(t, c, false) // the backend's FIN; ours is never sent
		}, CauseHalfCloseTimeout},
		{"the client takes nothing", func(c *net.TCPConn, over <-chan struct{}) {
			readHelloRecord(c)
			c.Write(serverHelloLike)
			for b := make([]byte, 256<<10); ; {
				if _, err := c.Write(b); err != nil {
					return
				}
			}
		}, func(p *pool.Config) { p.StalledTimeout = d }, nil, CauseStalled},
		{"the backend takes nothing", func(c *net.TCPConn, over <-chan struct{}) {
			readHelloRecord(c)
			c.Write(serverHelloLike)
			<-over
		}, func(p *pool.Config) { p.StalledTimeout = d }, func(t *testing.T, c *net.TCPConn) {
			for b := make([]byte, 256<<10); ; {
				if _, err := c.Write(b); err != nil {
					if !isReset(err) {
						t.Errorf("the client saw %v, want a reset", err)
					}
					return
				}
			}
		}, CauseStalled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			over := make(chan struct{})
			p := testPool("pool", listenTCP(t, func(conn *net.TCPConn) { c.backend(conn, over) }))
			t.Cleanup(func() { close(over) })
			c.set(&p)
			s := serve(t, oneHost("a.example.com", p))
			conn := open(t, s.addr, helloA, serverHelloLike)
			if c.client != nil {
				c.client(t, conn)
			}
			s.closed(t, c.cause, 1)
			s.balanced(t)
		})
	}
}

// R18: what finds dead peers is armed on both sockets of a connection: keepalive 30/10/3 and TCP_USER_TIMEOUT 60 s.
// What it does when a cable is pulled is TestCablePulled.
func TestDeadPeersWillBeNoticed(t *testing.T) {
	t.Parallel()
	t.Run("of what passes through", func(t *testing.T) {
		t.Parallel()
		s := serve(t, oneHost("a.example.com", testPool("pool", echo(t))))
		open(t, s.addr, helloA, helloA)
		armed(t, s, func(s *session, f func(client, backend int)) { f(int(s.clientFD), int(s.backendFD)) })
	})
	t.Run("where TLS ends", func(t *testing.T) {
		t.Parallel()
		s := carrying(t, sink)
		secured(t, s)
		armed(t, s, func(s *session, f func(client, backend int)) { s.conn.WithSockets(f) })
	})
}

// armed looks at the sockets of the one session of s.
func armed(t *testing.T, s *running, sockets func(s *session, f func(client, backend int))) {
	t.Helper()
	type options struct{ Alive, Idle, Interval, Count, Timeout int }
	want := options{1, 30, 10, 3, 60_000}
	var client, backend options
	read := func(fd int) options {
		get := func(level, name int) int { v, _ := unix.GetsockoptInt(fd, level, name); return v }
		return options{get(unix.SOL_SOCKET, unix.SO_KEEPALIVE), get(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE),
			get(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL), get(unix.IPPROTO_TCP, unix.TCP_KEEPCNT),
			get(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)}
	}
	eventually(t, func() bool { // the backend's side is armed when the connection has lived for five seconds
		s.eachSession(func(s *session) { sockets(s, func(c, b int) { client, backend = read(c), read(b) }) })
		return backend.Alive == 1
	}, func() string { return "keepalive towards the backend" })
	if d := cmp.Diff(want, client); d != "" {
		t.Errorf("client's socket (-want +got):\n%s", d)
	}
	if d := cmp.Diff(want, backend); d != "" {
		t.Errorf("backend's socket (-want +got):\n%s", d)
	}
}

// 64 MiB both ways at once, compared by hash: by splice, and by copying where there are no pipes.
func TestBulkArrivesUnchanged(t *testing.T) {
	t.Parallel()
	for _, pipes := range []bool{true, false} {
		t.Run(map[bool]string{true: "splice", false: "copy"}[pipes], func(t *testing.T) {
			t.Parallel()
			n := int64(sized(64<<20, 1<<30))
			type side struct {
				sum [32]byte
				err error
			}
			backendGot := make(chan side, 1)
			backend := listenTCP(t, func(c *net.TCPConn) {
				readHelloRecord(c)
				c.SetDeadline(time.Now().Add(5 * time.Minute))
				var writer sync.WaitGroup
				writer.Go(func() { io.Copy(c, stream(2, n)); c.CloseWrite() })
				sum, err := digest(c)
				backendGot <- side{sum, err}
				writer.Wait()
			})
			s := serve(t, oneHost("a.example.com", testPool("pool", backend)))
			if !pipes {
				s.onEachWorker(func(w *worker) { w.bench = relay.NewBench(relay.NewPipeBudget(0)) })
			}
			c := dial(t, s.addr)
			c.SetDeadline(time.Now().Add(5 * time.Minute))
			mustWrite(t, c, helloA)
			go func() { io.Copy(c, stream(1, n)); c.CloseWrite() }()
			down, err := digest(c)
			want2, _ := digest(stream(2, n))
			if err != nil || down != want2 {
				t.Errorf("down: hash %x, %v, want %x", down, err, want2)
			}
			want1, _ := digest(stream(1, n))
			if up := <-backendGot; up.err != nil || up.sum != want1 {
				t.Errorf("up: hash %x, %v, want %x", up.sum, up.err, want1)
			}
			s.balanced(t)
			b := s.Stats().Pools[0].Backends[0]
			if b.BytesOut != uint64(n) || b.BytesIn != uint64(n)+uint64(len(helloA)) {
				t.Errorf("counted %d up and %d down, want %d each and the hello", b.BytesIn, b.BytesOut, n)
			}
		})
	}
}

// stream is n bytes from seed.
func stream(seed uint64, n int64) io.Reader {
	var key [32]byte
	key[0] = byte(seed)
	return io.LimitReader(rand.NewChaCha8(key), n)
}

func digest(r io.Reader) (sum [32]byte, err error) {
	h := sha256.New()
	_, err = io.CopyBuffer(h, struct{ io.Reader }{r}, make([]byte, 256<<10))
	h.Sum(sum[:0])
	return sum, err
}

// Back-pressure: a client that does not read stops the backend after a bounded number of bytes; we hold no more of
// them than a pipe and a buffer; and when it reads again, all of them are there.
func TestSlowReaderStopsTheSender(t *testing.T) {
	t.Parallel()
	sent := make(chan int64, 1)
	backend := listenTCP(t, func(c *net.TCPConn) {
		readHelloRecord(c)
		var n int64
		b := pattern(1 << 20)
		for n < 512<<20 {
			c.SetWriteDeadline(time.Now().Add(time.Second)) // nobody takes a byte for a second: it is blocked
			k, err := c.Write(b)
			n += int64(k)
			if err != nil {
				break
			}
		}
		sent <- n
	})
	s := serve(t, oneHost("a.example.com", testPool("pool", backend)))
	c := dial(t, s.addr)
	c.SetReadBuffer(64 << 10)
	mustWrite(t, c, helloA)
	n := <-sent
	if n > 64<<20 { // what the kernel's buffers of two connections take is tens of MiB at the very most
		t.Errorf("the backend could send %d MiB to a client that reads nothing", n>>20)
	}
	got, err := io.Copy(io.Discard, c)
	if err != nil || got != n {
		t.Errorf("the client got %d of %d bytes, %v", got, n, err)
	}
	c.Close()
	s.closed(t, CauseOK, 1)
	s.balanced(t)
}
