package certs

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// misgivings are what some of those that a pair is shown to may refuse it for. Others cope: they find what is missing in a chain
// by themselves, or do not look at what a certificate is meant for.
func misgivings(f PairFile, c *Choice) (all []*Error) {
	chain := []*x509.Certificate{c.Certificate.Leaf}
	for _, der := range c.Certificate.Certificate[1:] {
		if cert, err := x509.ParseCertificate(der); err == nil { // as it was when it was loaded
			chain = append(chain, cert)
		}
	}
	for _, e := range [...]*Error{purpose(f, chain[0]), inOrder(f, chain)} {
		if e != nil {
			all = append(all, e)
		}
	}
	return all
}

// purpose says that a certificate is not meant for how it is shown (RFC 5280 §4.2.1.12). One that does not say what it is meant for is
// for everything.
func purpose(f PairFile, leaf *x509.Certificate) *Error {
	want, whom, name, to := x509.ExtKeyUsageServerAuth, "servers", "serverAuth", "clients"
	if f.Client {
		want, whom, name, to = x509.ExtKeyUsageClientAuth, "clients", "clientAuth", "backends"
	}
	says := len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) > 0
	if !says || slices.Contains(leaf.ExtKeyUsage, want) || slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return nil
	}
	return &Error{File: f.Cert, Why: "is not for " + whom + " by its extended key usage: most " + to + " refuse it",
		Hint: "have one issued with " + name}
}

// inOrder says that a certificate of a chain is not followed by that of its issuer (RFC 8446 §4.4.2). What comes after one that is its
// own issuer is of no use, and does no harm.
func inOrder(f PairFile, chain []*x509.Certificate) *Error {
	for i, cert := range chain[:len(chain)-1] {
		if issued(cert, cert) {
			return nil
		}
		if issued(chain[i+1], cert) {
			continue
		}
		why := "has a chain in which certificate %d is not of the issuer of certificate %d: who has not got that one refuses it"
		e := &Error{File: f.Cert, Why: fmt.Sprintf(why, i+2, i+1), Hint: fmt.Sprintf("have that of %q follow it", cert.Issuer)}
		if at := slices.IndexFunc(chain, func(c *x509.Certificate) bool { return issued(c, cert) }); at >= 0 {
			e.Hint = fmt.Sprintf("have certificate %d follow it", at+1)
		}
		return e
	}
	return nil
}

// issued reports whether a certificate is of the issuer of another one. Their key identifiers spare the signature, which takes
// longer than all else about a pair.
func issued(issuer, cert *x509.Certificate) bool {
	switch {
	case !bytes.Equal(issuer.RawSubject, cert.RawIssuer):
		return false
	case len(issuer.SubjectKeyId) > 0 && len(cert.AuthorityKeyId) > 0:
		return bytes.Equal(issuer.SubjectKeyId, cert.AuthorityKeyId)
	}
	err := issuer.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature)
	_, weak := errors.AsType[x509.InsecureAlgorithmError](err) // which cannot be told
	return err == nil || weak
}
