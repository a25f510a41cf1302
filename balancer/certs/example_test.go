package certs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
)

// A Set gives a certificate for its names, and none for others.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "certs")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "example.pem")
	if err := os.WriteFile(path, selfSigned("example.com", "*.example.com"), 0o600); err != nil {
		panic(err)
	}

	set, err := certs.Open(&certs.Config{Pairs: []certs.PairFile{{Cert: path, Key: path}}})
	if err != nil {
		panic(err)
	}
	for _, name := range []string{"example.com", "www.example.com", "example.net"} {
		choices, err := set.Choices(name)
		if errors.Is(err, certs.ErrNone) {
			fmt.Println(name, "has no certificate")
			continue
		}
		fmt.Println(name, "has", filepath.Base(choices[0].File), choices[0].Key)
	}
	// Output:
	// example.com has example.pem ECDSA P-256
	// www.example.com has example.pem ECDSA P-256
	// example.net has no certificate
}

// selfSigned is a certificate and its key in one file.
func selfSigned(names ...string) []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotAfter: time.Now().Add(2400 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
}
