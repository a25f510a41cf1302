package balancer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// R6, CVE-2024-28869, traefik#10448, #10531, #10622, haproxy#3148: clients that send nothing, or a byte now and then,
// are gone when hello_timeout is over, and honest ones beside them are served as if they were not there.
func TestSilentClientsAreGoneAtTheHelloTimeout(t *testing.T) {
	t.Parallel()
	// A session books two descriptors: 20 000 hold 9 400 connections, of which 9 000 are stalled ones here.
	timeout, n := sized(2*time.Second, 5*time.Second), sized(100, 4500) // which honest clients keep on a busy machine, too
	spec := childSpec{Backends: []string{echo(t)}, HelloTimeout: timeout}
	s := start(t, spec, false)
	idle := honest(t, s.Addr, sized(20, 500), timeout/sized[time.Duration](20, 500))
	var wg, connected sync.WaitGroup
	connected.Add(2 * n)
	stay := func(trickle time.Duration) {
		begun := time.Now()
		c, err := net.Dial("tcp", s.Addr)
		connected.Done()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		c.SetDeadline(begun.Add(2 * time.Minute))
		if trickle > 0 {
			wg.Go(func() {
				for i := range helloA {
					if _, err := c.Write(helloA[i : i+1]); err != nil {
						return
					}
					time.Sleep(trickle)
				}
			})
		}
		got, err := readAll(c)
		took := time.Since(begun)
		if len(got) > 0 || err != nil && !isReset(err) {
			t.Errorf("a client that sent no hello got %q, %v", got, err)
		}
		if took < timeout*4/5 {
			t.Errorf("gone after %v already", took)
		}
		if full() && took > timeout+500*time.Millisecond {
			t.Errorf("gone only after %v", took)
		}
	}
	for range n {
		wg.Go(func() { stay(0) })
		wg.Go(func() { stay(timeout / 5) })
	}
	connected.Wait()
	beside := honest(t, s.Addr, sized(16, 2000), timeout/sized[time.Duration](20, 2500)) // four fifths of their time
	wg.Wait()
	t.Logf("honest clients: 99 %% within %v alone, %v beside %d stalled ones", p99(idle), p99(beside), 2*n)
	r := s.report(t)
	if got := r.closed(CauseHelloTimeout); got != uint64(2*n) {
		t.Errorf("%d connections ended with hello_timeout, want %d", got, 2*n)
	}
	checkBalance(t, r.Stats)
}

// honest makes n exchanges, one every interval whether the one before has ended or not, and returns what each took.
func honest(t *testing.T, addr string, n int, interval time.Duration) []time.Duration {
	t.Helper()
	took := make([]time.Duration, n)
	var wg sync.WaitGroup
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for i := range n {
		wg.Go(func() {
			start := time.Now()
			if got, err := exchange(t, addr, helloA); err != nil || !bytes.Equal(got, helloA) {
				t.Errorf("honest client %d: %d bytes, %v", i, len(got), err)
			}
			took[i] = time.Since(start)
		})
		<-tick.C
	}
	wg.Wait()
	return took
}

func p99(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)*99/100]
}

// R6, CVE-2026-25949, CVE-2026-88012, CVE-2026-22045, CVE-2021-23409: every step before a connection is routed is
// under the one deadline, the PROXY header included: silence after any of them ends it.
func TestSilenceAfterEachStep(t *testing.T) {
	t.Parallel()
	v1 := "PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n"
	v2 := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x03\xe8\x01\xbb"
	acme := craft(serverName("a.example.com"), extension{extALPN, vec16(vec8([]byte("acme-tls/1")))})
	two := resplit(helloA, 60)
	for _, c := range []struct{ name, listener, sent string }{
		{"nothing", "plain", ""},
		{"one byte", "plain", "\x16"},
		{"a record header", "plain", string(helloA[:5])},
		{"half a handshake header", "plain", string(helloA[:7])},
		{"all but the last byte", "plain", string(helloA[:len(helloA)-1])},
		{"the first record of several", "plain", string(two[:65])},
		{"half a challenge for ACME", "plain", string(acme[:len(acme)-10])},
		{"nothing where a PROXY header must be", "proxied", ""},
		{"half a PROXY header, version 1", "proxied", v1[:20]},
		{"half a PROXY header, version 2", "proxied", v2[:20]},
		{"a PROXY header, version 1", "proxied", v1},
		{"a PROXY header, version 2", "proxied", v2},
		{"a PROXY header and half a hello", "proxied", v2 + string(helloA[:100])},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := oneHost("a.example.com", testPool("pool", echo(t)))
			cfg.Listeners[0].HelloTimeout = 300 * time.Millisecond
			if c.listener == "proxied" {
				cfg.Listeners[0].ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
			}
			s := serve(t, cfg)
			conn := dial(t, s.addr)
			io.WriteString(conn, c.sent)
			if got, err := readAll(conn); len(got) > 0 || err != nil && !isReset(err) {
				t.Errorf("got %q, %v, want an end", got, err)
			}
			s.closed(t, CauseHelloTimeout, 1)
			s.balanced(t)
		})
	}
}

