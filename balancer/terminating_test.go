package balancer

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/route"
)

// certMap gives certificates by name.
type certMap map[string]*tls.Certificate

func (m certMap) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := m[hello.ServerName]; c != nil {
		return c, nil
	}
	return nil, certs.ErrNone
}

// certsFor makes a certificate for each name.
func certsFor(t testing.TB, names ...string) certMap {
	t.Helper()
	m := certMap{}
	for _, n := range names {
		c := certFor(t, n)
		m[n] = &c
	}
	return m
}

// policyOf makes a policy; its mistakes end the test.
func policyOf(t testing.TB, cfg terminate.Config) *terminate.Policy {
	t.Helper()
	p, err := terminate.NewPolicy(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// terminated is a config that ends the TLS of host as p says, and goes on to a pool of plain backends.
func terminatedHost(host string, p *terminate.Policy, backends pool.Config) *Config {
	cfg := oneHost(host, backends)
	cfg.Routes[0].Terminate = p
	return cfg
}

func TestATerminatedHostIsServedInPlainText(t *testing.T) {
	t.Parallel()
	names := certsFor(t, "www.example.com")
	r := serve(t, terminatedHost("www.example.com", policyOf(t, terminate.Config{Certificates: names}), testPool("pool", echo(t))))
	c := tlsDial(t, r.addr, "www.example.com")
	defer c.Close()
	if got := c.ConnectionState().PeerCertificates[0].DNSNames[0]; got != "www.example.com" {
		t.Errorf("the certificate is for %s", got)
	}
	for range 3 {
		io.WriteString(c, "ping")
		b := make([]byte, 4)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "ping" {
			t.Fatalf("got %q, %v", b, err)
		}
	}
	if n := r.Stats().Connections; n != 1 {
		t.Errorf("%d connections are counted", n)
	}
	c.CloseWrite()
	if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
		t.Errorf("after the end of both: %q, %v", b, err)
	}
	r.closed(t, CauseOK, 1)
	r.quiet(t)
}

// passing and terminated hosts share one port, and a certificate is for its host alone.
func TestBothKindsOfHostShareAPort(t *testing.T) {
	t.Parallel()
	through, cert := tlsEcho(t, "through.example.com")
	names := certsFor(t, "a.example.com")
	cfg := terminatedHost("a.example.com", policyOf(t, terminate.Config{Certificates: names}), testPool("pool", echo(t)))
	cfg.Routes = append(cfg.Routes, route.Route{Name: "through", Hosts: []string{"through.example.com"}, Action: toPool("through")})
	cfg.Pools = append(cfg.Pools, testPool("through", through))
	r := serve(t, cfg)
	for name, want := range map[string]*tls.Certificate{"a.example.com": names["a.example.com"], "through.example.com": &cert} {
		c := tlsDial(t, r.addr, name)
		if !c.ConnectionState().PeerCertificates[0].Equal(want.Leaf) {
			t.Errorf("%s shows another certificate", name)
		}
		io.WriteString(c, "x")
		if b := make([]byte, 1); true {
			if _, err := io.ReadFull(c, b); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		c.Close()
	}
	if _, err := tls.Dial("tcp", r.addr, &tls.Config{ServerName: "other.example.com", InsecureSkipVerify: true}); err == nil {
		t.Error("a name without a route was served")
	}
	r.closed(t, CauseNoRoute, 1)
	r.quiet(t)
}

func TestATerminatedConnectionIsKilledAndDrained(t *testing.T) {
	t.Parallel()
	names := certsFor(t, "www.example.com")
	r := serve(t, terminatedHost("www.example.com", policyOf(t, terminate.Config{Certificates: names}), testPool("pool", echo(t))))
	c := tlsDial(t, r.addr, "www.example.com")
	defer c.Close()
	io.WriteString(c, "x")
	io.ReadFull(c, make([]byte, 1))
	var all []Connection
	eventually(t, func() bool { // a byte is counted once it was sent on: it may be back sooner
		all, _ = r.Connections(&ConnectionFilter{SNI: "www.example.com"}, 10)
		return len(all) == 1 && all[0].BytesIn == 1
	}, func() string { return fmt.Sprintf("one connection with its byte, and not %+v", all) })
	if all[0].Stage != "relaying" || all[0].Backend == "" {
		t.Errorf("the list says %+v", all)
	}
	if killed := r.Kill(&ConnectionFilter{Backend: all[0].Backend}); killed != 1 {
		t.Errorf("killed %d", killed)
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the client was not told")
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Error("the client was not told in time")
	}
	r.closed(t, CauseKilled, 1)
	r.quiet(t)
}
