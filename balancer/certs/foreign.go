package certs

import (
	"bytes"
	"crypto/x509"
	"fmt"
)

// HoldsNo says that a file has no block of a type, and what it seems to be instead.
func HoldsNo(path string, data []byte, kind string) *Error {
	e := &Error{File: path, Why: "holds no " + nameOf(kind)}
	if what, command := foreign(path, data); what != "" {
		e.Why, e.Hint = what, "convert it: "+command
		return e
	}
	e.Hint = "it must be PEM, with BEGIN " + kind
	for b, wrong := range Blocks(path, data) {
		if wrong != nil {
			return wrong
		}
		if what, hint := b.instead(); what != "" {
			e.Why += ", but " + what
			e.Hint = hint
			break
		}
	}
	return e
}

// nameOf is what people call a block of a type.
func nameOf(kind string) string {
	switch kind {
	case "CERTIFICATE":
		return "certificate"
	case "PRIVATE KEY":
		return "private key"
	case "X509 CRL":
		return "list of revoked certificates"
	}
	return kind
}

// instead says what a block is that is found where another one is wanted, and what to do; "" where there is nothing to say.
func (b *Block) instead() (what, hint string) {
	switch b.Type {
	case "PKCS7", "CMS":
		return "PKCS#7", fmt.Sprintf("convert it: openssl pkcs7 -in %[1]s -print_certs -out %[1]s.pem", b.file)
	case "TRUSTED CERTIFICATE", "X509 CERTIFICATE":
		return "a " + b.Type, fmt.Sprintf("convert it: openssl x509 -in %[1]s -out %[1]s.pem", b.file)
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		return "a request for one", "name the file that the authority has sent for it"
	}
	return "", ""
}

// Beginnings of what is in DER: the contents of the outer SEQUENCE.
var (
	beginPKCS12 = []byte{0x02, 0x01, 0x03, 0x30}                                           // version 3 (RFC 7292 §4)
	beginPKCS7  = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02} // signedData (RFC 5652 §5.1)
	beginKey    = []byte{0x02, 0x01}                                                       // version 0 or 1 (RFC 5958 §2, RFC 8017 §A.1.2, RFC 5915 §3)
)

// foreign says in which format a file is that is no PEM, and which command makes PEM of it; "" where it is none of those that
// are known.
func foreign(path string, data []byte) (what, command string) {
	body, is := derBody(data)
	if !is {
		return "", ""
	}
	inner, nested := derBody(body)
	switch {
	case bytes.HasPrefix(body, beginPKCS12):
		return "is PKCS#12, and not PEM", fmt.Sprintf("openssl pkcs12 -in %[1]s -nodes -out %[1]s.pem && chmod 600 %[1]s.pem", path)
	case bytes.HasPrefix(body, beginPKCS7):
		return "is PKCS#7, and not PEM", fmt.Sprintf("openssl pkcs7 -inform DER -in %[1]s -print_certs -out %[1]s.pem", path)
	case bytes.HasPrefix(body, beginKey), nested && len(inner) > 0 && inner[0] == 0x06: // an algorithm: a key with a passphrase
		return "is a private key in DER, and not in PEM", fmt.Sprintf("openssl pkey -inform DER -in %[1]s -out %[1]s.pem && chmod 600 %[1]s.pem", path)
	}
	if _, err := x509.ParseRevocationList(data); err == nil {
		return "is a list of revoked certificates in DER, and not in PEM", fmt.Sprintf("openssl crl -inform DER -in %[1]s -out %[1]s.pem", path)
	}
	if _, err := x509.ParseCertificate(data); err == nil {
		return "is a certificate in DER, and not in PEM", fmt.Sprintf("openssl x509 -inform DER -in %[1]s -out %[1]s.pem", path)
	}
	return "", ""
}

// derBody returns the contents of a SEQUENCE in DER or BER, as far as they are there.
func derBody(data []byte) (body []byte, is bool) {
	if len(data) < 2 || data[0] != 0x30 {
		return nil, false
	}
	size := data[1]
	if size <= 0x80 { // short, or up to an end in the contents
		return data[2:], true
	}
	long := 2 + int(size&0x7f)
	if long > 6 || len(data) < long {
		return nil, false
	}
	return data[long:], true
}
