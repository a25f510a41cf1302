package control

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A change at run time is held to what the file is: it lies on the file from then on, and would keep it from loading.
func TestClientsWithoutANameKeepSomethingToVerifyBackendsBy(t *testing.T) {
	t.Parallel()
	pair := selfSigned(t, "www.example.com")
	const ends = `no_sni: true, terminate: {certificates: [{cert: PAIR, default: true}]}`
	text := strings.ReplaceAll(still+strings.NewReplacer(
		`pool: web}`, `pool: web, `+ends+`}`, `{name: web,`, `{name: web, tls: {sni: web.example.com},`,
		`pool: api}`, `pool: api, terminate: {certificates: [{cert: PAIR, default: true}]}}`, `{name: api, b`, `{name: api, tls: {}, b`,
	).Replace(base), "PAIR", pair)
	y := start(t, text)
	for _, c := range []struct{ name, text, want string }{
		{"a route", `{put_route: {name: www, hosts: [www.example.com], pool: api, ` + ends + `}}`, `backends of pool "api"`},
		{"a pool", `{put_pool: {name: web, tls: {}, backends: ["127.0.0.1:9101"]}}`, `clients of route "www"`},
	} {
		r, err := y.Transact(t.Context(), []byte(strings.ReplaceAll("changes: ["+c.text+"]", "PAIR", pair)), as("POST /v1/transaction"))
		if e := refusal[*RefusedError](t, r, err); !strings.Contains(e.Mistakes[0].Message, c.want) {
			t.Errorf("%s: %+v", c.name, e.Mistakes)
		}
	}
	if _, err := y.PutPool(t.Context(), "web", []byte(`{tls: {verify: false}, backends: ["127.0.0.1:9101"]}`), as("PUT /v1/pools/web")); err != nil {
		t.Error(err)
	}
}

// selfSigned writes a certificate and its key into one file.
func selfSigned(t *testing.T, name string) (path string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	data := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	path = filepath.Join(t.TempDir(), "pair.pem")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
