//go:build linux

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/cmd/switchyard/internal/demo"
)

// newAuthority makes an authority and the path of its certificate, for programs that want a file.
func newAuthority(t *testing.T) (a *demo.Authority, path string) {
	t.Helper()
	a, err := demo.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a, writeFile(t, "ca.pem", string(a.PEM()))
}

func issue(t *testing.T, a *demo.Authority, host string) tls.Certificate {
	t.Helper()
	cert, err := a.Issue(host)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// issueFiles writes a certificate for host and its key.
func issueFiles(t *testing.T, a *demo.Authority, host string) (cert, key string) {
	t.Helper()
	return certificateFiles(t, issue(t, a, host))
}

func certificateFiles(t *testing.T, c tls.Certificate) (cert, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	var chain bytes.Buffer
	for _, c := range c.Certificate {
		_ = pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: c}) // a Buffer takes all
	}
	return writeFile(t, "cert.pem", chain.String()),
		writeFile(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// selfSigned makes a certificate that vouches for itself, for clients and servers, with more extensions.
func selfSigned(t *testing.T, name string, more ...pkix.Extension) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:    big.NewInt(time.Now().UnixNano()),
		Subject:         pkix.Name{CommonName: name},
		DNSNames:        []string{name},
		NotBefore:       time.Now().Add(-time.Hour),
		NotAfter:        time.Now().Add(time.Hour),
		KeyUsage:        x509.KeyUsageDigitalSignature,
		ExtKeyUsage:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		ExtraExtensions: more,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// serveTLS accepts with crypto/tls in this process until the end of the test. Each connection whose handshake came
// about is given to serve, and closed after it.
func serveTLS(t *testing.T, cfg *tls.Config, serve func(*tls.Conn)) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	running.Go(func() {
		for {
			raw, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[raw] = true
			mu.Unlock()
			running.Go(func() {
				conn := tls.Server(raw, cfg)
				if conn.Handshake() == nil {
					serve(conn)
				}
				conn.Close()
				mu.Lock()
				delete(open, raw)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// in names a file in a directory of its own.
func in(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(t.TempDir(), name)
}
