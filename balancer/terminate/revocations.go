package terminate

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
)

// revocationList is a list of a ClientAuth.CRL as it was read. It is not changed.
type revocationList struct {
	*x509.RevocationList
	serials map[string]bool // of revoked certificates
}

// parseLists reads lists in PEM, or one in DER.
func parseLists(path string, data []byte) (all []*revocationList, err error) {
	var noDER error
	if len(data) > 0 && data[0] == 0x30 { // SEQUENCE, or a digit
		var one *revocationList
		switch one, noDER = parseList(data); {
		case noDER == nil:
			return []*revocationList{one}, one.whole()
		case errors.Is(noDER, errAfterList):
			return nil, &certs.Error{Why: "it holds something after a list in DER", Hint: "several lists must be in PEM: openssl crl -inform DER -in ONE >> ALL.pem"}
		}
	}
	for b, wrong := range certs.Blocks(path, data) {
		if wrong != nil {
			return nil, ofIt(wrong)
		}
		if b.Type != "X509 CRL" {
			continue
		}
		list, err := parseList(b.Bytes)
		if err != nil {
			return nil, ofIt(b.Unusable(err.Error()))
		}
		if err := list.whole(); err != nil {
			return nil, err
		}
		all = append(all, list)
	}
	if len(all) == 0 {
		return nil, noList(path, data, noDER)
	}
	return all, nil
}

// noList says that a file holds no list, or why what it holds is none in DER.
func noList(path string, data []byte, noDER error) error {
	wrong := certs.HoldsNo(path, data, "X509 CRL")
	if isText := bytes.IndexFunc(data, func(r rune) bool { return r < '\t' }) < 0; noDER != nil && !isText && strings.HasPrefix(wrong.Why, "holds no") {
		return fmt.Errorf("it cannot be read as a list of revoked certificates in DER: %w", noDER)
	}
	return ofIt(wrong)
}

var errAfterList = errors.New("there is something after the list")

// parseList reads one list in DER.
func parseList(der []byte) (*revocationList, error) {
	list, err := x509.ParseRevocationList(der)
	switch {
	case err != nil:
		return nil, err
	case len(list.Raw) != len(der): // which the parser passes over
		return nil, errAfterList
	}
	r := &revocationList{list, map[string]bool{}}
	for i := range list.RevokedCertificateEntries {
		e := &list.RevokedCertificateEntries[i]
		r.serials[string(e.SerialNumber.Bytes())] = e.ReasonCode != removeFromCRL
	}
	return r, nil
}

// whole refuses a list with a critical extension: that says that the list is of some certificates only, or of what has changed
// since another one (RFC 5280 §5.2), and that a certificate is not in it would say nothing.
func (l *revocationList) whole() error {
	if i := slices.IndexFunc(l.Extensions, func(e pkix.Extension) bool { return e.Critical }); i >= 0 {
		return fmt.Errorf("the list of %q is not of all certificates (critical extension %v)", l.Issuer.CommonName, l.Extensions[i].Id)
	}
	return nil
}

// removeFromCRL is the reason code of an entry that takes an earlier one back (RFC 5280 §5.3.1).
const removeFromCRL = 8

// revocations are lists with the authorities that have signed them, by the raw name of the issuer.
type revocations map[string][]*revocation

// revocation is one list, ready to be asked.
type revocation struct {
	*revocationList
	signer *x509.Certificate                // among the authorities that are trusted; nil: none of them
	below  atomic.Pointer[x509.Certificate] // one whose chain led to these, and that has signed it; nil: none has come yet
}

// misfit says why lists and authorities do not go together.
type misfit struct{ why, hint string }