// traefik#10592, #10598: the deadline for the hello is over with the hello: connections that are idle for ten times
// as long live on.
func TestIdleConnectionsOutliveTheHelloTimeout(t *testing.T) {
	t.Parallel()
	cfg := oneHost("a.example.com", testPool("pool", echo(t)))
	cfg.Listeners[0].HelloTimeout = sized(time.Second/2, time.Second)
	s := serve(t, cfg)
	conns := make([]*net.TCPConn, sized(300, 1000))
	for i := range conns {
		for conns[i] == nil {
			began := time.Now()
			c, got, err := greet(s.addr)
			switch took := time.Since(began); {
			case err == nil:
				t.Cleanup(func() { c.Close() })
				conns[i] = c
			case took < cfg.Listeners[0].HelloTimeout: // else this machine may have been slower with the hello than is allowed
				t.Fatalf("connection %d: %d bytes, %v", i, len(got), err)
			}
		}
	}
	time.Sleep(10 * cfg.Listeners[0].HelloTimeout)
	for i, c := range conns {
		c.SetDeadline(time.Now().Add(time.Minute))
		mustWrite(t, c, []byte("still there"))
		mustRead(t, c, []byte("still there"))
		c.CloseWrite()
		mustEnd(t, c, false)
		conns[i].Close()
	}
	s.closed(t, CauseOK, uint64(len(conns)))
}

// R8: a quiet connection is its struct and nothing else.
func TestSessionSize(t *testing.T) {
	t.Parallel()
	if got := reflect.TypeFor[session]().Size(); got > 448 {
		t.Errorf("a session is %d bytes, want at most 448 to stay below 512 with its share of the tables", got)
	}
	if got := reflect.TypeFor[setup]().Size() + firstRead + reflect.TypeFor[session]().Size(); got > 4<<10 {
		t.Errorf("a stalled hello holds %d bytes, want at most 4096", got)
	}
	t.Logf("session %d bytes, setup %d", reflect.TypeFor[session]().Size(), reflect.TypeFor[setup]().Size())
}

// R8: what idle connections and stalled hellos cost the balancer's process.
func TestMemoryPerConnection(t *testing.T) {
	t.Parallel()
	backend := echo(t)
	for _, c := range []struct {
		name        string
		n           int
		hello       []byte
		whole       bool
		bytes, fds  int
		established bool
	}{
		{"idle", sized(2000, 3000), helloA, true, 512, 2, true},
		{"most of a hello of 1.5 KB", sized(500, 1000), craft(serverName("a.example.com"), padding(1300))[:1400], false, 4 << 10, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, childSpec{Backends: []string{backend}, HelloTimeout: 5 * time.Minute}, false)
			exchange(t, s.Addr, helloA)
			var before childReport // with nothing left of that connection, whose client has seen the end sooner than its sockets were closed
			eventually(t, func() bool { before = s.report(t); return before.Stats.Connections == 0 }, func() string { return "no connection left" })
			for range c.n {
				if c.whole {
					open(t, s.Addr, c.hello, c.hello)
				} else {
					mustWrite(t, dial(t, s.Addr), c.hello)
				}
			}
			var after childReport
			eventually(t, func() bool { after = s.report(t); return after.Stats.Connections == int64(c.n) },
				func() string { return "all connections to be there" })
			for range 4 { // a stack that has grown for a moment is not what they cost
				if r := s.report(t); r.Memory < after.Memory {
					after = r
				}
			}
			each := (int(after.Memory) - int(before.Memory)) / c.n
			t.Logf("%d connections: %d bytes and %.2f descriptors each", c.n, each, float64(after.FDs-before.FDs)/float64(c.n))
			if each > c.bytes {
				t.Errorf("%d bytes of memory for each of %d connections, want at most %d", each, c.n, c.bytes)
			}
			if got := after.FDs - before.FDs; got != c.n*c.fds {
				t.Errorf("%d descriptors for %d connections, want %d each", got, c.n, c.fds)
			}
			if after.Gos != before.Gos {
				t.Errorf("%d goroutines before, %d with %d connections", before.Gos, after.Gos, c.n)
			}
		})
	}
}

