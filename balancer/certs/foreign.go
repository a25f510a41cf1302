package certs

import (
	"bytes"
	"crypto/x509"
	"strings"
)

// HoldsNo says that a file has no block of a type, and what it seems to be instead.
func HoldsNo(path string, data []byte, kind string) *Error {
	e := &Error{File: path, Why: "holds no " + nameOf(kind), Hint: "it must be PEM, with BEGIN " + kind}
	if f := foreign(data); f != nil {
		e.Why = "is " + f.what + ", and not PEM"
		if f.kind == "" || f.kind == kind {
			e.Hint = "convert it: " + f.convert(path)
		}
		return e
	}
	for b, wrong := range Blocks(path, data) {
		if wrong != nil {
			return wrong
		}
		if what, hint := b.insteadOf(kind); what != "" {
			e.Why, e.Hint = e.Why+", but "+what, hint
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

// insteadOf says what a block is that is found where one of another type is wanted, and what to do; "" where there is nothing to
// say.
func (b *Block) insteadOf(kind string) (what, hint string) {
	switch {
	case kind == "PRIVATE KEY" && b.Type == "PUBLIC KEY":
		return "a public one", "name the file of the private one"
	case kind != "CERTIFICATE":
		return "", ""
	}
	switch b.Type {
	case "PKCS7", "CMS":
		return "PKCS#7", "convert it: " + (&format{command: "openssl pkcs7 -in FILE -print_certs -out FILE.pem"}).convert(b.file)
	case "TRUSTED CERTIFICATE", "X509 CERTIFICATE":
		return "a " + b.Type, "convert it: " + (&format{command: "openssl x509 -in FILE -out FILE.pem"}).convert(b.file)
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		return "a request for one", "name the file that the authority has sent for it"
	}
	return "", ""
}

// format is one in which certificates, keys or lists come, and which is not read.
type format struct {
	what    string
	kind    string // of what is in it; "": of several kinds
	command string // that makes PEM of FILE
}

var (
	formatPKCS12 = format{"PKCS#12", "", "openssl pkcs12 -in FILE -nodes -out FILE.pem && chmod 600 FILE.pem"}
	formatPKCS7  = format{"PKCS#7", "CERTIFICATE", "openssl pkcs7 -inform DER -in FILE -print_certs -out FILE.pem"}
	formatKey    = format{"a private key in DER", "PRIVATE KEY", "openssl pkey -inform DER -in FILE -out FILE.pem && chmod 600 FILE.pem"}
	formatList   = format{"a list of revoked certificates in DER", "X509 CRL", "openssl crl -inform DER -in FILE -out FILE.pem"}
	formatCert   = format{"a certificate in DER", "CERTIFICATE", "openssl x509 -inform DER -in FILE -out FILE.pem"}
)

// convert is the command that makes PEM of a file.
func (f *format) convert(path string) string { return strings.ReplaceAll(f.command, "FILE", path) }

// Beginnings of what is in DER: the contents of the outer SEQUENCE.
var (
	beginPKCS12 = []byte{0x02, 0x01, 0x03, 0x30}                                           // version 3 (RFC 7292 §4)
	beginPKCS7  = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02} // signedData (RFC 5652 §5.1)
	beginPBES   = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05}       // of a key with a passphrase (RFC 5958 §3, RFC 8018)
	beginKey    = []byte{0x02, 0x01}                                                       // version 0 or 1 (RFC 5958 §2, RFC 8017 §A.1.2, RFC 5915 §3)
)

// foreign recognises by its first bytes in which format a file is that is no PEM; nil where it is none of those that are known.
func foreign(data []byte) *format {
	body, is := derBody(data)
	inner, nested := derBody(body)
	switch {
	case !is:
		return nil
	case bytes.HasPrefix(body, beginPKCS12):
		return &formatPKCS12
	case bytes.HasPrefix(body, beginPKCS7):
		return &formatPKCS7
	case bytes.HasPrefix(body, beginKey), nested && bytes.HasPrefix(inner, beginPBES):
		return &formatKey
	case !nested:
		return nil
	}
	if _, err := x509.ParseRevocationList(data); err == nil {
		return &formatList
	}
	if _, err := x509.ParseCertificate(data); err == nil {
		return &formatCert
	}
	return nil
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
