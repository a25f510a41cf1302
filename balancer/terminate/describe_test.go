package terminate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/route"
)

// What a route says of TLS is shown as it would be written, and what it does not say as a default.
func TestAPolicyDescribesItself(t *testing.T) {
	t.Parallel()
	const ciphers, curves = "ciphers: default", "curves: default"
	for _, c := range []struct {
		name string
		cfg  Config
		want [3]string
	}{
		{"nothing is said", Config{}, [3]string{"TLS 1.2 or newer (default), no ALPN, no client certificate", ciphers, curves}},
		{"the default is said", Config{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}, [3]string{"TLS 1.2 to 1.3 (default), no ALPN, no client certificate", ciphers, curves}},
		{"the newest version alone", Config{MinVersion: tls.VersionTLS13, ALPN: []string{"h2", "http/1.1"}},
			[3]string{"TLS 1.3 or newer, ALPN h2 http/1.1, no client certificate", "ciphers: those of TLS 1.3, which cannot be chosen", curves}},
		{"the older version alone", Config{MaxVersion: tls.VersionTLS12}, [3]string{"TLS 1.2, no ALPN, no client certificate", ciphers, curves}},
		{"ciphers", Config{CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}},
			[3]string{"", "ciphers: TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", curves}},
		{"one of the default ciphers", Config{CipherSuites: DefaultCipherSuites()[:1]}, [3]string{"", "ciphers: TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", curves}},
		{"curves", Config{Curves: []tls.CurveID{tls.X25519MLKEM768, tls.CurveP384}}, [3]string{"", ciphers, "curves: X25519MLKEM768, P-384"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.cfg.Certificates = oneSource{}
			p, err := NewPolicy(c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			got := p.Describe(route.Name{})
			if len(got) != len(c.want) {
				t.Fatalf("%q", got)
			}
			if first := "policy " + p.ID() + ": "; !strings.HasPrefix(got[0], first+c.want[0]) || got[1] != c.want[1] || got[2] != c.want[2] {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Names of certificates that others put into a directory are shown on terminals.
func TestADescriptionHasNoControlCharacters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"a.example.com", "\x1b]0;title\a.example.com", "line\nforged"}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, bad := x509.CreateCertificate(rand.Reader, x, x, key.Public(), key)
	private, worse := x509.MarshalPKCS8PrivateKey(key)
	if err := errors.Join(bad, worse); err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	if err := os.WriteFile(filepath.Join(dir, "a.example.com.pem"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := certs.Open(&certs.Config{Dirs: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPolicy(Config{Certificates: set})
	if err != nil {
		t.Fatal(err)
	}
	name, err := route.ParseName("a.example.com")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(p.Describe(name), "|")
	if strings.ContainsFunc(got, unicode.IsControl) || !strings.Contains(got, `for a.example.com, \x1b]0;title\a.example.com, line\nforged`) {
		t.Errorf("%q", got)
	}
}

// Whose certificates clients may show is described as it is in force, so many of them as somebody reads.
func TestClientAuthoritiesAreDescribed(t *testing.T) {
	t.Parallel()
	end := time.Now().Add(24 * time.Hour).UTC()
	first := newIssuer(t, "one\nforged")
	all, lists := []issuer{first}, [][]byte{first.list(t, end), first.list(t, time.Time{})}
	for i := range mostListed {
		all = append(all, newIssuer(t, fmt.Sprint("more ", i)))
	}
	f := newClientFiles(t)
	f.trust(t, all...)
	f.revoke(t, lists...)
	p := f.policy(t)
	got := p.Describe(route.Name{})[3:]
	want := []string{`client authority CN=one\nforged, until ` + first.cert.NotAfter.UTC().Format(time.DateOnly)}
	for i := range mostListed - 1 {
		want = append(want, fmt.Sprintf("client authority CN=more %d, until %s", i, all[i+1].cert.NotAfter.UTC().Format(time.DateOnly)))
	}
	want = append(want, "client authorities: 1 more in "+f.ca,
		`client certificates revoked by CN=one\nforged: 0, by a list that names no end`,
		`client certificates revoked by CN=one\nforged: 0, by a list until `+end.Format(time.RFC3339))
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}

	f.trust(t, first)
	p.Follow(time.Now(), slog.New(slog.DiscardHandler))
	if got := strings.Join(p.Describe(route.Name{}), "|"); strings.Contains(got, "more") {
		t.Errorf("after a change of the file: %s", got)
	}
}
