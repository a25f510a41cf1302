package balancer

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"flag"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/route"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// Under the race detector each process that a test starts would sleep for a second at its end.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil {
		panic(err)
	}
	// Tests wait more than they work: with one at a time for each of two cores both are idle. -parallel on the command line
	// still counts. At full size they work, and open as many sockets as there are descriptors for.
	if !full() {
		if err := flag.Set("test.parallel", strconv.Itoa(max(4, runtime.GOMAXPROCS(0)))); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// reject and toPool are the two kinds of action.
func reject(how route.Reject) route.Action { return route.Action{Reject: how} }
func toPool(name string) route.Action {
	return route.Action{Targets: []route.Target{{Pool: name, Weight: 1}}}
}

// testListener is a listener on a port of the kernel's choice with the defaults of the file.
func testListener() ListenerConfig {
	return ListenerConfig{
		Name: "public", Bind: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
		HelloTimeout: 5 * time.Second, HelloMaxSize: 64 << 10,
		NoSNI: reject(route.RejectAlert), UnknownSNI: reject(route.RejectAlert), NotTLS: route.RejectClose,
	}
}

// testPool is a pool with the defaults of the file.
func testPool(name string, addrs ...string) pool.Config {
	c := pool.Config{
		Name: name, ConnectTimeout: 3 * time.Second, AnswerTimeout: 5 * time.Second,
		HalfCloseTimeout: time.Minute, StalledTimeout: 10 * time.Minute, Attempts: 3,
	}
	for _, a := range addrs {
		c.Backends = append(c.Backends, pool.BackendConfig{Addr: netip.MustParseAddrPort(a), Weight: 1})
	}
	return c
}

// oneHost is a config that sends host to the pool, which it names "pool".
func oneHost(host string, p pool.Config) *Config {
	p.Name = "pool"
	return &Config{
		Listeners: []ListenerConfig{testListener()},
		Routes:    []route.Route{{Name: "host", Hosts: []string{host}, Action: toPool("pool")}},
		Pools:     []pool.Config{p},
		Drain:     Drain{Max: 5 * time.Second},
	}
}

// running is a Server under test.
type running struct {
	*Server
	addr string // of the first bind of the first listener
	log  *lockedBuffer
}

// serve starts cfg and stops it when the test ends.
func serve(t testing.TB, cfg *Config, opts ...func(*Options)) *running {
	t.Helper()
	log := &lockedBuffer{}
	opt := Options{Log: slog.New(slog.NewJSONHandler(log, nil)), LogConnections: true, Loops: 2}
	for _, f := range opts {
		f(&opt)
	}
	s, err := New(cfg, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(now)
		if t.Failed() {
			t.Logf("log of the server:\n%s", log.String())
		}
	})
	return &running{Server: s, addr: s.Addrs(cfg.Listeners[0].Name)[0].String(), log: log}
}

// closed waits until n connections have ended with cause.
func (r *running) closed(t testing.TB, cause Cause, n uint64) {
	t.Helper()
	var got uint64
	eventually(t, func() bool {
		got = 0
		for _, l := range r.Stats().Listeners {
			got += l.Closed[cause]
		}
		return got >= n
	}, func() string { return "connections ended with " + cause.String() })
	if got != n {
		t.Errorf("%d connections ended with %v, want %d", got, cause, n)
	}
}

// quiet waits until no connection is left.
func (r *running) quiet(t testing.TB) {
	t.Helper()
	eventually(t, func() bool { return r.Stats().Connections == 0 }, func() string { return "no connection left" })
}

// eventually waits until ok; the bound is for a broken program, not for a slow machine.
func eventually(t testing.TB, ok func() bool, what func() string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 30s for: %s", what())
		}
	}
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// listenTCP serves every connection with f, in a goroutine each, until the test ends.
func listenTCP(t testing.TB, f func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			wg.Go(func() {
				f(c.(*net.TCPConn))
				c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// certFor makes a self-signed certificate.
func certFor(t testing.TB, names ...string) tls.Certificate {
	t.Helper()
	c, err := selfSigned(names...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func selfSigned(names ...string) (c tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return c, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// tlsEcho is a TLS server that sends back what it gets. Its certificate is for names.
func tlsEcho(t testing.TB, names ...string) (addr string, cert tls.Certificate) {
	t.Helper()
	cert = certFor(t, names...)
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1", "acme-tls/1"}}
	return listenTCP(t, func(c *net.TCPConn) {
		tc := tls.Server(c, cfg)
		if tc.Handshake() == nil {
			io.Copy(tc, tc)
			tc.CloseWrite()
		}
	}), cert
}

// tlsDial makes a handshake for name through addr; the caller closes it.
func tlsDial(t testing.TB, addr, name string, protos ...string) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: protos})
	if err != nil {
		t.Fatalf("handshake for %s: %v", name, err)
	}
	return c
}

// helloBytes is a real ClientHello of crypto/tls for name; "" for one without a name.
func helloBytes(t testing.TB, name string, protos ...string) []byte {
	t.Helper()
	here, there := net.Pipe()
	go func() {
		tls.Client(here, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: protos}).Handshake()
	}()
	buf := make([]byte, 64<<10)
	n, err := there.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	there.Close()
	here.Close()
	return buf[:n]
}

// dial makes a TCP connection that is closed when the test ends.
func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(60 * time.Second))
	return c.(*net.TCPConn)
}

// readAll reads until the end; an RST is told by the error.
func readAll(c net.Conn) ([]byte, error) {
	b, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errors.New("no end within a minute")
	}
	return b, err
}
