package terminate

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
)

// ClientAuth says which certificates of clients are trusted. Both files are absolute paths.
type ClientAuth struct {
	CA      string // PEM: the authorities that are trusted
	Require bool   // a client without a certificate is refused; otherwise only one with a wrong one is
	// CRL is a file of lists of revoked certificates, PEM or one in DER, that is followed without a reload; "" for none. With
	// it, a certificate whose authority has no list in it, or an expired one, is refused. It must have a list of one of CA.
	CRL string
}

// authorities are the certificates of a ClientAuth.CA.
type authorities struct {
	all  []*x509.Certificate
	pool *x509.CertPool
}

// readAuthorities reads the certificates that are trusted. A file that is missing or holds none is an error: to go on
// without it would be to trust somebody else. The error is a [*FileError].
func readAuthorities(path string) (*authorities, error) {
	f, err := certs.ReadFile(path, maxFile, false)
	if err != nil {
		return nil, fileError(path, err)
	}
	data := f.Data
	a := &authorities{pool: x509.NewCertPool()}
	for len(data) > 0 {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, &FileError{File: path, Why: fmt.Sprintf("certificate %d of it cannot be read: %v", len(a.all)+1, err)}
		}
		a.all = append(a.all, cert)
		a.pool.AddCert(cert)
	}
	if len(a.all) == 0 {
		return nil, &FileError{File: path, Why: "it holds no certificate", Hint: "it must be PEM, with BEGIN CERTIFICATE"}
	}
	return a, nil
}

// revocations are the lists of a ClientAuth.CRL by the raw name of the authority that has issued them.
type revocations map[string][]*revocation

// revocation is one list, ready to be asked.
type revocation struct {
	list    *x509.RevocationList
	signer  *x509.Certificate // whose signature was verified; nil: nobody's yet
	serials map[string]bool   // of revoked certificates
}

var errNoList = errors.New("it holds no list of revoked certificates (X509 CRL)")

// parseRevocations reads lists in PEM, or one in DER. A list of an authority that is trusted must be signed by it, and there
// must be one: with lists of others alone, every client would be refused. Where nothing is trusted, since that could not be
// read, they are only read. A list with a critical extension is refused: it says that the list is of some certificates only, or
// of what has changed since another one (RFC 5280 §5.2), and that a certificate is not in it would say nothing.
func parseRevocations(data []byte, trusted []*x509.Certificate) (revocations, error) {
	all, ours := revocations{}, false
	for der := range listsOf(data) {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, fmt.Errorf("a list of revoked certificates cannot be read: %w", err)
		}
		if i := slices.IndexFunc(list.Extensions, func(e pkix.Extension) bool { return e.Critical }); i >= 0 {
			return nil, fmt.Errorf("the list of %q is not of all certificates (critical extension %v)", list.Issuer.CommonName, list.Extensions[i].Id)
		}
		r := &revocation{list: list, serials: map[string]bool{}}
		for i := range list.RevokedCertificateEntries {
			e := &list.RevokedCertificateEntries[i]
			r.serials[string(e.SerialNumber.Bytes())] = e.ReasonCode != removeFromCRL
		}
		known := false
		for _, ca := range trusted {
			if bytes.Equal(ca.RawSubject, list.RawIssuer) {
				known = true
				if list.CheckSignatureFrom(ca) == nil {
					r.signer = ca
				}
			}
		}
		if known && r.signer == nil {
			return nil, fmt.Errorf("the list of %q is not signed by it", list.Issuer.CommonName)
		}
		ours = ours || known
		all[string(list.RawIssuer)] = append(all[string(list.RawIssuer)], r)
	}
	switch {
	case len(all) == 0:
		return nil, errNoList
	case !ours && len(trusted) > 0:
		return nil, &certs.Error{Why: "it holds no list of any authority in ca: every client would be refused", Hint: all.issuers()}
	}
	return all, nil
}

// issuers says whose lists r has.
func (r revocations) issuers() string {
	var names []string
	for _, lists := range r {
		names = append(names, strconv.Quote(lists[0].list.Issuer.String()))
	}
	slices.Sort(names)
	return "it is of " + strings.Join(names[:min(len(names), maxIssuers)], ", ")
}

// maxIssuers is how many authorities a hint names.
const maxIssuers = 5

// expired returns for each authority that has lists, and none that is still good, when the last of them has expired.
func (r revocations) expired(trusted []*x509.Certificate, now time.Time) (all []expiredList) {
	for _, ca := range trusted {
		var last time.Time
		for _, l := range r[string(ca.RawSubject)] {
			end := l.list.NextUpdate
			switch {
			case l.signer != ca:
				continue
			case end.IsZero():
				end = now.Add(1) // never
			}
			if end.After(last) {
				last = end
			}
		}
		if !last.IsZero() && !now.Before(last) {
			all = append(all, expiredList{ca.Subject.String(), last})
		}
	}
	return all
}

