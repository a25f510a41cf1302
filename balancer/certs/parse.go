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

// content is what a file of a pair holds.
type content struct {
	data  []byte // PEM
	chain []*x509.Certificate
	key   *Block // the first private key, without what it holds; nil: there is none
}

// contentOf looks at all blocks of a file. What it returns is what there is up to the one that is wrong.
func contentOf(path string, data []byte) (*content, *Error) {
	c := &content{data: withoutMark(data)}
	for b, wrong := range Blocks(path, data) {
		if b.isKey() {
			clear(b.Bytes) // crypto/tls reads it by itself
			if c.key == nil {
				c.key = b
			}
		}
		if wrong == nil && b.isCertificate() {
			var cert *x509.Certificate
			cert, wrong = b.certificate()
			c.chain = append(c.chain, cert)
		}
		if wrong != nil {
			return c, wrong
		}
	}
	return c, nil
}

// isCertificate reports whether b is a certificate, be it one that crypto/tls knows as such or not.
func (b *Block) isCertificate() bool {
	return b.Type == "CERTIFICATE" || b.Type == "TRUSTED CERTIFICATE" || b.Type == "X509 CERTIFICATE"
}

// certificate is what b holds.
func (b *Block) certificate() (*x509.Certificate, *Error) {
	if b.Type != "CERTIFICATE" { // crypto/tls would pass over it
		what, hint := b.insteadOf("CERTIFICATE")
		wrong := b.Unusable("it is " + what)
		wrong.Hint = hint
		return nil, wrong
	}
	cert, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		return nil, b.Unusable(err.Error())
	}
	return cert, nil
}

// parse makes a certificate of what the files of a pair hold. Where something is wrong it says which file it is in.
func parse(f PairFile, cert, key *content) (*Choice, *Error) {
	if wrong := missing(f, cert, key); wrong != nil {
		return nil, wrong
	}
	pair, err := tls.X509KeyPair(cert.data, key.data)
	if err != nil {
		return nil, explain(f, cert, key, err)
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

// missing says which file of a pair does not hold what it should.
func missing(f PairFile, cert, key *content) *Error {
	switch {
	case len(cert.chain) == 0 && cert.key != nil && len(key.chain) > 0:
		return &Error{File: f.Cert, Why: "holds a private key", Hint: "swap cert and key"}
	case len(cert.chain) == 0:
		return HoldsNo(f.Cert, cert.data, "CERTIFICATE")
	case key.key == nil:
		return noKey(f, key)
	case key.key.Type == "OPENSSH PRIVATE KEY":
		return &Error{Part: PartKey, File: f.Key, Why: "is a key of OpenSSH, in a format of its own",
			Hint: fmt.Sprintf("convert a copy, which works for ECDSA and RSA: cp %[1]s %[1]s.pem && ssh-keygen -p -N '' -m PKCS8 -f %[1]s.pem", f.Key)}
	case key.key.isEncrypted():
		return &Error{Part: PartKey, File: f.Key, Why: "is encrypted with a passphrase", Hint: "decrypt it: openssl pkey -in KEY -out PLAIN"}
	}
	return nil
}

// noKey says that there is none in the file where it should be.
func noKey(f PairFile, key *content) *Error {
	wrong := HoldsNo(f.Key, key.data, "PRIVATE KEY")
	wrong.Part = PartKey
	switch {
	case f.Key != f.Cert: // it was meant to be a key
	case f.base != "":
		wrong.Hint = "put the key into it, too, or have them in two files: .crt and .key"
	default:
		wrong.Hint = "name the file of the key with `key`"
	}
	return wrong
}

// isEncrypted reports whether a key takes a passphrase.
func (b *Block) isEncrypted() bool {
	return b.Type == "ENCRYPTED PRIVATE KEY" || b.Headers["DEK-Info"] != ""
}

// explain says which file of a pair is wrong. The error of crypto/tls never quotes a key.
func explain(f PairFile, cert, key *content, err error) *Error {
	why := strings.TrimPrefix(err.Error(), "tls: ")
	switch {
	case strings.Contains(why, "does not match"):
		return &Error{Part: PartKey, File: f.Key, Why: "does not belong to its certificate", Hint: orderHint(cert, key), mismatch: true}
	case strings.Contains(why, "private key"):
		wrong := key.key.Unusable(why)
		wrong.Part = PartKey
		return wrong
	}
	return &Error{File: f.Cert, Why: "and its key are no usable pair: " + why}
}

// orderHint looks for the most frequent mistake: a chain in front of the certificate.
func orderHint(cert, key *content) string {
	for i, c := range cert.chain[1:] {
		alone := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
		if _, err := tls.X509KeyPair(alone, key.data); err == nil {
			return fmt.Sprintf("the certificate of this key is number %d in the file; put it first, before its chain", i+2)
		}
	}
	return ""
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
