package health

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// serve runs a backend on 127.0.0.1 that gives every connection to handle, and ends with the test.
func serve(t *testing.T, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, handle)
}

func serveOn(t *testing.T, l net.Listener, handle func(net.Conn)) netip.AddrPort {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		conns []net.Conn
	)
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

// firstReport checks addr once.
func firstReport(t *testing.T, addr netip.AddrPort, check pool.Check) Report {
	t.Helper()
	checker := New(nil)
	defer checker.Close()
	check.Interval, check.FastInterval = time.Hour, time.Millisecond
	if check.Timeout == 0 {
		check.Timeout = 10 * time.Second
	}
	reports := make(chan Report, 1)
	checker.Watch(addr, &check, netip.Addr{}, func(r Report) {
		select {
		case reports <- r:
		default:
		}
	})
	return <-reports
}

// The ways to fail.

func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func reset(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }

// resetOnHello answers the first bytes with RST.
func resetOnHello(c net.Conn) {
	_, _ = c.Read(make([]byte, 1))
	reset(c)
}

// halfClosed says that it will send nothing, and listens on.
func halfClosed(c net.Conn) {
	_ = c.(*net.TCPConn).CloseWrite()
	silent(c)
}

// says writes what it has to, whatever it is asked, and closes when the other side does.
func says(words string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, words)
		silent(c)
	}
}

// answers writes an HTTP response once the request is there, and closes.
func answers(response string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, response)
		}
	}
}

// trickles writes words a byte at a time, for ever.
func trickles(begin, words string) func(net.Conn) {
	return func(c net.Conn) {
		_, err := io.WriteString(c, begin)
		for i := 0; err == nil; i++ {
			time.Sleep(5 * time.Millisecond)
			_, err = c.Write([]byte{words[i%len(words)]})
		}
	}
}

// over speaks TLS.
func over(config *tls.Config, handle func(net.Conn)) func(net.Conn) {
	return func(c net.Conn) { handle(tls.Server(c, config)) }
}

// slowly hands on what the TLS server of config has to say in single bytes.
func slowly(config *tls.Config) func(net.Conn) {
	return func(c net.Conn) { silent(tls.Server(slowConn{c}, config)) }
}

type slowConn struct{ net.Conn }