// expiredList is the latest list of an authority, which is not good any more.
type expiredList struct {
	issuer string
	end    time.Time
}

// listsOf yields the DER of every list in data.
func listsOf(data []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		block, rest := pem.Decode(data)
		if block == nil && len(data) > 0 && data[0] == 0x30 { // SEQUENCE
			yield(data)
		}
		for ; block != nil; block, rest = pem.Decode(rest) {
			if block.Type == "X509 CRL" && !yield(block.Bytes) {
				return
			}
		}
	}
}

// check looks a verified chain up: the client's certificate first, its authority last. It returns nil if nothing of it
// is revoked. The authority of the client's own certificate must have a list that is still good.
// A certificate that is itself among the authorities is trusted without one, but not against one that it is on.
func (r revocations) check(chain []*x509.Certificate, now time.Time) *refusal {
	if len(chain) == 1 && r.lists(chain[0]) {
		return &refusal{ClientCertRevoked, "client certificate revoked"}
	}
	for i := range chain[:max(len(chain)-1, 0)] {
		revoked, why := r.revoked(chain[i], chain[i+1], now)
		switch {
		case revoked:
			return &refusal{ClientCertRevoked, "client certificate revoked" + whose(chain)}
		case why != "" && i == 0:
			return &refusal{ClientCertRefused, why}
		}
	}
	return nil
}

// lists reports whether cert is on a list that an authority which is trusted has signed.
func (r revocations) lists(cert *x509.Certificate) bool {
	return slices.ContainsFunc(r[string(cert.RawIssuer)], func(l *revocation) bool {
		return l.signer != nil && l.serials[string(cert.SerialNumber.Bytes())]
	})
}

// revoked reports whether issuer has revoked cert; why says that its list does not tell.
func (r revocations) revoked(cert, issuer *x509.Certificate, now time.Time) (is bool, why string) {
	why = "no list of revoked certificates of the client certificate's authority"
	for _, l := range r[string(cert.RawIssuer)] {
		if !l.signedBy(issuer) {
			continue // of another authority with the same name
		}
		if l.serials[string(cert.SerialNumber.Bytes())] {
			return true, ""
		}
		if end := l.list.NextUpdate; end.IsZero() || now.Before(end) {
			why = ""
		} else if why != "" {
			why = "the list of revoked certificates expired on " + end.UTC().Format(time.DateOnly)
		}
	}
	return false, why
}

func (l *revocation) signedBy(issuer *x509.Certificate) bool {
	return l.signer != nil && bytes.Equal(l.signer.RawSubjectPublicKeyInfo, issuer.RawSubjectPublicKeyInfo) ||
		l.list.CheckSignatureFrom(issuer) == nil
}

// removeFromCRL is the reason code of an entry that takes an earlier one back (RFC 5280 §5.3.1).
const removeFromCRL = 8

// clientCheck verifies what crypto/tls does not: revocation. It runs on every handshake, resumed ones included.
type clientCheck struct {
	lists   *watched[revocations] // nil: none
	trusted []*x509.Certificate

	mu     sync.Mutex
	looked time.Time // when ends of lists were last looked at
	told   time.Time // when the log last spoke of one; zero: of none that has expired
}

// How often the ends of lists are looked at, and how often the log speaks of those that have expired.
const (
	lookAtEnds = time.Minute
	tellOfEnds = 24 * time.Hour
)

// allows looks at the chains of a client's certificate, which are verified. One that is not revoked is enough.
func (k *clientCheck) allows(chains [][]*x509.Certificate, now time.Time, log *slog.Logger) error {
	if k == nil || k.lists == nil || len(chains) == 0 {
		return nil
	}
	lists := k.lists.get(now, log)
	k.remind(lists, now, log)
	var last *refusal
	for _, chain := range chains {
		if last = lists.check(chain, now); last == nil {
			return nil
		}
	}
	return last
}

// remind speaks of lists that have expired, once a day: each client of these authorities is refused.
func (k *clientCheck) remind(lists revocations, now time.Time, log *slog.Logger) {
	if !k.mu.TryLock() {
		return // somebody else does
	}
	defer k.mu.Unlock()
	if now.Sub(k.looked) < lookAtEnds {
		return
	}
	k.looked = now
	all := lists.expired(k.trusted, now)
	switch {
	case len(all) == 0:
		k.told = time.Time{}
		return
	case now.Sub(k.told) < tellOfEnds:
		return
	}
	k.told = now
	for _, l := range all {
		log.Error("a list of revoked certificates has expired: clients of its authority are refused",
			slog.String("file", k.lists.path), slog.String("authority", l.issuer), slog.Time("next_update", l.end))
	}
}
