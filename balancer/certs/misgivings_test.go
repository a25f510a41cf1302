package certs

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// issuing is a certificate with the key that signs what it issues.
type issuing struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (i issuing) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw})
}

// issue makes a certificate below i, or one that is its own issuer where i has none.
func (i issuing) issue(t *testing.T, name string, key crypto.Signer, change func(*x509.Certificate)) issuing {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serials.Add(1)), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life), BasicConstraintsValid: true,
	}
	if change != nil {
		change(template)
	}
	if i.cert == nil {
		i = issuing{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, i.cert, key.Public(), i.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return issuing{cert, key}
}

func TestWhatClientsMayRefuseIsWarnedOf(t *testing.T) {
	t.Parallel()
	authority := func(c *x509.Certificate) { c.IsCA = true } // crypto/x509 gives it a key identifier
	usage := func(all ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = all }
	}
	top := issuing{}.issue(t, "root", root(), authority)
	middle := top.issue(t, "middle", otherKey(), authority)
	again := top.issue(t, "middle", rsaKey(), authority) // the same name with another key
	bare := top.issue(t, "bare", otherKey(), nil)        // no key identifier of its own
	leaf, below := middle.issue(t, "a.example.com", ecKey(), nil), bare.issue(t, "a.example.com", ecKey(), nil)
	stranger := issuing{}.issue(t, "stranger", rsaKey(), authority)
	self := issuing{}.issue(t, "a.example.com", ecKey(), nil)
	const order = "has a chain in which certificate 2 is not of the issuer of certificate 1: who has not got that one refuses it"
	const later = "has a chain in which certificate 3 is not of the issuer of certificate 2: who has not got that one refuses it"
	const server, client = "is not for servers by its extended key usage: most clients refuse it", "is not for clients by its extended key usage: most backends refuse it"
	for _, c := range []struct {
		name   string
		chain  []issuing
		client bool
		why    string
		hint   string
	}{
		{"a certificate alone", []issuing{leaf}, false, "", ""},
		{"its own issuer", []issuing{self}, false, "", ""},
		{"its own issuer, and what is of no use", []issuing{self, top}, false, "", ""},
		{"a chain", []issuing{leaf, middle}, false, "", ""},
		{"a chain up to its root", []issuing{leaf, middle, top}, false, "", ""},
		{"something after the root", []issuing{leaf, middle, top, stranger}, false, "", ""},
		{"an issuer without a key identifier", []issuing{below, bare, top}, false, "", ""},
		{"a chain of somebody else", []issuing{leaf, stranger}, false, order, `have that of "CN=middle" follow it`},
		{"the issuer's name with another key", []issuing{leaf, again}, false, order, `have that of "CN=middle" follow it`},
		{"one too many in between", []issuing{leaf, leaf, middle}, false, order, "have certificate 3 follow it"},
		{"in the wrong order", []issuing{leaf, top, middle}, false, order, "have certificate 3 follow it"},
		{"an issuer is missing", []issuing{leaf, top}, false, order, `have that of "CN=middle" follow it`},
		{"it goes wrong later on", []issuing{leaf, middle, stranger}, false, later, `have that of "CN=root" follow it`},
		{"for servers", []issuing{top.issue(t, "a.example.com", ecKey(), usage(x509.ExtKeyUsageServerAuth))}, false, "", ""},
		{"for anything", []issuing{top.issue(t, "a.example.com", ecKey(), usage(x509.ExtKeyUsageAny))}, false, "", ""},
		{"for both", []issuing{top.issue(t, "a.example.com", ecKey(), usage(x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth))}, true, "", ""},
		{"for clients", []issuing{top.issue(t, "a.example.com", ecKey(), usage(x509.ExtKeyUsageClientAuth))}, false, server, "have one issued with serverAuth"},
		{"for clients, and shown by one", []issuing{top.issue(t, "a.example.com", ecKey(), usage(x509.ExtKeyUsageClientAuth))}, true, "", ""},
		{"for servers, and shown by a client", []issuing{top.issue(t, "a.example.com", ecKey(), usage(x509.ExtKeyUsageServerAuth))}, true, client, "have one issued with clientAuth"},
	} {
		dir := t.TempDir()
		var file bytes.Buffer
		for _, i := range c.chain {
			file.Write(i.pem())
		}
		pair := PairFile{Cert: write(t, dir, "a.crt", file.Bytes()), Key: write(t, dir, "a.key", keyPEM(t, ecKey())), Client: c.client}
		why, hint := "", ""
		for _, w := range open(t, &Config{Pairs: []PairFile{pair}}).Warnings() {
			why, hint = why+w.Why, hint+w.Hint
		}
		if why != c.why || hint != c.hint {
			t.Errorf("%s: warned of is %q (%s), want %q (%s)", c.name, why, hint, c.why, c.hint)
		}
	}
}