func (s slowConn) Write(p []byte) (int, error) {
	for i := range p {
		time.Sleep(5 * time.Millisecond)
		if _, err := s.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// blackhole is an address whose SYNs are dropped: a listener whose queue is full.
func blackhole(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(name.(*syscall.SockaddrInet4).Port))
	for range 8 {
		c, err := net.DialTimeout("tcp", addr.String(), 50*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Skip("a listener without a queue takes connections here")
	return addr
}

// refused is an address at which nobody listens until the test does, or a program that it starts: a socket that is bound, and
// does not listen, keeps the port from all others. Servers have SO_REUSEADDR, and may listen beside it.
func refused(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(name.(*syscall.SockaddrInet4).Port))
}

func TestFailuresAndTheirReasons(t *testing.T) {
	a := newAuthority()
	plain := &tls.Config{Certificates: []tls.Certificate{a.issue(nil)}, NextProtos: []string{"h2", "http/1.1"}}
	with := func(edit func(*x509.Certificate)) func(net.Conn) {
		return over(&tls.Config{Certificates: []tls.Certificate{a.issue(edit)}}, silent)
	}
	noName := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, io.ErrNoProgress }}
	h2 := &tls.Config{Certificates: plain.Certificates, NextProtos: []string{"h2"}}

	tcp, tlsCheck, web, webs := pool.Check{}, pool.Check{Type: pool.CheckTLS}, pool.Check{Type: pool.CheckHTTP}, pool.Check{Type: pool.CheckHTTPS}
	verified := pool.Check{Type: pool.CheckTLS, SNI: "backend.example.com", Verify: pool.VerifyCA, CA: trust(a)}
	edit := func(c pool.Check, f func(*pool.Check)) pool.Check { f(&c); return c }
	short := func(c pool.Check) pool.Check { c.Timeout = time.Second; return c } // a busy machine may take some of it to connect
	now := time.Now().UTC().Truncate(time.Second)                                // once: a certificate, and what is said of it, are not made in the same second
	days := func(n int) time.Time { return now.AddDate(0, 0, n) }
	for _, c := range []struct {
		name    string
		backend func(net.Conn)
		check   pool.Check
		want    string
	}{
		{"resets before the hello", reset, tlsCheck, "TLS handshake: connection reset by peer"},
		{"resets at the hello", resetOnHello, tlsCheck, "TLS handshake: connection reset by peer"},
		{"closes before ServerHello", func(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) }, tlsCheck, "TLS handshake: closed by the backend"},
		{"says that it will not speak", halfClosed, tlsCheck, "TLS handshake: closed by the backend"},
		{"accepts and is silent", silent, short(tlsCheck), "TLS handshake: timed out after 1s"},
		{"makes a slow handshake", slowly(plain), short(tlsCheck), "TLS handshake: timed out after 1s"},
		{"speaks something else than TLS", says("220 mail.example.com\r\n"), tlsCheck, "TLS handshake: first record does not look like a TLS handshake"},
		{"sends half a record", says("\x16\x03\x03\x40\x00abc"), short(tlsCheck), "TLS handshake: timed out after 1s"},
		{"sends a record that is too long", says("\x16\x03\x03\xff\xff" + strings.Repeat("a", 70000)), tlsCheck, "TLS handshake: oversized record received with length 65535"},
		{"sends an alert", over(noName, silent), tlsCheck, "TLS handshake: alert: internal error"},
		{"sends an alert in plain", says("\x15\x03\x03\x00\x02\x02\x70"), tlsCheck, "TLS handshake: alert: unrecognized name"},
		{"agrees to no protocol", over(plain, silent), edit(tlsCheck, func(c *pool.Check) { c.ALPN = []string{"smtp"} }), "TLS handshake: alert: no application protocol"},

		{"has a certificate for another name", with(nil), edit(verified, func(c *pool.Check) { c.SNI = "other.example.com" }), "certificate: not for other.example.com"},
		{"has a certificate for another address", with(func(c *x509.Certificate) { c.IPAddresses = nil }), edit(verified, func(c *pool.Check) { c.SNI = "" }), "certificate: not for 127.0.0.1"},
		{"has an expired certificate", with(func(c *x509.Certificate) { c.NotAfter = days(-1); c.NotBefore = days(-2) }), verified, "certificate: expired on " + days(-1).Format(time.RFC3339)},
		{"has a certificate for later", with(func(c *x509.Certificate) { c.NotBefore = days(1); c.NotAfter = days(2) }), verified, "certificate: not valid before " + days(1).Format(time.RFC3339)},
		{"has a certificate of somebody else", over(&tls.Config{Certificates: []tls.Certificate{newAuthority().issue(nil)}}, silent), verified, "certificate: signed by an unknown authority"},
		{"has a certificate that the system does not know", with(nil), edit(verified, func(c *pool.Check) { c.Verify = pool.VerifySystem }), "certificate: signed by an unknown authority"},
		{"is to be verified by nobody", with(nil), edit(verified, func(c *pool.Check) { c.CA = nil }), "certificate: signed by an unknown authority"},

		{"answers with an error", answers("HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"), web, "request: status 503"},
		{"answers with another status than the one expected", answers("HTTP/1.1 200 OK\r\n\r\n"), edit(web, func(c *pool.Check) { c.ExpectStatus = []int{204, 301} }), "request: status 200"},
		{"answers by HTTP/0.9", answers("hello"), web, `request: malformed HTTP response "hello"`},
		{"answers nonsense", answers("SSH-2.0-OpenSSH\r\n"), web, `request: malformed HTTP response "SSH-2.0-OpenSSH"`},
		{"answers with control bytes", answers("\x1b[2J\xff\x00 200 x\r\n\r\n"), web, `request: malformed HTTP version "\x1b[2J\xff\x00"`},
		{"does not answer", silent, short(web), "request: timed out after 1s"},
		{"closes without an answer", answers(""), web, "request: closed by the backend"},
		{"trickles its header for ever", trickles("HTTP/1.1 200 OK\r\nX: ", "a"), short(web), "request: timed out after 1s"},
		{"sends interim answers for ever", trickles("", "HTTP/1.1 100 Continue\r\n\r\n"), short(web), "request: timed out after 1s"},
		{"has a huge header", answers("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 1<<20)), web, "request: the header of the response is longer than 32 KiB"},
		{"has many headers", answers("HTTP/1.1 200 OK\r\n" + strings.Repeat("X: a\r\n", 1<<16)), web, "request: the header of the response is longer than 32 KiB"},
		{"chooses HTTP/2", over(h2, silent), edit(webs, func(c *pool.Check) { c.ALPN = []string{"h2"} }), "request: the backend has chosen another protocol than http/1.1"},
		{"shows a bad certificate before it is asked", over(plain, answers("HTTP/1.1 200 OK\r\n\r\n")), edit(webs, func(c *pool.Check) { c.Verify = pool.VerifySystem }), "certificate: signed by an unknown authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			check := c.check
			r := firstReport(t, serve(t, c.backend), check)
			if r.Error != c.want || r.State != pool.StateDown {
				t.Errorf("state %v, error %q, want %q", r.State, r.Error, c.want)
			}
			if step, _, _ := strings.Cut(c.want, ":"); step == "certificate" && (r.Certificate == nil || r.Version == 0) {
				t.Errorf("the certificate that is wrong is not reported: %+v", r)
			}
		})
	}
	t.Run("is not there", func(t *testing.T) {
		if got := firstReport(t, refused(t), tcp).Error; got != "connect: connection refused" {
			t.Errorf("error %q", got)
		}
	})
	t.Run("swallows SYNs", func(t *testing.T) {
		if got := firstReport(t, blackhole(t), short(tcp)).Error; got != "connect: timed out after 1s" {
			t.Errorf("error %q", got)
		}
	})
}

