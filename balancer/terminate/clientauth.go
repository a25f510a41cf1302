package terminate

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
)

// ClientAuth says which certificates of clients are trusted. Both files are absolute paths, and are followed without a reload.
// What they hold goes together: a change that does not go with the other file waits for a change of that one.
type ClientAuth struct {
	CA      string // PEM: the authorities that are trusted
	Require bool   // a client without a certificate is refused; otherwise only one with a wrong one is
	// CRL is a file of lists of revoked certificates, PEM or one in DER; "" for none. With it, a certificate whose authority
	// has no list in it, or an expired one, is refused. It must have a list of one of CA.
	CRL string
}

// authorities are the certificates of a ClientAuth.CA. They are not changed.
type authorities struct {
	all  []*x509.Certificate
	pool *x509.CertPool
}

// maxNames bounds the names of authorities, in bytes, each with its length: every client is sent all of them in one message, which
// is 64 KiB at the most, and has a little else to say (RFC 8446 §4.2.4, RFC 5246 §7.4.4).
const maxNames = 63 << 10

// parseAuthorities reads the certificates that are trusted.
func parseAuthorities(path string, data []byte) (*authorities, error) {
	all, wrong := certs.Authorities(path, data)
	if wrong != nil {
		return nil, ofIt(wrong)
	}
	a, names := &authorities{all: all, pool: x509.NewCertPool()}, 0
	for _, cert := range all {
		a.pool.AddCert(cert)
		names += 2 + len(cert.RawSubject)
	}
	if names > maxNames {
		return nil, &certs.Error{
			Why:  fmt.Sprintf("its %d authorities have names of %d KiB, and a handshake has room for %d: no client could connect", len(a.all), names>>10, maxNames>>10),
			Hint: "name those only that issue certificates for these clients",
		}
	}
	return a, nil
}

// raw is the certificates of a in an order that does not depend on that of the file; nil for nil.
func (a *authorities) raw() (all [][]byte) {
	if a == nil {
		return nil
	}
	for _, c := range a.all {
		all = append(all, c.Raw)
	}
	slices.SortFunc(all, bytes.Compare)
	return all
}

// verify finds the chains from a client's certificate, with what it has sent besides, to a.
func (a *authorities) verify(sent []*x509.Certificate) ([][]*x509.Certificate, error) {
	opt := x509.VerifyOptions{
		Roots: a.pool, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range sent[1:] {
		opt.Intermediates.AddCert(c)
	}
	return sent[0].Verify(opt)
}