// R8: the limit follows from the descriptors and the memory there is.
func TestConnectionLimitIsDerived(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fds  uint64
		max  int
		want int64
	}{{256, 0, 86}, {1024, 0, 446}, {1024, 100, 100}, {256, 8000, 86}} {
		s := start(t, childSpec{Backends: []string{"127.0.0.1:1"}, Descriptors: c.fds, Max: c.max}, false)
		if got := s.Limits.Connections; got != c.want || s.Stats.Limit != got {
			t.Errorf("%d descriptors, max_connections %d: limit %d (%+v), want %d", c.fds, c.max, got, s.Limits, c.want)
		}
	}
}

// R9, CVE-2020-8663: past the cap of the process or of the listener a client is reset at once; those below it are
// not harmed.
func TestConnectionCaps(t *testing.T) {
	t.Parallel()
	backend := echo(t)
	limit, offered := sized(100, 2000), sized(400, 6000)
	for _, c := range []struct {
		name string
		spec childSpec
	}{
		{"of the process", childSpec{Max: limit}},
		{"of the listener", childSpec{ListenerMax: limit}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !full() {
				t.Parallel()
			}
			c.spec.Backends = []string{backend}
			s := start(t, c.spec, false)
			begun := time.Now()
			held, refused := crowd(t, s.Addr, offered)
			elapsed := time.Since(begun)
			if len(held) != limit || len(refused) != offered-limit {
				t.Fatalf("%d held and %d refused of %d, want %d held", len(held), len(refused), offered, limit)
			}
			for _, conn := range held {
				mustWrite(t, conn, []byte("unharmed"))
				mustRead(t, conn, []byte("unharmed"))
			}
			r := s.report(t)
			if got := r.closed(CauseConnLimit); got != uint64(offered-limit) || r.Stats.Connections != int64(limit) {
				t.Errorf("counted %d conn_limit and %d active, want %d and %d", got, r.Stats.Connections, offered-limit, limit)
			}
			checkBalance(t, r.Stats)
			slices.Sort(refused)
			cpu := r.CPU - s.CPU
			t.Logf("%d held, %d reset: slowest %v, 99 %% within %v; balancer's CPU %v of %v",
				len(held), len(refused), refused[len(refused)-1], p99(refused), cpu, elapsed)
			if full() && p99(refused) > 100*time.Millisecond {
				t.Errorf("1 %% of the resets took more than %v", p99(refused))
			}
			if full() && cpu > elapsed {
				t.Errorf("the balancer took %v of CPU time in %v", cpu, elapsed)
			}
			for _, conn := range held { // and there is room again
				conn.Close()
			}
			eventually(t, func() bool { r = s.report(t); return r.Stats.Connections == 0 }, func() string { return "room" })
			open(t, s.Addr, helloA, helloA)
		})
	}
}

// crowd opens n connections and keeps those that are served; of the others it returns how long the reset took.
func crowd(t *testing.T, addr string, n int) (held []*net.TCPConn, refused []time.Duration) {
	t.Helper()
	var mu sync.Mutex
	repeat(n, func(int) {
		if t.Failed() {
			return // each of those that are left could take its minute
		}
		start := time.Now()
		c, got, err := greet(addr)
		took := time.Since(start)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			t.Cleanup(func() { c.Close() })
			held = append(held, c)
		case isReset(err), bytes.Equal(got, alertOf(80)):
			refused = append(refused, took)
		default:
			t.Errorf("neither served nor reset within %v: %v", took, err)
		}
	})
	return held, refused
}

// greet makes a connection to an echo backend and says hello. An RST can show at any of its steps.
func greet(addr string) (c *net.TCPConn, got []byte, err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err = conn.Write(helloA); err == nil {
		got = make([]byte, len(helloA))
		var n int
		n, err = io.ReadFull(conn, got)
		got = got[:n]
	}
	if err != nil {
		conn.Close()
		return nil, got, err
	}
	return conn.(*net.TCPConn), got, nil
}

