package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// certificate KIND BASE NAME… writes BASE.crt and BASE.key, for a key that is ecdsa or rsa, good for ninety days and a half.
func certificate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: certificate ecdsa|rsa BASE NAME...")
	}
	var key crypto.Signer
	var err error
	switch args[0] {
	case "ecdsa":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		ts.Fatalf("no key %q", args[0])
	}
	ts.Check(err)
	now := time.Now()
	x := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Script CA"}, DNSNames: args[2:],
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(90*24*time.Hour + 12*time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, x, x, key.Public(), key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	for ext, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		ts.Check(os.WriteFile(ts.MkAbs(args[1]+ext), pem.EncodeToMemory(block), 0o600))
	}
}
