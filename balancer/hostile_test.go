package balancer

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/route"
)

// R32, the law: whatever is done to a hello, it reaches a pool only if crypto/tls reads in it what leads there: the
// default only hellos without a name, the pool of a host only hellos with that name.
func TestMutatedHellosReachNoPoolWithoutRight(t *testing.T) {
	t.Parallel()
	var reached [2]atomic.Int64
	guarded := func(i int, right func(name string, ok bool) bool) string {
		return listenTCP(t, func(c *net.TCPConn) {
			b := make([]byte, 0, 8<<10)
			for len(b) < cap(b) { // all there is: the client ends after its hello
				n, err := c.Read(b[len(b):cap(b)])
				b = b[:len(b)+n]
				if name, ok := tlsReads(b); ok {
					if !right(name, ok) {
						t.Errorf("a pool was reached with the name %q by % x", name, b)
					}
					reached[i].Add(1)
					c.Write(serverHelloLike)
					return
				}
				if err != nil {
					t.Errorf("a pool was reached by what crypto/tls cannot read: % x", b)
					return
				}
			}
		})
	}
	nameless := guarded(0, func(name string, ok bool) bool { return ok && name == "" })
	secret := guarded(1, func(name string, ok bool) bool { return ok && strings.EqualFold(name, "secret.example.com") })
	cfg := oneHost("secret.example.com", testPool("pool", secret))
	cfg.Pools = append(cfg.Pools, testPool("default", nameless))
	cfg.Listeners[0].NoSNI, cfg.Listeners[0].UnknownSNI = toPool("default"), reject(route.RejectReset)
	s := serve(t, cfg, func(o *Options) { o.LogConnections = false })
	seeds := [][]byte{
		craft(serverName("secret.example.com")),
		craft(),
		craft(serverName("other.example.com"), padding(40)),
		helloBytes(t, "secret.example.com", "h2"),
		helloBytes(t, "", "h2"),
		inRecords(craftMessage(serverName("secret.example.com")), 40),
		craft(serverName("secret.example.com"), serverName("other.example.com")),
		craft(extension{extServerName, vec16(append(append([]byte{0}, vec16([]byte("secret.example.com"))...),
			append([]byte{0}, vec16([]byte("b.example.com"))...)...))}),
	}
	seed := rand.Uint64()
	n := sized(5000, 100_000)
	repeat(n, func(i int) {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		hello := mutate(r, seeds[i%len(seeds)])
		exchange(t, s.addr, hello)
	})
	s.balanced(t)
	t.Logf("seed %d: of %d hellos %d reached the default and %d the host, all with right", seed, n, reached[0].Load(), reached[1].Load())
	if reached[0].Load() == 0 || reached[1].Load() == 0 {
		t.Error("one of the pools was never reached: nothing was tested")
	}
	if p := s.Stats().Panics; p != 0 {
		t.Errorf("%d panics", p)
	}
}

// mutate changes a few things in a copy of b: bytes, lengths, order; sometimes nothing.
func mutate(r *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	for range r.IntN(4) {
		at := r.IntN(len(b))
		switch r.IntN(7) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b[at] = byte(r.Uint32())
		case 2: // a length, or what might be one
			b[at] += byte(1 - 2*r.IntN(2))
		case 3:
			b = append(b[:at], b[min(len(b), at+1+r.IntN(8)):]...)
		case 4:
			b = append(b[:at], append([]byte{byte(r.Uint32())}, b[at:]...)...)
		case 5: // a piece from elsewhere
			n := min(r.IntN(24), len(b)-at)
			copy(b[r.IntN(len(b)):], bytes.Clone(b[at:at+n]))
		case 6:
			b = b[:at+1]
		}
		if len(b) < 2 {
			return b
		}
	}
	return b
}

// R20, CVE-2003-0020, CVE-2003-0083, CVE-2020-8445, GHSA-8h6h-x5pq-56fq, CVE-2026-47220, CVE-2024-32475: whatever bytes
// a name has, every line of the log is JSON in printable ASCII and of bounded length.
func TestLogLinesStayLogLines(t *testing.T) {
	t.Parallel()
	s := serve(t, oneHost("*.example.com", testPool("pool", echo(t), refusing(t))))
	var names []string
	for b := range 256 {
		names = append(names, "a"+string([]byte{byte(b)})+"b.example.com", string([]byte{byte(b)}))
	}
	names = append(names, "\x1b[2J\x1b]0;x\x07.example.com", "a\nlevel=ERROR msg=forged", `a","cause":"ok`, "\u202e.example.com",
		strings.Repeat("a", 63)+"."+strings.Repeat("b.", 95)+"example.com", strings.Repeat("x", 5000), "a.example.com.", "")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range sized(300, 20_000) {
		b := make([]byte, r.IntN(300))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		names = append(names, string(b))
	}
	repeat(len(names), func(i int) {
		exchange(t, s.addr, craft(serverName(names[i])))
		exchange(t, s.addr, []byte(names[i]))
	})
	s.balanced(t)
	s.Shutdown(t.Context()) // writes what is left
	lines := 0
	for line := range strings.Lines(s.log.String()) {
		lines++
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		if len(line) > 1200 {
			t.Errorf("a line of %d bytes: %q", len(line), line)
		}
		for _, c := range []byte(strings.TrimSuffix(line, "\n")) {
			if c < 0x20 || c > 0x7e {
				t.Fatalf("byte %#x in %q", c, line)
			}
		}
		if sni, _ := v["sni"].(string); len(sni) > 255 {
			t.Errorf("a name of %d bytes", len(sni))
		}
	}
	if lines == 0 {
		t.Error("no line at all: nothing was tested")
	}
}

