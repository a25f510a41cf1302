package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The keys of the tests: making one of RSA takes longer than most tests.
var (
	root     = sync.OnceValue(func() *ecdsa.PrivateKey { return newECDSA(elliptic.P256()) })
	ecKey    = sync.OnceValue(func() *ecdsa.PrivateKey { return newECDSA(elliptic.P256()) })
	otherKey = sync.OnceValue(func() *ecdsa.PrivateKey { return newECDSA(elliptic.P256()) })
	p224Key  = sync.OnceValue(func() *ecdsa.PrivateKey { return newECDSA(elliptic.P224()) })
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })
	shortKey = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(1024) })
	edKey    = sync.OnceValue(func() ed25519.PrivateKey {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		return key
	})
	rootCert = sync.OnceValue(func() *x509.Certificate {
		t := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true,
			NotBefore: time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		}
		der, err := x509.CreateCertificate(rand.Reader, t, t, root().Public(), root())
		if err != nil {
			panic(err)
		}
		cert, _ := x509.ParseCertificate(der)
		return cert
	})
)

func newECDSA(curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func newRSA(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

var serials atomic.Int64

// certFor makes a certificate for a key and names, good from an hour ago for the given time.
func certFor(t testing.TB, key crypto.Signer, life time.Duration, names ...string) []byte {
	t.Helper()
	if life < 0 {
		return bornAt(t, key, time.Now().Add(2*life), -life, names...)
	}
	return bornAt(t, key, time.Now().Add(-time.Hour), life+time.Hour, names...)
}

// bornAt makes a certificate for a key and names, good from then on for the given time.
func bornAt(t testing.TB, key crypto.Signer, then time.Time, life time.Duration, names ...string) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serials.Add(1)), Subject: pkix.Name{CommonName: "test"}, DNSNames: names,
		NotBefore: then, NotAfter: then.Add(life),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, rootCert(), key.Public(), root())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// life is that of a certificate nobody needs to worry about.
const life = 500 * time.Hour

// write writes a file of mode 0600 and returns its path.
func write(t testing.TB, dir, name string, parts ...[]byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, bytes.Join(parts, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// swap puts a file in the place of another one by a rename, as whoever renews certificates does.
func swap(t testing.TB, path string, parts ...[]byte) {
	t.Helper()
	write(t, filepath.Dir(path), filepath.Base(path)+".new", parts...)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// pairIn writes a pair for a key and names.
func pairIn(t testing.TB, dir, base string, key crypto.Signer, names ...string) PairFile {
	t.Helper()
	return PairFile{
		Cert: write(t, dir, base+".crt", certFor(t, key, life, names...)),
		Key:  write(t, dir, base+".key", keyPEM(t, key)),
	}
}

func open(t testing.TB, cfg *Config) *Set {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
