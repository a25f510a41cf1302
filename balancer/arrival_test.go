package balancer

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/seed-23b4a313/switchyard/route"
)

// CVE-2026-32305, CVE-2026-75595, tcpproxy#40, ingress-nginx#11424, haproxy#3148: however a hello is cut into
// records and whatever its size, it reaches the backend of its name, byte for byte, and never the default.
func TestHelloArrivesHoweverItIsCut(t *testing.T) {
	t.Parallel()
	host := serverName("a.example.com")
	small := craftMessage(host)
	for _, c := range []struct {
		name  string
		hello []byte
	}{
		{"one record", inRecords(small, maxRecord)},
		{"two records, cut in the handshake header", append(inRecords(small[:2], 2), inRecords(small[2:], maxRecord)...)},
		{"records of one byte within the bound on records", append(inRecords(small[:60], 1), inRecords(small[60:], maxRecord)...)},
		{"records of 16 bytes", inRecords(small, 16)},
		{"a record of one byte, then the rest", append(inRecords(small[:1], 1), inRecords(small[1:], maxRecord)...)},
		{"the name cut in two", resplit(craft(host), len(small)-6)},
		{"17 KB before the name, in two records", craft(padding(17<<10), host)},
		{"17 KB in records of 1 KB", inRecords(craftMessage(host, padding(17<<10)), 1<<10)},
		{"64 KB", craft(host, padding(60<<10))},
		{"an unknown extension of 1 200 bytes", craft(host, extension{0x1a1a, make([]byte, 1200)})},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serveTrap(t)
			got, err := exchange(t, s.addr, c.hello)
			if err != nil || !bytes.Equal(got, c.hello) {
				t.Errorf("%d bytes of %d came back, %v", len(got), len(c.hello), err)
			}
			s.closed(t, CauseOK, 1)
			s.balanced(t)
		})
	}
}

// serveTrap routes a.example.com to an echo backend; whatever has no name or another one goes to a pool whose
// backend fails the test.
func serveTrap(t *testing.T) *running {
	trap := listenTCP(t, func(c *net.TCPConn) {
		b, _ := readHelloRecord(c)
		t.Errorf("reached the default pool with % x", b[:min(len(b), 16)])
	})
	cfg := oneHost("a.example.com", testPool("pool", echo(t)))
	cfg.Pools = append(cfg.Pools, testPool("default", trap))
	cfg.Listeners[0].NoSNI, cfg.Listeners[0].UnknownSNI = toPool("default"), toPool("default")
	return serve(t, cfg)
}

// CVE-2026-32305: the same over segments. A hello that stops anywhere is waited for, and nothing is decided on.
func TestHelloIsNotDecidedOnBeforeItsEnd(t *testing.T) {
	t.Parallel()
	s := serveTrap(t)
	hello := craft(serverName("a.example.com"))
	for cut := 1; cut < len(hello); cut += 7 {
		c := dial(t, s.addr)
		mustWrite(t, c, hello[:cut])
		mustWrite(t, c, hello[cut:])
		mustRead(t, c, hello)
		c.Close()
	}
	for cut := 1; cut < len(hello); cut += 11 { // and one that ends there reaches nobody
		if got, err := exchange(t, s.addr, hello[:cut]); len(got) != 0 || err != nil {
			t.Errorf("a hello cut at %d got %d bytes, %v; want an end", cut, len(got), err)
		}
	}
	s.balanced(t)
}

// Real handshakes with hellos of 17 KB and 60 KB, and with one cut into records of 100 bytes: both ends compute the
// transcript hash over what they saw, so that one changed byte would fail them.
func TestHandshakeWithUnusualHellos(t *testing.T) {
	t.Parallel()
	addr, _ := tlsEcho(t, "a.example.com")
	s := serve(t, oneHost("a.example.com", testPool("pool", addr)))
	for _, c := range []struct {
		name   string
		protos int // ALPN entries of 250 bytes
		cut    int
	}{
		{"ordinary", 0, 0},
		{"17 KB over two records", 68, 0},
		{"60 KB over four records", 240, 0},
		{"records of 100 bytes", 0, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			protos := []string{"h2"}
			for i := range c.protos {
				protos = append(protos, fmt.Sprintf("%03d", i)+strings.Repeat("x", 247))
			}
			raw := net.Conn(dial(t, s.addr))
			if c.cut > 0 {
				raw = &cutHello{Conn: raw, size: c.cut}
			}
			tc := tls.Client(raw, &tls.Config{ServerName: "a.example.com", InsecureSkipVerify: true, NextProtos: protos})
			mustWrite(t, tc, []byte("over TLS"))
			mustRead(t, tc, []byte("over TLS"))
			if got := tc.ConnectionState().NegotiatedProtocol; got != "h2" {
				t.Errorf("ALPN %q, want h2", got)
			}
			tc.Close()
		})
	}
}