// R23: a name is looked up in the table and nowhere else: names that are addresses, and names of listeners nearby, make
// no connection to anything but the backends of the configuration.
func TestNamesAreNotDialed(t *testing.T) {
	t.Parallel()
	var dialed atomic.Int64
	trap := listenTCP(t, func(*net.TCPConn) { dialed.Add(1) })
	_, port, _ := net.SplitHostPort(trap)
	cfg := oneHost("*", testPool("pool", echo(t)))
	cfg.Routes = append(cfg.Routes, route.Route{Name: "other", Index: 1, Hosts: []string{"*.example.com"}, Action: toPool("other")})
	cfg.Pools = append(cfg.Pools, testPool("other", echo(t)))
	s := serve(t, cfg)
	backends := map[string]bool{}
	for _, p := range s.Stats().Pools {
		backends[p.Backends[0].Address] = true
	}
	names := []string{"127.0.0.1", trap, "localhost", "localhost:" + port, "[::1]", "169.254.169.254", "metadata.google.internal",
		"127.0.0.1.example.com", "a.example.com", "xn--nxasmq6b.example", "0x7f000001", "2130706433", "/etc/passwd", "unix:/run/x.sock"}
	for _, name := range names {
		exchange(t, s.addr, craft(serverName(name)))
	}
	s.balanced(t)
	s.quietLog(t)
	if n := dialed.Load(); n != 0 {
		t.Errorf("%d connections to an address that only a client named", n)
	}
	for line := range strings.Lines(s.log.String()) {
		var v struct{ Backend string }
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		if v.Backend != "" && !backends[v.Backend] {
			t.Errorf("connected to %s, which no pool has: %s", v.Backend, line)
		}
	}
}

// R30: a panic ends the connection that met it and no other; it is counted and logged. A header version that does not
// exist makes prepare panic, which checked configurations exclude.
func TestPanicEndsOneConnection(t *testing.T) {
	t.Parallel()
	broken := testPool("broken", echo(t))
	broken.Header = pool.HeaderVersion(9)
	cfg := oneHost("a.example.com", testPool("pool", echo(t)))
	cfg.Pools = append(cfg.Pools, broken)
	cfg.Routes = append(cfg.Routes, route.Route{Name: "broken", Index: 1, Hosts: []string{"broken.example.com"}, Action: toPool("broken")})
	s := serve(t, cfg)
	bad, long := craft(serverName("broken.example.com")), open(t, s.addr, helloA, helloA)
	n := sized(2000, 60_000)
	repeat(n, func(i int) {
		if i%100 == 99 {
			if got, err := exchange(t, s.addr, bad); !isReset(err) {
				t.Errorf("the connection that panics got %d bytes, %v, want a reset", len(got), err)
			}
			return
		}
		if got, err := exchange(t, s.addr, helloA); err != nil || !bytes.Equal(got, helloA) {
			t.Errorf("connection %d: %d bytes, %v", i, len(got), err)
		}
	})
	mustWrite(t, long, []byte("alive"))
	mustRead(t, long, []byte("alive"))
	long.Close()
	s.closed(t, CauseInternalError, uint64(n/100))
	s.balanced(t)
	if got := s.Stats().Panics; got != uint64(n/100) {
		t.Errorf("%d panics counted, want %d", got, n/100)
	}
	eventually(t, func() bool { return strings.Contains(s.log.String(), `"level":"ERROR","msg":"internal error`) },
		func() string { return "a line about it in the log" })
}

// R20: lines about clients that were refused are at most a hundred a second for each cause, and the log says how many
// more there were; lines of connections that were served are all written.
func TestRefusalsDoNotFloodTheLog(t *testing.T) {
	t.Parallel()
	s := serve(t, oneHost("a.example.com", testPool("pool", echo(t))))
	refused, served := sized(2000, 100_000), 300
	begun := time.Now()
	repeat(refused, func(int) { exchange(t, s.addr, []byte("GET / HTTP/1.1\r\n")) })
	repeat(served, func(int) { exchange(t, s.addr, helloA) })
	s.balanced(t)
	s.Shutdown(t.Context())
	seconds := int(time.Since(begun)/time.Second) + 2
	byCause := map[string]int{}
	heldBack := 0
	for line := range strings.Lines(s.log.String()) {
		var v struct {
			Msg, Cause string
			Lines      int
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		if v.Msg == "connection" {
			byCause[v.Cause]++
		}
		heldBack += v.Lines
	}
	if got := byCause["ok"]; got != served {
		t.Errorf("%d lines of served connections, want %d", got, served)
	}
	got := byCause["not_tls"]
	if got == 0 || got > 100*seconds {
		t.Errorf("%d lines of refused ones in %d seconds, want at most 100 a second", got, seconds)
	}
	if got+heldBack != refused {
		t.Errorf("%d lines and %d held back, want %d in all", got, heldBack, refused)
	}
}
