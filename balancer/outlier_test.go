package balancer

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// ejecting is a pool that ejects after five failures in a row for longer than a test takes.
func ejecting(addrs ...string) pool.Config {
	p := testPool("pool", addrs...)
	p.Balance = pool.RoundRobin
	p.Outlier = &pool.Outlier{Failures: 5, Eject: time.Minute, MaxEjected: 50}
	p.PanicBelow = 50
	return p
}

// stateOf is the state of the backend with that address.
func (r *running) stateOf(t testing.TB, addr string) BackendStats {
	t.Helper()
	for _, p := range r.Stats().Pools {
		for _, b := range p.Backends {
			if b.Address == addr {
				return b
			}
		}
	}
	t.Fatalf("no backend %s", addr)
	return BackendStats{}
}

// R14: whatever way a backend fails in, it is ejected, within a second of its fifth failure, and no client notices.
func TestABackendThatFailsIsEjected(t *testing.T) {
	t.Parallel()
	for _, bad := range badBackends {
		t.Run(bad.name, func(t *testing.T) {
			t.Parallel()
			one, _ := tlsEcho(t, "a.example.com")
			two, _ := tlsEcho(t, "a.example.com")
			fails := bad.make(t)
			p := ejecting(fails, one, two)
			hurry(&p, bad.cause, time.Second) // in which a good one answers on a busy machine, too
			s := serve(t, oneHost("a.example.com", p))
			began := time.Now()
			for s.stateOf(t, fails).State != pool.StateEjected {
				if time.Since(began) > 30*time.Second {
					t.Fatal("not ejected")
				}
				var wg sync.WaitGroup
				for range 6 {
					wg.Go(func() { echoOnce(t, s.addr, "a.example.com") })
				}
				wg.Wait()
			}
			if b := s.stateOf(t, fails); b.Failures < 5 || b.Ejections != 1 || b.LastError == "" {
				t.Errorf("%d failures, %d ejections, last error %q, want at least 5, one, and why", b.Failures, b.Ejections, b.LastError)
			}
			eventually(t, func() bool { return strings.Contains(s.log.String(), `"to":"ejected"`) }, func() string { return "the line in the log" })
			if n := strings.Count(s.log.String(), "backend changed"); n != 1 {
				t.Errorf("%d lines about changed backends, want one", n)
			}
			before := s.stateOf(t, fails).Failures
			for range 10 {
				echoOnce(t, s.addr, "a.example.com")
			}
			if got := s.stateOf(t, fails).Failures; got != before {
				t.Errorf("%d more attempts at what is ejected", got-before)
			}
		})
	}
}

// echoOnce makes a handshake for name and has one line sent back.
func echoOnce(t testing.TB, addr, name string) {
	c, err := tls.Dial("tcp", addr, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Errorf("handshake: %v", err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := c.Write([]byte("a line of some length, as requests are\n")); err != nil {
		t.Errorf("write: %v", err)
	}
	if _, err := io.ReadFull(c, make([]byte, 39)); err != nil {
		t.Errorf("read: %v", err)
	}
}

// tlsBackend is a TLS server that leaves its connections to f after the handshake.
func tlsBackend(t testing.TB, version uint16, f func(raw *net.TCPConn, c *tls.Conn)) string {
	cert := certFor(t, "a.example.com")
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true, MaxVersion: version}
	return listenTCP(t, func(c *net.TCPConn) {
		tc := tls.Server(c, cfg)
		if tc.Handshake() == nil {
			f(c, tc)
		}
	})
}

// What counts as a failure of the backend after its ServerHello, and what does not.
func TestEndsAfterTheServerHello(t *testing.T) {
	t.Parallel()
	gone := func(c *net.TCPConn, _ *tls.Conn) {}
	reset := func(c *net.TCPConn, _ *tls.Conn) { c.SetLinger(0) }
	echo := func(_ *net.TCPConn, c *tls.Conn) { io.Copy(c, c) }
	silent := func(c *tls.Conn) { io.Copy(io.Discard, c) }
	tests := []struct {
		name    string
		version uint16
		backend func(*net.TCPConn, *tls.Conn)
		client  func(*tls.Conn)
		want    uint64 // failures, of two connections
	}{
		{"closes right after the handshake", tls.VersionTLS13, gone, silent, 2},
		{"resets right after the handshake", tls.VersionTLS13, reset, silent, 2},
		{"says something more, and closes", tls.VersionTLS13, func(_ *net.TCPConn, c *tls.Conn) { c.Write([]byte("220 ready\r\n")) }, silent, 0},
		{"closes in order, with close_notify", tls.VersionTLS13, func(_ *net.TCPConn, c *tls.Conn) { c.Close() }, silent, 0},
		{"has got a request, and closes", tls.VersionTLS13, func(_ *net.TCPConn, c *tls.Conn) { c.Read(make([]byte, 64)) },
			func(c *tls.Conn) { c.Write([]byte("GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n")); silent(c) }, 0},
		{"stays, and the client closes", tls.VersionTLS13, echo, func(*tls.Conn) {}, 0},
		{"closes well after the handshake", tls.VersionTLS13, func(*net.TCPConn, *tls.Conn) { time.Sleep(2 * closedEarly) }, silent, 0},
		{"has finished a handshake of TLS 1.2, and closes", tls.VersionTLS12, gone, silent, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			addr := tlsBackend(t, test.version, test.backend)
			spare, _ := tlsEcho(t, "a.example.com")
			p := ejecting(addr, spare)
			p.Balance, p.Outlier.Failures = pool.First, 3
			s := serve(t, oneHost("a.example.com", p))
			for range 2 {
				c := tlsDial(t, s.addr, "a.example.com")
				c.SetDeadline(time.Now().Add(30 * time.Second))
				test.client(c)
				c.Close()
			}
			s.quiet(t)
			b := s.world.Load().pools["pool"].Backends()[0]
			if _, _, at := b.LastFailure(); (at != 0) != (test.want > 0) {
				t.Errorf("a failure was noted: %v, want %v", at != 0, test.want > 0)
			}
			if test.want == 0 {
				return
			}
			eventually(t, func() bool { // of the third one, unless this machine was too slow for an end to be an early one
				c := tlsDial(t, s.addr, "a.example.com")
				defer c.Close()
				c.SetDeadline(time.Now().Add(2 * time.Second)) // the spare does not end
				silent(c)
				return b.State() == pool.StateEjected
			}, func() string { return "an ejection" })
		})
	}
}