// cutHello is a connection whose first write, a hello in one record, goes out in records of size bytes.
type cutHello struct {
	net.Conn
	size int
	done bool
}

func (c *cutHello) Write(b []byte) (int, error) {
	if c.done {
		return c.Conn.Write(b)
	}
	c.done = true
	if _, err := c.Conn.Write(resplit(b, c.size)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// fabio, traefik#12842, Envoy 1.35.4: what a client sends right behind its hello is not lost, be it little or more
// than any buffer of ours.
func TestBytesBehindTheHelloArrive(t *testing.T) {
	t.Parallel()
	s := serve(t, oneHost("a.example.com", testPool("pool", echo(t))))
	for _, n := range []int{1, 1000, 16 << 10, 300 << 10} {
		sent := append(craft(serverName("a.example.com")), pattern(n)...)
		c := dial(t, s.addr)
		go func() { c.Write(sent); c.CloseWrite() }()
		got, err := readAll(c)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes behind the hello: %d of %d came back, %v", n, len(got), len(sent), err)
		}
	}
	s.balanced(t)
}

// pattern is n bytes of which no run repeats soon.
func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(n) | 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func TestHelloLargerThanAllowedIsRefused(t *testing.T) {
	t.Parallel()
	cfg := oneHost("a.example.com", testPool("pool", echo(t)))
	cfg.Listeners[0].HelloMaxSize = 8 << 10
	s := serve(t, cfg)
	got, err := exchange(t, s.addr, craft(serverName("a.example.com"), padding(9<<10)))
	if want := alertOf(50); !bytes.Equal(got, want) || err != nil {
		t.Errorf("got % x, %v, want the alert decode_error", got, err)
	}
	s.closed(t, CauseHelloTooBig, 1)
}

// Every refusal that says alert can be read to its end, by a client that goes on sending: RST does not overtake it.
func TestEveryAlertCanBeRead(t *testing.T) {
	t.Parallel()
	named, nameless := craft(serverName("other.example.org")), craft()
	for _, c := range []struct {
		name  string
		send  []byte
		alert byte
		cause Cause
	}{
		{"no route for the name", named, 112, CauseNoRoute},
		{"no name", nameless, 109, CauseNoSNI},
		{"a route that rejects", craft(serverName("no.example.com")), 112, CauseRejected},
		{"a malformed hello", craft(extension{extServerName, []byte{0}}), 50, CauseBadHello},
		{"a name that is no host name", craft(serverName("a_b c")), 50, CauseBadHello},
		{"no backend", craft(serverName("down.example.com")), 80, CauseConnectFail},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := oneHost("a.example.com", testPool("pool", echo(t)))
			cfg.Routes = append(cfg.Routes,
				route.Route{Name: "no", Index: 1, Hosts: []string{"no.example.com"}, Action: reject(route.RejectAlert)},
				route.Route{Name: "down", Index: 2, Hosts: []string{"down.example.com"}, Action: toPool("down")})
			cfg.Pools = append(cfg.Pools, testPool("down", refusing(t)))
			s := serve(t, cfg)
			for range 20 {
				conn := dial(t, s.addr)
				conn.Write(c.send)
				conn.Write(pattern(20_000))
				got, err := readAll(conn)
				if want := alertOf(c.alert); !bytes.Equal(got, want) || err != nil {
					t.Fatalf("got % x, %v, want % x and an orderly end", got, err, want)
				}
				conn.Close()
			}
			s.closed(t, c.cause, 20)
			s.balanced(t)
		})
	}
}

// The log line says what is wrong with a hello, and nothing of what was in it.
func TestLineSaysWhatIsWrongWithAHello(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		send []byte
		want string
	}{
		{"a malformed extension", craft(extension{extServerName, []byte{0}}), "malformed server_name extension"},
		{"an address as the name", craft(serverName("192.0.2.7")), "host name: an IP address is not a host name"},
		{"a space in the name", craft(serverName("a_b c")), "server name holds a byte that no host name has"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, oneHost("a.example.com", testPool("pool", echo(t))))
			if got, err := exchange(t, s.addr, tt.send); !bytes.Equal(got, alertOf(50)) || err != nil {
				t.Errorf("got % x, %v, want the alert decode_error", got, err)
			}
			if l := s.lines(t, 1)[0]; l.Error != tt.want || l.Cause != CauseBadHello.String() || l.SNI != "" {
				t.Errorf("the line says %+v, want the error %q", l, tt.want)
			}
		})
	}
}

