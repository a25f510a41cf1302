package acme_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/configs"
)

// From a file to a handshake: the authority validates at the listener that then serves the certificate.
func TestABalancerGetsItsCertificateByItself(t *testing.T) {
	a := newAuthority(t, life)
	_ = a.tls.Close() // its port is the balancer's
	backend := listen(t)
	go greet(backend)
	dir := t.TempDir()
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "authority.crt"), root, 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, err := configs.Parse("switchyard.yaml", fmt.Appendf(nil, `
listeners: [{name: public, bind: [%q]}]
routes:
  - name: web
    hosts: [www.example.com]
    pool: web
    terminate:
      acme: {agree: true, storage: orders, directory_url: %q, ca: authority.crt, email: hostmaster@example.com}
pools: [{name: web, backends: [%q]}]
`, a.tls.Addr(), a.directory(), backend.Addr()), dir)
	if err != nil {
		t.Fatal(err)
	}
	log := &journal{}
	server, err := balancer.New(&cfg.Balancer, balancer.Options{Log: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
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
	server.Shutdown(context.Background())
	keysAreSecret(t, filepath.Join(dir, "orders"), log.String())
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
