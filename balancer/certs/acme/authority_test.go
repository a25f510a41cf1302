package acme_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/certs/acme"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/letsencrypt/pebble/v2/va.VAImpl.processTasks"), // cannot be stopped
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh"))      // ends within five seconds
}

// authority is a real one for tests: pebble, of Let's Encrypt. It validates at the ports of this machine, whatever the name.
type authority struct {
	*httptest.Server
	handler  atomic.Pointer[http.Handler]
	roots    *x509.CertPool // of its own address
	issued   *x509.CertPool // of what it issues
	tls      net.Listener   // where it validates by tls-alpn-01
	httpPort uint16         // where it validates by http-01
	resolver string
	bound    map[string]string // HMAC keys by identifier: only who knows one gets an account; nil: everybody does
}

func newAuthority(t *testing.T, validity time.Duration) *authority {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_AUTHZREUSE", "0") // every order is validated
	a := &authority{tls: listen(t), resolver: resolver(t)}
	a.httpPort = reserve(t, 0)
	a.renew(validity)
	a.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*a.handler.Load()).ServeHTTP(w, r) }))
	t.Cleanup(a.Close)
	a.roots = x509.NewCertPool()
	a.roots.AddCert(a.Certificate())
	return a
}

// renew makes an authority that has forgotten everything.
func (a *authority) renew(validity time.Duration) {
	quiet, store := log.New(io.Discard, "", 0), db.NewMemoryStore()
	profiles := map[string]ca.Profile{"default": {ValidityPeriod: uint64(validity.Seconds())}}
	issuing := ca.New(quiet, store, "", "ecdsa", 0, 1, profiles)
	validating := va.New(quiet, int(a.httpPort), int(port(a.tls)), false, a.resolver, store)
	for id, key := range a.bound {
		if err := store.AddExternalAccountKeyByID(id, key); err != nil {
			panic(err) // the test's key is none
		}
	}
	front := wfe.New(quiet, store, validating, issuing, []string{"pebble.example"}, false, a.bound != nil, 1, 1)
	handler := front.Handler()
	a.handler.Store(&handler)
	a.issued = x509.NewCertPool()
	a.issued.AddCert(issuing.GetRootCert(0).Cert)
}

func (a *authority) directory() string { return a.URL + wfe.DirectoryPath }

// config orders by tls-alpn-01.
func (a *authority) config(t *testing.T, names ...string) acme.Config {
	return acme.Config{
		Names: names, Directory: a.directory(), Roots: a.roots, Email: "hostmaster@example.com",
		Storage: filepath.Join(t.TempDir(), "storage"), TLSALPN: true,
	}
}

// serve answers validations and handshakes with a Set, as a listener would.
func (a *authority) serve(t *testing.T, s *certs.Set) {
	t.Helper()
	challenge := &tls.Config{NextProtos: []string{certs.ChallengeProtocol}, GetCertificate: s.Challenge}
	cfg := &tls.Config{GetCertificate: s.Certificate, GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		if len(h.SupportedProtos) == 1 && h.SupportedProtos[0] == certs.ChallengeProtocol {
			return challenge, nil
		}
		return nil, nil
	}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := a.tls.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				_ = tls.Server(c, cfg).Handshake()
			})
		}
	})
	t.Cleanup(func() {
		_ = a.tls.Close()
		all.Wait()
	})
}

// vacate ends listening where a validates, and keeps the port.
func (a *authority) vacate(t *testing.T) {
	t.Helper()
	_ = a.tls.Close()
	reserve(t, port(a.tls))
}

// handshake returns the certificate for a name that a client has verified.
func (a *authority) handshake(name string) (*x509.Certificate, error) {
	c, err := tls.Dial("tcp", a.tls.Addr().String(), &tls.Config{ServerName: name, RootCAs: a.issued})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// reserve keeps a port, or any if it is 0, until the test ends: for those that listen there later, with SO_REUSEADDR, and for
// nobody else. Until then connections are refused.
func reserve(t *testing.T, port uint16) uint16 {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1),
		syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(port)})); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(name.(*syscall.SockaddrInet4).Port)
}

func port(l net.Listener) uint16 { return netip.MustParseAddrPort(l.Addr().String()).Port() }

// resolver starts a name server, over TCP as pebble asks, to which every name is this machine.
func resolver(t *testing.T) (addr string) {
	t.Helper()
	l := listen(t)
	server := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1)}}
		}
		_ = w.WriteMsg(m)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ActivateAndServe()
	}()
	t.Cleanup(func() {
		_ = server.Shutdown()
		<-done
	})
	return l.Addr().String()
}

// journal is a log to look into.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// patience is how long something may take that takes a second or two, or a key of RSA on a busy machine. Nothing depends on it
// but how late a failure is told.
const patience = 2 * time.Minute

// eventually waits until something is so.
func eventually(t *testing.T, what string, log *journal, is func() bool) {
	t.Helper()
	for start := time.Now(); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatalf("%s: not within %v; the log says\n%s", what, patience, log)
		}
	}
}
