package acme_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/configs"
	"github.com/seed-23b4a313/switchyard/route"
)

// From a file to a handshake: the authority validates at the listener that then serves the certificate.
func TestABalancerGetsItsCertificateByItself(t *testing.T) {
	a := newAuthority(t, life)
	a.vacate(t) // its port is the balancer's
	backend := listen(t)
	go greet(backend)
	dir := t.TempDir()
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "authority.crt"), root, 0o644); err != nil {
		t.Fatal(err)
	}
	log := &journal{}
	server := orderFrom(t, a, dir, a.tls.Addr().String(), backend.Addr().String(), log)
	eventually(t, "a handshake with the new certificate", log, func() bool {
		c, err := tls.Dial("tcp", a.tls.Addr().String(), &tls.Config{ServerName: "www.example.com", RootCAs: a.issued})
		if err != nil {
			return false
		}
		defer c.Close()
		buf := make([]byte, 5)
		_ = c.SetReadDeadline(time.Now().Add(patience))
		n, _ := c.Read(buf)
		return string(buf[:n]) == "hello"
	})
	if all := server.Stats().Orders; len(all) != 1 || all[0].Route != "web" || all[0].Obtained != 1 || all[0].Failed != 0 || all[0].Missing != 0 {
		t.Errorf("orders: %+v", all)
	}
	server.Shutdown(context.Background())
	keysAreSecret(t, filepath.Join(dir, "orders"), log.String())
}

// orderFrom starts a balancer whose only certificate is to be ordered from a.
func orderFrom(t *testing.T, a *authority, dir, bind, backend string, log *journal) *balancer.Server {
	t.Helper()
	cfg, err := configs.Parse("switchyard.yaml", fmt.Appendf(nil, `
listeners: [{name: public, bind: [%q]}]
routes:
  - name: web
    hosts: [www.example.com]
    pool: web
    terminate:
      acme: {agree: true, storage: orders, directory_url: %q, ca: authority.crt, email: hostmaster@example.com}
pools: [{name: web, backends: [%q]}]
`, bind, a.directory(), backend), dir)
	if err != nil {
		t.Fatal(err)
	}
	server, err := balancer.New(&cfg.Balancer, balancer.Options{Log: log.logger(), LogConnections: true})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// Who comes too early is told by the alert that there is no certificate; the log and explain say how the order stands.
func TestAClientThatComesBeforeTheCertificateIsToldSo(t *testing.T) {
	a := newAuthority(t, life)
	dir, log := t.TempDir(), &journal{}
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "authority.crt"), root, 0o644); err != nil {
		t.Fatal(err)
	}
	a.vacate(t) // nobody answers validations: the balancer listens elsewhere
	server := orderFrom(t, a, dir, "127.0.0.1:0", "127.0.0.1:9", log)
	defer server.Shutdown(context.Background())
	eventually(t, "a failed order", log, func() bool {
		all := server.Stats().Orders
		return len(all) == 1 && all[0].Failed == 1 && all[0].Missing == 1
	})
	_, err := tls.Dial("tcp", server.Addrs("public")[0].String(), &tls.Config{ServerName: "www.example.com", RootCAs: a.issued})
	if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("the client sees %v", err)
	}
	const told = "ACME has not obtained the certificate yet (tried since "
	eventually(t, "a line about the order", log, func() bool {
		return strings.Contains(log.String(), `cause=no_certificate error="`+told) && strings.Contains(log.String(), "unauthorized: Failed to connect")
	})
	name, err := route.ParseName("www.example.com")
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%+v", server.Explain(&route.Query{Name: name, Listener: "public"}))
	if !strings.Contains(text, "no certificate: "+told) {
		t.Errorf("explain says %s", text)
	}
}

// greet says hello to whoever connects, until the listener is closed.
func greet(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Write([]byte("hello"))
		_ = c.Close()
	}
}
