package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"
)

// minRSA is the shortest RSA key that is taken, in bits: browsers take none below (CA/Browser Forum, Baseline Requirements
// §6.1.5).
const minRSA = 2048

// parse makes a certificate of a pair's PEM. Where something is wrong it says which file it is in.
func parse(f PairFile, certPEM, keyPEM []byte) (*Choice, *Error) {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, explain(f, certPEM, keyPEM, err)
	}
	if why := checkKey(pair.Leaf.PublicKey); why != "" {
		return nil, &Error{Part: PartKey, File: f.Key, Why: why}
	}
	c := newChoice(&pair, f.Cert)
	c.Taken = time.Now()
	if len(c.Names) == 0 && !f.Default {
		return nil, &Error{File: f.Cert, Why: "is for no name: its subjectAltName has no DNS name",
			Hint: "no client looks at the common name; such a certificate can only be a default"}
	}
	return c, nil
}

// checkKey returns why a key is not taken, or "".
func checkKey(public crypto.PublicKey) string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSA {
			return fmt.Sprintf("is an RSA key of %d bits; the least is %d", bits, minRSA)
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P224() {
			return "is an ECDSA key on P-224, which TLS does not know (RFC 8422 §5.1.1); take P-256"
		}
	}
	return ""
}

// explain says which file of a pair is wrong. The error of crypto/tls never quotes a key.
func explain(f PairFile, certPEM, keyPEM []byte, err error) *Error {
	cert, key := blocks(certPEM), blocks(keyPEM)
	why := strings.TrimPrefix(err.Error(), "tls: ")
	switch {
	case !cert.certificate && cert.key && key.certificate:
		return &Error{File: f.Cert, Why: "holds a private key", Hint: "swap cert and key"}
	case !cert.certificate:
		return &Error{File: f.Cert, Why: "holds no certificate", Hint: "it must be PEM, with BEGIN CERTIFICATE"}
	case key.encrypted:
		return &Error{Part: PartKey, File: f.Key, Why: "is encrypted with a passphrase", Hint: "decrypt it: openssl pkey -in KEY -out PLAIN"}
	case !key.key:
		return &Error{Part: PartKey, File: f.Key, Why: "holds no private key", Hint: "it must be PEM, with BEGIN PRIVATE KEY"}
	case strings.Contains(why, "does not match"):
		return &Error{Part: PartKey, File: f.Key, Why: "does not belong to its certificate", Hint: orderHint(certPEM, keyPEM), mismatch: true}
	}
	return &Error{File: f.Cert, Why: "and its key are no usable pair: " + why}
}

// found says what PEM blocks a file has.
type found struct{ certificate, key, encrypted bool }

func blocks(data []byte) (all found) {
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return all
		}
		all.certificate = all.certificate || block.Type == "CERTIFICATE"
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			all.key = true
			all.encrypted = block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != ""
		}
		data = rest
	}
}

// orderHint looks for the most frequent mistake: a chain in front of the certificate.
func orderHint(certPEM, keyPEM []byte) string {
	_, rest := pem.Decode(certPEM)
	for n := 2; ; n++ {
		block, after := pem.Decode(rest)
		if block == nil {
			return ""
		}
		if _, err := tls.X509KeyPair(rest, keyPEM); err == nil && block.Type == "CERTIFICATE" {
			return fmt.Sprintf("the certificate of this key is number %d in the file; put it first, before its chain", n)
		}
		rest = after
	}
}

// A certificate is about to expire when a third of its life is left, and at most soon: one of ninety days is renewed
// thirty days before its end, one of six days after four.
const soon = 14 * 24 * time.Hour

// warnFrom is when the log begins to speak of the end of a certificate.
func warnFrom(leaf *x509.Certificate) time.Time {
	return leaf.NotAfter.Add(-min(soon, leaf.NotAfter.Sub(leaf.NotBefore)/3))
}

// checkValidity looks at the time in which a certificate is good.
func checkValidity(f PairFile, leaf *x509.Certificate, now time.Time) (warning, wrong *Error) {
	e := &Error{File: f.Cert, Hint: "renew it"}
	switch {
	case now.After(leaf.NotAfter):
		e.Why = "has expired on " + day(leaf.NotAfter)
		if !f.AllowExpired {
			e.Hint = "renew it, or say `allow_expired: true`"
			return nil, e
		}
	case now.Before(leaf.NotBefore):
		return notBefore(f, leaf, "is the clock right?"), nil
	case now.After(warnFrom(leaf)):
		e.Why = "expires on " + day(leaf.NotAfter)
	default:
		return nil, nil
	}
	return e, nil
}

func notBefore(f PairFile, leaf *x509.Certificate, hint string) *Error {
	return &Error{File: f.Cert, Why: "is not good before " + leaf.NotBefore.UTC().Format(time.DateTime) + " UTC", Hint: hint}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