// A stranger whose hellos no backend accepts has none of them ejected.
func TestHellosThatNobodyAcceptsEjectNobody(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(testing.TB) string{
		"alert": func(t testing.TB) string { return answering(t, alertOf(112)) },
		"reset": func(t testing.TB) string {
			return listenTCP(t, func(c *net.TCPConn) { readHelloRecord(c); c.SetLinger(0) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addrs := []string{refuse(t), refuse(t), refuse(t)}
			s := serve(t, oneHost("a.example.com", ejecting(addrs...)))
			for range 30 {
				exchange(t, s.addr, helloA)
			}
			for _, addr := range addrs {
				if b := s.stateOf(t, addr); b.State != pool.StateUnknown || b.LastError != "" {
					t.Errorf("%v, last error %q, want unknown and none", b.State, b.LastError)
				}
			}
		})
	}
}

// R14: when all fail, no more than the cap are ejected; what is left is less than half of them when checks find more
// down, and then all are used again, which is said.
func TestPanicModeIsSaidOnce(t *testing.T) {
	t.Parallel()
	addrs := []string{refusing(t), refusing(t), refusing(t), refusing(t)}
	p := ejecting(addrs...)
	p.Attempts = 4
	s := serve(t, oneHost("a.example.com", p))
	ejected := func() (n int) {
		for _, addr := range addrs {
			if s.stateOf(t, addr).State == pool.StateEjected {
				n++
			}
		}
		return n
	}
	for range 200 {
		exchange(t, s.addr, helloA)
		if n := ejected(); n > 2 {
			t.Fatalf("%d of 4 are ejected, want 2 at most", n)
		}
	}
	if n := ejected(); n != 2 {
		t.Fatalf("%d of 4 are ejected, want 2", n)
	}
	pl := s.world.Load().pools["pool"]
	for _, b := range pl.Backends() {
		if b.State() != pool.StateEjected {
			b.Checked(&pool.Report{State: pool.StateDown, Error: "connection refused"})
			break
		}
	}
	s.keeper.wakeUp()
	eventually(t, pl.Panicking, func() string { return "panic mode" })
	before := map[string]uint64{}
	for _, addr := range addrs {
		before[addr] = s.stateOf(t, addr).Failures
	}
	for range 8 {
		exchange(t, s.addr, helloA)
	}
	for _, addr := range addrs {
		if s.stateOf(t, addr).Failures == before[addr] {
			t.Errorf("%s got no connection in panic mode", addr)
		}
	}
	eventually(t, func() bool { return strings.Contains(s.log.String(), "panic mode") }, func() string { return "the line about panic mode" })
	if n := strings.Count(s.log.String(), "panic mode"); n != 1 || !s.Stats().Pools[0].Panic {
		t.Errorf("%d lines about panic mode, want one; in the statistics: %v", n, s.Stats().Pools[0].Panic)
	}
}

func TestHandshakesAreCounted(t *testing.T) {
	t.Parallel()
	addr := tlsBackend(t, tls.VersionTLS13, func(_ *net.TCPConn, c *tls.Conn) { io.Copy(c, c) })
	s := serve(t, oneHost("handshakes.example.com", testPool("pool", addr)))
	shake := func(cfg *tls.Config) {
		t.Helper()
		cfg.ServerName, cfg.InsecureSkipVerify = "handshakes.example.com", true
		c, err := tls.Dial("tcp", s.addr, cfg)
		if err == nil {
			c.Close()
		}
	}
	shake(&tls.Config{})
	shake(&tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}})
	shake(&tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP384}})
	shake(&tls.Config{MaxVersion: tls.VersionTLS12})
	shake(&tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	s.quiet(t)
	got := s.Stats().Pools[0].Handshakes
	var n uint64
	for _, c := range got.Answer.Counts {
		n += c
	}
	if n != 4 {
		t.Errorf("%d answers were timed, want 4", n)
	}
	got.Answer = Histogram{}
	want := HandshakeStats{
		Versions:    map[string]uint64{"1.3": 3, "1.2": 1, "1.1": 0, "1.0": 0, "unknown": 0},
		Groups:      map[string]uint64{"X25519MLKEM768": 1, "x25519": 1, "secp384r1": 1},
		PostQuantum: 1,
		Alerts:      map[string]uint64{"protocol_version": 1},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestCountingHandshakesAllocatesNothing(t *testing.T) {
	s := serve(t, oneHost("a.example.com", testPool("pool", refusing(t))))
	w := s.workers[0]
	done := make(chan float64)
	w.loop.Post(func() {
		x := &session{pool: s.world.Load().pools["pool"], setup: &setup{}}
		x.backend = x.pool.Backends()[0]
		done <- testing.AllocsPerRun(100, func() {
			w.noteAnswer(x, serverHelloLike)
			w.judge(x, false)
		})
	})
	if n := <-done; n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
