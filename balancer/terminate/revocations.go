package terminate

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// revocationList is a list of a ClientAuth.CRL as it was read. It is not changed.
type revocationList struct {
	*x509.RevocationList
	serials map[string]bool // of revoked certificates
}

var errNoList = errors.New("it holds no list of revoked certificates (X509 CRL)")

// parseLists reads lists in PEM, or one in DER. A list with a critical extension is refused: it says that the list is of some
// certificates only, or of what has changed since another one (RFC 5280 §5.2), and that a certificate is not in it would
// say nothing.
func parseLists(data []byte) (all []*revocationList, err error) {
	for der := range listsOf(data) {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, fmt.Errorf("a list of revoked certificates cannot be read: %w", err)
		}
		if i := slices.IndexFunc(list.Extensions, func(e pkix.Extension) bool { return e.Critical }); i >= 0 {
			return nil, fmt.Errorf("the list of %q is not of all certificates (critical extension %v)", list.Issuer.CommonName, list.Extensions[i].Id)
		}
		r := &revocationList{list, map[string]bool{}}
		for i := range list.RevokedCertificateEntries {
			e := &list.RevokedCertificateEntries[i]
			r.serials[string(e.SerialNumber.Bytes())] = e.ReasonCode != removeFromCRL
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, errNoList
	}
	return all, nil
}

// removeFromCRL is the reason code of an entry that takes an earlier one back (RFC 5280 §5.3.1).
const removeFromCRL = 8

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