// The timeout is for everything from connect to the end, however busy the backend keeps us.
func TestTimeoutCoversTheWholeCheck(t *testing.T) {
	addr := serve(t, trickles("HTTP/1.1 200 OK\r\nX: ", "a"))
	start := time.Now()
	firstReport(t, addr, pool.Check{Type: pool.CheckHTTP, Timeout: 300 * time.Millisecond})
	// The header alone would go on for minutes.
	if took := time.Since(start); took < 300*time.Millisecond || took > 30*time.Second {
		t.Errorf("the check took %v", took)
	}
}

func TestChecksThatPass(t *testing.T) {
	a := newAuthority()
	cert := a.issue(nil)
	config := func(versions ...uint16) *tls.Config {
		c := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}}
		if len(versions) > 0 {
			c.MinVersion, c.MaxVersion = versions[0], versions[0]
		}
		return c
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	shown := describe(leaf)
	ok := "HTTP/1.1 200 OK\r\n\r\n"
	type seen struct {
		Version     uint16
		ALPN        string
		Certificate *Certificate
	}
	for _, c := range []struct {
		name    string
		backend func(net.Conn)
		check   pool.Check
		want    seen
	}{
		{"by TCP", silent, pool.Check{}, seen{}},
		{"by TCP, of one that speaks first", says("220 mail.example.com\r\n"), pool.Check{}, seen{}},
		{"by TCP, of one that resets at once", reset, pool.Check{}, seen{}},
		{"by TLS 1.3", over(config(), silent), pool.Check{Type: pool.CheckTLS}, seen{tls.VersionTLS13, "", shown}},
		{"by TLS 1.2", over(config(tls.VersionTLS12), silent), pool.Check{Type: pool.CheckTLS}, seen{tls.VersionTLS12, "", shown}},
		{"by TLS 1.0", over(config(tls.VersionTLS10), silent), pool.Check{Type: pool.CheckTLS}, seen{tls.VersionTLS10, "", shown}},
		{"with a protocol", over(config(), silent), pool.Check{Type: pool.CheckTLS, ALPN: []string{"x", "h2"}}, seen{tls.VersionTLS13, "h2", shown}},
		{"verified by name", over(config(), silent), pool.Check{Type: pool.CheckTLS, SNI: "backend.example.com", Verify: pool.VerifyCA, CA: trust(a)}, seen{tls.VersionTLS13, "", shown}},
		{"verified by address", over(config(), silent), pool.Check{Type: pool.CheckTLS, Verify: pool.VerifyCA, CA: trust(a)}, seen{tls.VersionTLS13, "", shown}},
		{"by HTTP", answers(ok), pool.Check{Type: pool.CheckHTTP}, seen{}},
		{"by HTTP/1.0", answers("HTTP/1.0 200 OK\r\n\r\n"), pool.Check{Type: pool.CheckHTTP}, seen{}},
		{"by HTTPS", over(config(), answers(ok)), pool.Check{Type: pool.CheckHTTPS}, seen{tls.VersionTLS13, "http/1.1", shown}},
		{"by HTTPS, of one that agrees to no protocol", over(&tls.Config{Certificates: config().Certificates}, answers(ok)), pool.Check{Type: pool.CheckHTTPS}, seen{tls.VersionTLS13, "", shown}},
		{"with a redirect, which is not followed", answers("HTTP/1.1 301 Moved\r\nLocation: http://192.0.2.1/\r\n\r\n"), pool.Check{Type: pool.CheckHTTP}, seen{}},
		{"with the one status asked for", answers("HTTP/1.1 503 No\r\n\r\n"), pool.Check{Type: pool.CheckHTTP, ExpectStatus: []int{200, 503}}, seen{}},
		{"with interim answers before", answers("HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + ok), pool.Check{Type: pool.CheckHTTP}, seen{}},
		{"with a body that does not end", trickles(ok, "a"), pool.Check{Type: pool.CheckHTTP}, seen{}},
		{"with a large body", answers(ok + strings.Repeat("a", 1<<20)), pool.Check{Type: pool.CheckHTTP}, seen{}},
		{"with a promise of a body", answers("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"), pool.Check{Type: pool.CheckHTTP, Method: "HEAD"}, seen{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := firstReport(t, serve(t, c.backend), c.check)
			if r.Error != "" || r.State != pool.StateUp || r.Latency <= 0 {
				t.Errorf("state %v, error %q, latency %v", r.State, r.Error, r.Latency)
			}
			if diff := cmp.Diff(c.want, seen{r.Version, r.ALPN, r.Certificate}); diff != "" {
				t.Errorf("what was seen (-want +got):\n%s", diff)
			}
		})
	}
}

// A backend that comes and goes at one address, over real sockets.
func TestBackendThatFlaps(t *testing.T) {
	addr := refused(t)
	checker := New(nil)
	defer checker.Close()
	states := make(chan pool.State, 100)
	last := pool.StateUnknown
	checker.Watch(addr, &pool.Check{Interval: 20 * time.Millisecond, Timeout: 10 * time.Second, Rise: 2, Fall: 2}, netip.Addr{}, func(r Report) {
		if r.State != last {
			last = r.State
			states <- last
		}
	})
	for i := range 3 {
		if got := <-states; got != pool.StateDown {
			t.Fatalf("round %d: %v without a listener", i, got)
		}
		l, err := net.Listen("tcp", addr.String())
		if err != nil {
			t.Skipf("somebody else has taken the port: %v", err)
		}
		go func() { // accepts until it is closed
			for c, err := l.Accept(); err == nil; c, err = l.Accept() {
				c.Close()
			}
		}()
		got := <-states
		l.Close()
		if got != pool.StateUp {
			t.Fatalf("round %d: %v with a listener", i, got)
		}
	}
}

func TestRequestOnTheWire(t *testing.T) {
	for _, c := range []struct {
		name  string
		check pool.Check
		want  string
	}{
		{"as little as possible", pool.Check{}, "GET / HTTP/1.1\r\nHost: ADDR\r\n"},
		{"with everything", pool.Check{Method: "HEAD", Path: "/healthz?deep=1", Host: "api.example.com:8443", SNI: "x.example.com"}, "HEAD /healthz?deep=1 HTTP/1.1\r\nHost: api.example.com:8443\r\n"},
		{"to the name of the certificate", pool.Check{SNI: "x.example.com"}, "GET / HTTP/1.1\r\nHost: x.example.com\r\n"},
		{"with a method that has a body", pool.Check{Method: "POST"}, "POST / HTTP/1.1\r\nHost: ADDR\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := make(chan string, 1)
			addr := serve(t, func(c net.Conn) {
				b := make([]byte, 4096)
				n, _ := c.Read(b)
				got <- string(b[:n])
				_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
			})
			c.check.Type = pool.CheckHTTP
			firstReport(t, addr, c.check)
			want := strings.ReplaceAll(c.want, "ADDR", addr.String()) + "User-Agent: switchyard\r\nAccept: */*\r\nConnection: close\r\n"
			if c.check.Method == "POST" {
				want += "Content-Length: 0\r\n"
			}
			if diff := cmp.Diff(want+"\r\n", <-got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The PROXY header comes first, and says that no client stands behind the connection.
func TestProxyHeaderOfACheck(t *testing.T) {
	const v2 = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
	for _, c := range []struct {
		typ     pool.CheckType
		version pool.HeaderVersion
		want    string
		next    string // what follows begins with
	}{
		{pool.CheckTCP, pool.HeaderNone, "", ""},
		{pool.CheckTCP, pool.HeaderV1, "PROXY UNKNOWN\r\n", ""},
		{pool.CheckTCP, pool.HeaderV2, v2, ""},
		{pool.CheckTLS, pool.HeaderV1, "PROXY UNKNOWN\r\n", "\x16\x03\x01"},
		{pool.CheckTLS, pool.HeaderV2, v2, "\x16\x03\x01"},
		{pool.CheckHTTP, pool.HeaderV2, v2, "GET / HTTP/1.1\r\n"},
	} {
		t.Run(fmt.Sprint(c.typ, c.version), func(t *testing.T) {
			got := make(chan string, 1)
			addr := serve(t, func(conn net.Conn) {
				b := make([]byte, len(c.want)+len(c.next))
				_, _ = io.ReadFull(conn, b)
				got <- string(b)
			})
			firstReport(t, addr, pool.Check{Type: c.typ, Header: c.version})
			if diff := cmp.Diff(c.want+c.next, <-got); diff != "" {
				t.Errorf("first bytes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestChecksComeFromTheSource(t *testing.T) {
	from := make(chan netip.AddrPort, 10)
	addr := serve(t, func(c net.Conn) {
		from <- netip.MustParseAddrPort(c.RemoteAddr().String())
		silent(c)
	})
	checker := New(nil)
	defer checker.Close()
	reports := make(chan Report, 1000)
	check := &pool.Check{Interval: time.Second, FastInterval: time.Millisecond, Timeout: 10 * time.Second}
	checker.Watch(addr, check, netip.MustParseAddr("127.0.0.9"), func(r Report) { reports <- r })
	if r, got := <-reports, <-from; r.Error != "" || got.Addr() != netip.MustParseAddr("127.0.0.9") {
		t.Errorf("error %q, connection from %v", r.Error, got)
	}
	checker.Watch(addr, check, netip.MustParseAddr("::1"), func(r Report) { reports <- r })
	for r := range reports {
		if r.Error == "" {
			continue
		}
		if r.Error != "connect: address family not supported by protocol" {
			t.Errorf("from a source of the other family: %q", r.Error)
		}
		return
	}
}

func TestCheckToAnotherAddress(t *testing.T) {
	addr := serve(t, silent)
	nobody := refused(t)
	for _, c := range []struct {
		name  string
		check pool.Check
	}{
		{"port", pool.Check{Port: addr.Port()}},
		{"address and port", pool.Check{Address: addr.Addr(), Port: addr.Port()}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := firstReport(t, nobody, c.check); r.Error != "" {
				t.Errorf("error %q", r.Error)
			}
		})
	}
}

// Over IPv6 and by the IPv4-mapped form of an address.
func TestFamilies(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	six := serveOn(t, l, silent)
	if r := firstReport(t, six, pool.Check{}); r.Error != "" {
		t.Errorf("IPv6: %q", r.Error)
	}
	four := serve(t, silent)
	mapped := netip.AddrPortFrom(netip.AddrFrom16(four.Addr().As16()), four.Port())
	if r := firstReport(t, mapped, pool.Check{}); r.Error != "" {
		t.Errorf("mapped: %q", r.Error)
	}
}
