package configs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the expectations in testdata")

// Each rule of the file has a pair in testdata: NAME.good.yaml is accepted, with the warnings of NAME.good.want if it has
// any; NAME.bad.yaml is refused with exactly the messages of NAME.bad.want.
//
// Among them: CVE-2024-28869 (hello_timeout_zero), CVE-2026-27586 (backend_tls_ca, cert_missing), CVE-2026-90711 and
// CVE-2026-92395 (prefix_mapped), R23 (backend_forbidden, backend_loop), R28 (cert_mode).
func TestEachRuleHasAGoodAndABadFile(t *testing.T) {
	bad := glob(t, "*.bad.yaml")
	if good := glob(t, "*.good.yaml"); len(good) != len(bad) {
		t.Errorf("%d good files and %d bad ones: they come in pairs", len(good), len(bad))
	}
	dir := certificates(t)
	for _, path := range bad {
		rule := strings.TrimSuffix(filepath.Base(path), ".bad.yaml")
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			for _, kind := range []string{"good", "bad"} {
				got := messages(t, rule+"."+kind+".yaml", dir, kind == "bad")
				compare(t, filepath.Join("testdata", rule+"."+kind+".want"), got)
			}
		})
	}
}

// messages returns the errors of a bad file or the warnings of a good one.
func messages(t *testing.T, name, dir string, bad bool) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := Parse(name, data, dir)
	if bad != (err != nil) {
		t.Errorf("%s: Parse returned the error %v", name, err)
	}
	text := ""
	if err != nil {
		text = err.Error() + "\n"
	} else if len(cfg.Warnings) > 0 {
		text = Errors(cfg.Warnings).Error() + "\n"
	}
	return strings.ReplaceAll(text, dir, "DIR")
}

// compare compares with an expectation; a file that does not exist expects nothing.
func compare(t *testing.T, path, got string) {
	t.Helper()
	if *update && got == "" {
		_ = os.Remove(path)
		return
	}
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got, -update rewrites it):\n%s", path, d)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return paths
}

// certificates makes a directory with the certificates and keys that the files of testdata name.
func certificates(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "certs"), 0o700); err != nil {
		t.Fatal(err)
	}
	privateA, privateB := newKey(t), newKey(t)
	for _, sub := range []string{"dir", "open"} {
		if err := os.Mkdir(filepath.Join(dir, "certs", sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "certs", "open"), 0o777); err != nil {
		t.Fatal(err)
	}
	certA, keyA := pair(t, "a.example.com", privateA)
	certW, _ := pair(t, "www.example.com", privateA) // the same key: it may take the place of a.crt
	certB, keyB := pair(t, "b.example.com", privateB)
	certOld, _ := pairUntil(t, "a.example.com", privateA, time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC))
	clients, clientLists := authority(t, "clients", privateB)
	block, _ := pem.Decode(clients)
	issuer, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{"www.example.com"}, NotBefore: issuer.NotBefore, NotAfter: issuer.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, issuer, privateA.Public(), privateB)
	if err != nil {
		t.Fatal(err)
	}
	client := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	expiredList := revoked(t, issuer, privateB, time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC))
	partners, partnerLists := authority(t, "partners", privateA)
	_, otherLists := authority(t, "others", privateA)
	locked := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("sealed")})
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("not DER")})
	curve := []byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n")
	for name, f := range map[string]struct {
		data []byte
		mode os.FileMode
	}{
		"a.crt": {certA, 0o644}, "a.key": {keyA, 0o600}, "b.crt": {certB, 0o644}, "b.key": {keyB, 0o600},
		"clients.crt": {clients, 0o644}, "clients.crl": {slices.Concat(clientLists, partnerLists), 0o644},
		"expired.crl": {slices.Concat(otherLists, expiredList), 0o644}, "others.crl": {otherLists, 0o644},
		"partners.crt": {partners, 0o644}, "partners.crl": {slices.Concat(partnerLists, clientLists), 0o644}, "shared.key": {bytes.Repeat([]byte("s"), 80), 0o600},
		"tickets.key": {bytes.Repeat([]byte("k"), 80), 0o600}, "tickets.open": {bytes.Repeat([]byte("k"), 48), 0o644},
		"eab.key": {[]byte("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMw\n"), 0o600}, "other.eab": {[]byte("+/NlY3JldC1zZWNyZXQ="), 0o400},
		"open.eab": {[]byte("c2VjcmV0LXNlY3JldC1zZWNyZXQ"), 0o640}, "readable.eab": {[]byte("c2VjcmV0LXNlY3JldC1zZWNyZXQ"), 0o444},
		"www.crt": {certW, 0o644}, "www.key": {keyA, 0o600},
		"old.crt": {certOld, 0o644}, "both.pem": {append(keyA, certA...), 0o600}, "open.key": {keyA, 0o644},
		"readable.key": {keyA, 0o444}, "writable.key": {keyA, 0o622}, "empty": {nil, 0o600},
		"locked.key": {locked, 0o600}, "broken.crt": {broken, 0o644},
		"client.crt":  {slices.Concat(client, partners), 0o644},
		"damaged.crt": {slices.Concat(curve, damage(clients)), 0o644}, "joined.crt": {slices.Concat(bytes.TrimSpace(broken), clients), 0o644},
		"cut.crt": {clients[:len(clients)-40], 0o644}, "damaged.crl": {slices.Concat(curve, damage(clientLists)), 0o644},
		"text.crt": {slices.Concat([]byte("\ufeff# clients\r\n"), bytes.ReplaceAll(clients, []byte("\n"), []byte("\r\n")), []byte("# end")), 0o644},
	} {
		path := filepath.Join(dir, "certs", name)
		if err := os.WriteFile(path, f.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, f.mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
	}
	return dir
}

// damage puts what is no base64 into a file in PEM.
func damage(file []byte) []byte {
	return bytes.Replace(file, []byte("-----\nM"), []byte("-----\n*"), 1)
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

// pair makes a self-signed certificate for a key, and writes both in PEM.
func pair(t testing.TB, name string, private *ecdsa.PrivateKey) (cert, key []byte) {
	t.Helper()
	return pairUntil(t, name, private, time.Now().Add(time.Hour))
}

func pairUntil(t testing.TB, name string, private *ecdsa.PrivateKey, end time.Time) (cert, key []byte) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name, "*.example.com"},
		NotBefore: end.Add(-2 * time.Hour), NotAfter: end,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// authority makes an authority with that key, and a list of revoked certificates that it has signed.
func authority(t testing.TB, name string, private *ecdsa.PrivateKey) (cert, lists []byte) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{1},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return cert, revoked(t, issuer, private, time.Now().Add(time.Hour))
}

// revoked is a list of revoked certificates that is good until a given time.
func revoked(t testing.TB, issuer *x509.Certificate, private *ecdsa.PrivateKey, end time.Time) []byte {
	t.Helper()
	list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: end.Add(-2 * time.Hour), NextUpdate: end,
	}, issuer, private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: list})
}