// What is not TLS ends as not_tls says, at its first bytes: whether little or more than 16 KB of it comes at once
// (Envoy 1.35.4 notes).
func TestPlainTextEndsAsNotTLSSays(t *testing.T) {
	t.Parallel()
	for _, how := range []route.Reject{route.RejectClose, route.RejectReset} {
		for _, n := range []int{16, 40 << 10} {
			cfg := oneHost("a.example.com", testPool("pool", echo(t)))
			cfg.Listeners[0].NotTLS = how
			s := serve(t, cfg)
			c := dial(t, s.addr)
			c.Write(append([]byte("GET / HTTP/1.1\r\n"), make([]byte, n)...))
			mustEnd(t, c, how == route.RejectReset)
			s.closed(t, CauseNotTLS, 1)
		}
	}
}

func TestListenersOfBothFamilies(t *testing.T) {
	t.Parallel()
	backend6, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6 loopback:", err)
	}
	backend6.Close()
	hello := craft(serverName("a.example.com"))
	for _, c := range []struct {
		name string
		bind []netip.AddrPort
		dial []string // "%d" is the port of the first bind
	}{
		{"IPv4", addrs("127.0.0.1:0"), []string{"127.0.0.1:%d"}},
		{"IPv6", addrs("[::1]:0"), []string{"[::1]:%d"}},
		{"a port alone is both families", []netip.AddrPort{{}}, []string{"127.0.0.1:%d", "[::1]:%d"}},
		{"several binds", addrs("127.0.0.1:0", "127.0.0.2:0", "[::1]:0"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := oneHost("a.example.com", testPool("pool", echo(t), echo6(t)))
			cfg.Listeners[0].Bind = c.bind
			s := serve(t, cfg)
			bound := s.Addrs("public")
			if len(bound) != len(c.bind) {
				t.Fatalf("bound to %v, want one for each of %v", bound, c.bind)
			}
			var to []string
			for _, d := range c.dial {
				to = append(to, fmt.Sprintf(d, bound[0].Port()))
			}
			if c.dial == nil {
				for _, a := range bound {
					to = append(to, a.String())
				}
			}
			for _, addr := range to {
				for range 2 { // round robin: both backends
					if got, err := exchange(t, addr, hello); err != nil || !bytes.Equal(got, hello) {
						t.Errorf("by %s: %d bytes came back, %v", addr, len(got), err)
					}
				}
			}
			s.quiet(t)
			for _, b := range s.Stats().Pools[0].Backends {
				if b.Total != uint64(len(to)) {
					t.Errorf("backend %s got %d connections, want %d", b.Address, b.Total, len(to))
				}
			}
		})
	}
}

func addrs(list ...string) []netip.AddrPort {
	var out []netip.AddrPort
	for _, a := range list {
		out = append(out, netip.MustParseAddrPort(a))
	}
	return out
}

// echo6 is echo on IPv6.
func echo6(t *testing.T) string {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, l, func(c *net.TCPConn) { io.Copy(c, c); c.CloseWrite() })
	return l.Addr().String()
}

// An address that cannot be bound is named with what to do about it, and nothing stays bound.
func TestBindErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct{ name, bind, want string }{
		{"in use", taken.Addr().String(),
			`listener "public": bind ` + taken.Addr().String() + `: address already in use`},
		{"not an address of this machine", "192.0.2.1:0",
			`listener "public": bind 192.0.2.1:0: cannot assign requested address`},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := oneHost("a.example.com", testPool("pool", "127.0.0.1:1"))
			cfg.Listeners[0].Bind = addrs("127.0.0.1:0", c.bind)
			s, err := New(cfg, Options{Loops: 2})
			if err == nil {
				s.Shutdown(t.Context())
				t.Fatal("bound")
			}
			var be *BindError
			if !asBindError(err, &be) || be.Error() != c.want || be.Hint == "" {
				t.Errorf("got %v (%+v), want %s with a hint", err, be, c.want)
			}
		})
	}
}

func asBindError(err error, to **BindError) bool {
	be, ok := err.(*BindError)
	*to = be
	return ok
}
