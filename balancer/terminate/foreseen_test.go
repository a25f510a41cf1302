package terminate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/route"
)

func TestARefusalIsForeseen(t *testing.T) {
	t.Parallel()
	p, err := NewPolicy(Config{Certificates: oneSource{}, ALPN: []string{"http/1.1", "x-own"}})
	if err != nil {
		t.Fatal(err)
	}
	free, err := NewPolicy(Config{Certificates: oneSource{}})
	if err != nil {
		t.Fatal(err)
	}
	name, err := route.ParseName("a.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name       string
		policy     *Policy
		query      route.Query
		cause, why string
	}{
		{"nothing against it", p, route.Query{Name: name}, "", ""},
		{"a dot", p, route.Query{Name: name, Dot: true}, "handshake_fail", "ends with a dot"},
		{"a dot, and protocols", p, route.Query{Name: name, Dot: true, ALPN: route.ProtocolList{"h2"}}, "handshake_fail", "ends with a dot"},
		{"no protocol of ours", p, route.Query{Name: name, ALPN: route.ProtocolList{"h2", "h3"}}, "no_common_protocol", "offers h2, h3; alpn of the route's terminate has http/1.1, x-own"},
		{"one of ours", p, route.Query{Name: name, ALPN: route.ProtocolList{"h2", "http/1.1"}}, "", ""},
		{"a validation", p, route.Query{Name: name, ALPN: route.ProtocolList{"acme-tls/1"}}, "", ""},
		{"a validation that wants more", p, route.Query{Name: name, ALPN: route.ProtocolList{"acme-tls/1", "h2"}}, "no_common_protocol", "acme-tls/1, h2"},
		{"we have none", free, route.Query{Name: name, ALPN: route.ProtocolList{"h2"}}, "", ""},
	} {
		if cause, why := c.policy.Foresee(&c.query); cause != c.cause || !strings.Contains(why, c.why) || (why == "") != (c.why == "") {
			t.Errorf("%s: %q, %q; want %q, %q", c.name, cause, why, c.cause, c.why)
		}
	}
}

// What is foreseen of protocols is what crypto/tls does.
func TestProtocolsAreSpokenAsByCryptoTLS(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, x, x, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	lists := [][]string{nil, {"h2"}, {"http/1.1"}, {"h2", "http/1.1"}, {"x"}, {"x", "http/1.1"}, {"h2", "x"}}
	for _, ours := range lists {
		for _, offered := range lists {
			a, b := net.Pipe()
			done := make(chan error, 1)
			go func() {
				done <- tls.Server(a, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: ours}).Handshake()
				_ = a.Close()
			}()
			_ = tls.Client(b, &tls.Config{InsecureSkipVerify: true, NextProtos: offered}).Handshake() // the other side is of interest
			_ = b.Close()
			if err := <-done; (err == nil) != Speaks(ours, offered) {
				t.Errorf("we have %q, %q is offered: %v", ours, offered, err)
			}
		}
	}
}