// revocationsOf finds out who has signed lists. A list of an authority that is trusted must be signed by it, and there must be
// one: with lists of others alone, every client would be refused. What is known of those below these authorities
// comes along from before, which may be nil.
func revocationsOf(lists []*revocationList, trusted *authorities, before revocations) (revocations, *misfit) {
	all, ours := revocations{}, false
	for _, list := range lists {
		r, known := &revocation{revocationList: list}, false
		for _, ca := range trusted.all {
			if bytes.Equal(ca.RawSubject, list.RawIssuer) {
				known = true
				if list.CheckSignatureFrom(ca) == nil {
					r.signer = ca
				}
			}
		}
		if known && r.signer == nil {
			return nil, &misfit{why: fmt.Sprintf("the list of %q is not signed by it", list.Issuer.CommonName)}
		}
		for _, b := range before[string(list.RawIssuer)] {
			if by := b.below.Load(); by != nil {
				r.signedBy(by)
			}
		}
		ours = ours || known
		all[string(list.RawIssuer)] = append(all[string(list.RawIssuer)], r)
	}
	if !ours {
		return nil, &misfit{"it holds no list of any authority in ca: every client would be refused", all.issuers()}
	}
	return all, nil
}

// issuers says whose lists r has.
func (r revocations) issuers() string {
	var names []string
	for _, lists := range r {
		names = append(names, strconv.Quote(lists[0].Issuer.String()))
	}
	slices.Sort(names)
	return "it is of " + strings.Join(names[:min(len(names), maxIssuers)], ", ")
}

// maxIssuers is how many authorities a hint names.
const maxIssuers = 5

// allow looks at the chains of a client's certificate, which are verified. One that is not revoked is enough.
func (r revocations) allow(chains [][]*x509.Certificate, now time.Time) error {
	if r == nil || len(chains) == 0 {
		return nil
	}
	var last *refusal
	for _, chain := range chains {
		if last = r.check(chain, now); last == nil {
			return nil
		}
	}
	return last
}

// check looks a verified chain up: the client's certificate first, its authority last. It returns nil if nothing of it
// is revoked. The authority of the client's own certificate must have a list that is still good.
// The last one, which is among the authorities, is trusted without one, be it the client's own or not, but not against one that
// it is on.
func (r revocations) check(chain []*x509.Certificate, now time.Time) *refusal {
	if end := len(chain) - 1; r.lists(chain[end]) {
		return revokedAt(chain, end)
	}
	for i := range chain[:len(chain)-1] {
		revoked, why := r.revoked(chain[i], chain[i+1], now)
		switch {
		case revoked:
			return revokedAt(chain, i)
		case why != "" && i == 0:
			return &refusal{ClientCertRefused, why + whose(chain)}
		}
	}
	return nil
}

// revokedAt says that a certificate of a chain is revoked.
func revokedAt(chain []*x509.Certificate, at int) *refusal {
	text := "client certificate "
	if at > 0 {
		text = authorityOf(chain[at])
	}
	return &refusal{ClientCertRevoked, text + "revoked" + whose(chain)}
}

// lists reports whether cert is on a list of its issuer, which is trusted, too. Nobody can say so of themselves: where a root has
// the number of a certificate that it has revoked, it is that one which is meant.
func (r revocations) lists(cert *x509.Certificate) bool {
	return !bytes.Equal(cert.RawIssuer, cert.RawSubject) && slices.ContainsFunc(r[string(cert.RawIssuer)], func(l *revocation) bool {
		return l.signer != nil && l.serials[string(cert.SerialNumber.Bytes())] && cert.CheckSignatureFrom(l.signer) == nil
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
		if end := l.NextUpdate; end.IsZero() || now.Before(end) {
			why = ""
		} else if why != "" {
			why = "the list of revoked certificates expired on " + end.UTC().Format(time.DateOnly)
		}
	}
	return false, why
}

// signedBy reports whether issuer has signed l. Of one that is below those that are trusted l keeps it in mind, for who asks next
// and for [revocations.ends].
func (l *revocation) signedBy(issuer *x509.Certificate) bool {
	for _, known := range [...]*x509.Certificate{l.signer, l.below.Load()} {
		if known != nil && bytes.Equal(known.RawSubjectPublicKeyInfo, issuer.RawSubjectPublicKeyInfo) {
			return true
		}
	}
	if l.CheckSignatureFrom(issuer) != nil {
		return false
	}
	l.below.CompareAndSwap(nil, issuer)
	return true
}
