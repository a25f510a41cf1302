package balancer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// A hello with early data has no second attempt, but a deadline like any other: a silent backend is given up, and
// the client told so.
func TestEarlyDataToASilentBackendIsGivenUp(t *testing.T) {
	t.Parallel()
	p := testPool("pool", listenTCP(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) }))
	p.AnswerTimeout = 100 * time.Millisecond
	s := serve(t, oneHost("a.example.com", p))
	c := dial(t, s.addr)
	mustWrite(t, c, craft(append([]extension{serverName("a.example.com")}, earlyData()...)...))
	got, err := readAll(c)
	c.Close()
	if want := alertOf(80); !bytes.Equal(got, want) || err != nil {
		t.Errorf("client got % x, %v, want the alert internal_error", got, err)
	}
	s.closed(t, CauseAnswerTimeout, 1)
	s.balanced(t)
}

// The bytes that a peer sent before it reset the connection reach the other side before the reset does.
func TestBytesBeforeAResetArrive(t *testing.T) {
	t.Parallel()
	last := bytes.Repeat([]byte("last words "), 300)
	backend := listenTCP(t, func(c *net.TCPConn) {
		readHelloRecord(c)
		c.Write(serverHelloLike)
		io.ReadFull(c, make([]byte, 4)) // 4 of the client's 8 bytes: closing with the rest unread is a reset
		c.Write(last)
	})
	s := serve(t, oneHost("a.example.com", testPool("pool", backend)))
	for range 50 {
		c := dial(t, s.addr)
		mustWrite(t, c, helloA)
		mustRead(t, c, serverHelloLike)
		mustWrite(t, c, []byte("requests"))
		got, err := readAll(c)
		if !bytes.Equal(got, last) {
			t.Fatalf("%d of %d bytes arrived before the end (%v)", len(got), len(last), err)
		}
		c.Close()
	}
}

// R18: a reset reaches the other side even when the one that resets had sent FIN before.
func TestResetAfterFINIsPassedOn(t *testing.T) {
	t.Parallel()
	seen := make(chan error, 1)
	write := make(chan bool)
	backend := listenTCP(t, func(c *net.TCPConn) {
		readHelloRecord(c)
		c.Write(serverHelloLike)
		io.Copy(io.Discard, c) // the client's FIN
		<-write
		var err error
		for err == nil { // the first byte makes the client's kernel reset; some write after it fails
			_, err = c.Write([]byte("x"))
			time.Sleep(time.Millisecond)
		}
		seen <- err
	})
	s := serve(t, oneHost("a.example.com", testPool("pool", backend)))
	c := open(t, s.addr, helloA, serverHelloLike)
	c.Close()
	close(write)
	if err := <-seen; !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("the backend saw %v, want a reset", err)
	}
	s.closed(t, CauseOK, 1) // it had ended in order before: the reset is for what came too late
}

// A backend that has sent everything and closed answers what the client still sends with a reset (a close_notify, an
// HTTP/2 window update). The client, which is slow, gets every byte all the same, and the end is in order.
func TestResetAfterFINDestroysNothing(t *testing.T) {
	t.Parallel()
	const size = 3 << 20
	backend := listenTCP(t, func(c *net.TCPConn) {
		readHelloRecord(c)
		c.Write(pattern(size))
	})
	s := serve(t, oneHost("a.example.com", testPool("pool", backend)))
	c := dial(t, s.addr)
	mustWrite(t, c, helloA)
	eventually(t, func() bool { // the relay has all of it, and the backend's end
		ended := false
		s.eachSession(func(s *session) { ended = s.down.Ended() || s.down.Bytes > 0 && s.down.Hung() })
		return ended
	}, func() string { return "the backend's end" })
	var got []byte
	for buf := make([]byte, 64<<10); ; {
		n, err := c.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			if err != io.EOF {
				t.Errorf("after %d bytes: %v, want the end in order", len(got), err)
			}
			break
		}
		c.Write([]byte("u")) // meets a closed socket
	}
	if !bytes.Equal(got, pattern(size)) {
		t.Errorf("%d of %d bytes arrived", len(got), size)
	}
	c.Close()
	s.closed(t, CauseOK, 1)
	s.balanced(t)
}

// What is wrong with a hello is found whether its bytes come at once or in two segments.
func TestBadSecondRecordIsRefusedHoweverItIsCut(t *testing.T) {
	t.Parallel()
	s := serve(t, oneHost("a.example.com", testPool("pool", echo(t))))
	message := craftMessage(serverName("a.example.com"))
	first := inRecords(message[:40], maxRecord)
	bad := []byte{23, 3, 3, 0, 100} // application data where the rest of the hello belongs
	for _, pieces := range [][][]byte{{append(bytes.Clone(first), bad...)}, {first, bad}} {
		c := dial(t, s.addr)
		for _, p := range pieces {
			mustWrite(t, c, p)
			time.Sleep(time.Millisecond) // another segment, most likely
		}
		if got, err := readAll(c); !bytes.Equal(got, alertOf(50)) || err != nil {
			t.Errorf("in %d pieces: got % x, %v, want the alert decode_error", len(pieces), got, err)
		}
	}
	s.closed(t, CauseBadHello, 2)
}

// A name that resolves to addresses of another family than the pool's source has no backend; nothing breaks.
func TestSourceOfTheOtherFamily(t *testing.T) {
	t.Parallel()
	p := testPool("pool")
	p.Source = netip.IPv6Loopback()
	p.Backends = []pool.BackendConfig{{Host: "db.example.net", Addr: netip.AddrPortFrom(netip.Addr{}, 443), Weight: 1}}
	s := serve(t, oneHost("a.example.com", p), func(o *Options) {
		o.Lookup = func(context.Context, string) ([]netip.Addr, time.Duration, error) {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, time.Minute, nil
		}
	})
	if got, _ := exchange(t, s.addr, helloA); !bytes.Equal(got, alertOf(80)) {
		t.Errorf("client got % x, want the alert internal_error", got)
	}
	if st := s.Stats(); st.Panics != 0 {
		t.Errorf("%d panics", st.Panics)
	}
}

// The loops share a listening address with each other, and with nobody else.
func TestAddressOfAnotherServerIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, oneHost("a.example.com", testPool("pool", echo(t))))
	cfg := oneHost("a.example.com", testPool("pool", echo(t)))
	cfg.Listeners[0].Bind = []netip.AddrPort{netip.MustParseAddrPort(s.addr)}
	second, err := New(cfg, Options{})
	if err == nil {
		second.Shutdown(context.Background())
		t.Fatal("two servers on one address")
	}
	var bind *BindError
	if !errors.As(err, &bind) || !errors.Is(err, syscall.EADDRINUSE) || bind.Hint == "" {
		t.Errorf("got %v, want a BindError for EADDRINUSE with a hint", err)
	}
}

// R30: a defect that shows while sessions are closed does not keep the server from stopping.
func TestShutdownSurvivesPanics(t *testing.T) {
	t.Parallel()
	s := serve(t, oneHost("a.example.com", testPool("pool", echo(t))))
	for range 4 {
		open(t, s.addr, helloA, helloA)
	}
	s.onEachWorker(func(w *worker) {
		for i := range w.slabs {
			for j := range w.slabs[i] {
				if ss := &w.slabs[i][j]; ss.stage == stageRelaying && ss.id%2 == 0 {
					ss.listener = nil // whose listener the end of a session is counted for
				}
			}
		}
	})
	now, cancel := context.WithCancel(context.Background())
	cancel()
	done := make(chan bool)
	go func() { s.Shutdown(now); close(done) }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("Shutdown does not return")
	}
}