// R9: past the cap of a pool, or of all its backends, the client gets an alert that says so; those below are not harmed.
func TestPoolAndBackendCaps(t *testing.T) {
	t.Parallel()
	const limit, offered = 30, 100
	for _, c := range []struct {
		name string
		pool func(*testing.T) *Config
	}{
		{"of the pool", func(t *testing.T) *Config {
			p := testPool("pool", echo(t))
			p.MaxConnections = limit
			return oneHost("a.example.com", p)
		}},
		{"of the backends", func(t *testing.T) *Config {
			p := testPool("pool", echo(t), echo(t))
			p.Backends[0].MaxConnections, p.Backends[1].MaxConnections = limit/3, limit-limit/3
			return oneHost("a.example.com", p)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.pool(t))
			held, refused := crowd(t, s.addr, offered)
			if len(held) != limit || len(refused) != offered-limit {
				t.Fatalf("%d held and %d refused, want %d held", len(held), len(refused), limit)
			}
			for _, conn := range held {
				mustWrite(t, conn, []byte("unharmed"))
				mustRead(t, conn, []byte("unharmed"))
				conn.Close()
			}
			s.closed(t, CausePoolLimit, offered-limit)
			s.balanced(t)
			open(t, s.addr, helloA, helloA).Close()
		})
	}
}

// R10: without descriptors a client is reset rather than left in a queue, the log does not flood, and when there are
// descriptors again all is as before.
func TestDescriptorExhaustion(t *testing.T) {
	t.Parallel()
	backend := echo(t)
	const clients = 2000
	for _, c := range []struct {
		name string
		eat  bool
	}{
		{"the derived limit keeps connections within the descriptors", false},
		{"others have taken the descriptors", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !full() {
				t.Parallel()
			}
			s := start(t, childSpec{Backends: []string{backend}, Descriptors: 256}, false)
			if c.eat {
				s.tell(t, "eat")
			}
			held, refused := crowd(t, s.Addr, clients)
			if len(held)+len(refused) != clients || len(held) == 0 && !c.eat {
				t.Fatalf("%d served and %d refused of %d", len(held), len(refused), clients)
			}
			slices.Sort(refused)
			t.Logf("%d served, %d refused: 99 %% within %v, slowest %v", len(held), len(refused), p99(refused), refused[len(refused)-1])
			if full() && p99(refused) > 200*time.Millisecond {
				t.Errorf("1 %% of the refusals took more than %v", p99(refused))
			}
			for _, conn := range held {
				mustWrite(t, conn, []byte("unharmed"))
				mustRead(t, conn, []byte("unharmed"))
				conn.Close()
			}
			if c.eat {
				s.tell(t, "release")
			}
			freed := time.Now()
			var r childReport
			eventually(t, func() bool { r = s.report(t); return r.Stats.Connections == 0 }, func() string { return "room" })
			for range 50 {
				open(t, s.Addr, helloA, helloA)
			}
			if took := time.Since(freed); full() && took > time.Second {
				t.Errorf("full service came back after %v", took)
			}
			if c.eat && r.closed(CauseFDLimit) == 0 {
				t.Error("the process never was out of descriptors: nothing was tested")
			}
			checkBalance(t, r.Stats)
			if lines := strings.Count(s.log.String(), "\n"); lines >= 20 {
				t.Errorf("%d lines of log, want fewer than 20:\n%s", lines, s.log.String())
			}
		})
	}
}

// R19, CVE-2022-21698, caddy#6279, ingress-nginx#3116: names that strangers choose leave nothing behind: no counter,
// no memory.
func TestStrangersNamesLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	s := start(t, childSpec{Backends: []string{echo(t)}, LogLines: true}, false)
	var sent atomic.Int64
	knock := func(n int) childReport {
		repeat(n, func(int) {
			name := fmt.Sprintf("%016x.%x.example.org", rand.Uint64(), rand.Uint32())
			if _, err := exchange(t, s.Addr, craft(serverName(name))); err != nil && !isReset(err) && !errors.Is(err, syscall.ENOTCONN) {
				t.Error(err)
			}
			sent.Add(1)
		})
		var r childReport // a client may have seen its reset sooner than that was counted
		eventually(t, func() bool { r = s.report(t); return r.Stats.Connections == 0 }, func() string { return "no connection left" })
		return r
	}
	before := knock(2000)
	after := knock(sized(20_000, 1_000_000))
	if a, b := series(t, before.Stats), series(t, after.Stats); a != b {
		t.Errorf("%d series before, %d after", a, b)
	}
	grown := int64(after.Memory) - int64(before.Memory)
	t.Logf("%d names: memory %+d bytes", sent.Load(), grown)
	if grown > 5<<20 {
		t.Errorf("memory grew by %d bytes", grown)
	}
	if got := after.closed(CauseNoRoute); got != uint64(sent.Load()) {
		t.Errorf("%d connections ended with no_route, want %d", got, sent.Load())
	}
}

// series is how many numbers there are in v.
func series(t *testing.T, v any) int {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	return leaves(tree)
}

func leaves(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			n += leaves(e)
		}
	case []any:
		for _, e := range v {
			n += leaves(e)
		}
	default:
		return 1
	}
	return n
}
