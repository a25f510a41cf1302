package terminate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A list that is not of all certificates of its authority does not say of any that it is good.
func TestAPartOfAListOfRevokedCertificatesIsRefused(t *testing.T) {
	ca, key := testAuthority(t)
	for _, tt := range []struct {
		name  string
		ext   []pkix.Extension
		taken bool
	}{
		{"a whole list", nil, true},
		{"an extension that need not be understood", []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 46}, Value: []byte{0x30, 0}}}, true},
		{"changes since another list", []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}}, false},
		{"certificates of authorities alone", []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 3, 0x82, 1, 0xff}}}, false},
	} {
		list := &x509.RevocationList{Number: big.NewInt(2), ThisUpdate: ca.NotBefore, NextUpdate: ca.NotAfter, ExtraExtensions: tt.ext}
		der, err := x509.CreateRevocationList(rand.Reader, list, ca, key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseLists("crl", der); (err == nil) != tt.taken {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// A certificate that is trusted by itself, and beside that is on the list of its authority, is refused.
func TestATrustedCertificateThatIsRevokedIsRefused(t *testing.T) {
	ca, key := testAuthority(t)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: ca.NotBefore, NotAfter: ca.NotAfter}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	for serial, revoked := range map[int64]bool{7: true, 8: false} {
		list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: ca.NotBefore, NextUpdate: ca.NotAfter,
			RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(serial), RevocationTime: ca.NotBefore}}}
		der, err := x509.CreateRevocationList(rand.Reader, list, ca, key)
		if err != nil {
			t.Fatal(err)
		}
		lists, err := parseLists("crl", der)
		if err != nil {
			t.Fatal(err)
		}
		all, not := revocationsOf(lists, &authorities{all: []*x509.Certificate{ca, leaf}}, nil)
		if not != nil {
			t.Fatal(not)
		}
		if why := all.check([]*x509.Certificate{leaf}, time.Now()); (why != nil) != revoked {
			t.Errorf("with %d on the list: %v", serial, why)
		}
	}
}

// An authority that is trusted, and that another one has revoked, is trusted no more, whether that stands in ca, too, or not.
func TestATrustedAuthorityThatIsRevokedIsRefused(t *testing.T) {
	t.Parallel()
	root := newIssuer(t, "root")
	below := root.issuer(t, "below") // number 2
	soon := time.Now().Add(30 * 24 * time.Hour)
	for _, tt := range []struct {
		name    string
		revoked int64 // by root
		refused bool
	}{
		{"it is on the list", 2, true},
		{"another one is", 5, false},
		{"one with the number of the root itself, of which nobody could say so", 1, false},
	} {
		f := newClientFiles(t)
		f.trust(t, root, below)
		f.revoke(t, root.list(t, soon, tt.revoked), below.list(t, soon))
		in := f.policy(t).trust.Load()
		leaf := below.leaf(t, 7)
		for _, sent := range [][]*x509.Certificate{{leaf}, {leaf, below.cert}} {
			chains, err := in.terms.trusted.verify(sent)
			if err != nil {
				t.Fatal(err)
			}
			if err := in.lists.allow(chains, time.Now()); (err != nil) != tt.refused {
				t.Errorf("%s: %d certificates in %d chains: %v", tt.name, len(sent), len(chains), err)
			}
		}
	}
}

// testAuthority is a certificate that signs others and lists.
func testAuthority(t *testing.T) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, SubjectKeyId: []byte("ca"),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return ca, key
}

// endless is a list without its end, which crypto/x509 does not make.
func (i issuer) endless(t *testing.T, der []byte) []byte {
	t.Helper()
	var list struct {
		TBS       struct{ Version, Algorithm, Issuer, ThisUpdate, NextUpdate, Extensions asn1.RawValue } // nothing is revoked
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	_, err := asn1.Unmarshal(der, &list)
	of := list.TBS
	tbs, err2 := asn1.Marshal(struct{ Version, Algorithm, Issuer, ThisUpdate, Extensions asn1.RawValue }{
		of.Version, of.Algorithm, of.Issuer, of.ThisUpdate, of.Extensions,
	})
	sum := sha256.Sum256(tbs)
	signature, err3 := i.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	list.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	der, err4 := asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, list.Algorithm, list.Signature})
	if err := errors.Join(err, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	return der
}

// With a file of other authorities' lists every client would be refused, and with none for one of them, its own.
func TestAListIsOfAnAuthorityThatIsTrusted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, data ...[]byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, slices.Concat(data...), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ours, partners, others := newIssuer(t, "ours"), newIssuer(t, "partners"), newIssuer(t, "others")
	pemOf := func(i issuer) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw}) }
	ca := write("ca", pemOf(ours), pemOf(partners))
	soon, past := time.Now().Add(30*24*time.Hour), time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	const none = `it holds no list of "CN=partners", which is in ca: clients of it are refused`
	for _, c := range []struct {
		name  string
		lists [][]byte
		wrong string
		warn  []string
	}{
		{"of both", [][]byte{ours.list(t, soon), partners.list(t, soon)}, "", nil},
		{"of both, and of others", [][]byte{others.list(t, past), ours.list(t, soon), partners.list(t, soon)}, "", nil},
		{"of one of two", [][]byte{ours.list(t, soon)}, "", []string{none}},
		{"others alone", [][]byte{others.list(t, soon)}, "no list of any authority in ca", nil},
		{"an expired one", [][]byte{ours.list(t, past)}, "", []string{`the list of "CN=ours" expired on 2020-01-02: its clients are refused`, none}},
		{"an expired one beside a good one", [][]byte{ours.list(t, past), ours.list(t, soon), partners.list(t, soon)}, "", nil},
		{"an expired one of one of two", [][]byte{ours.list(t, soon), partners.list(t, past)}, "",
			[]string{`the list of "CN=partners" expired on 2020-01-02: its clients are refused`}},
	} {
		p, err := NewPolicy(Config{Certificates: oneSource{}, ClientAuth: &ClientAuth{CA: ca, CRL: write("crl", c.lists...)}})
		if c.wrong != "" {
			fe, ok := errors.AsType[*FileError](err)
			if !ok || !strings.Contains(fe.Why, c.wrong) || fe.Hint != `it is of "CN=others"` {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var warned []string
		for _, w := range p.Warnings() {
			warned = append(warned, w.Why)
		}
		if d := cmp.Diff(c.warn, warned); d != "" {
			t.Errorf("%s: warnings (-want +got):\n%s", c.name, d)
		}
	}
}

// An authority above another one that is trusted has seldom clients of its own, and a client certificate that is trusted itself has
// none.
func TestAuthoritiesThatNeedNoListAreNotMissed(t *testing.T) {
	t.Parallel()
	root := newIssuer(t, "root")
	below := root.issuer(t, "below")
	f := newClientFiles(t)
	f.trust(t, root, below, issuer{cert: below.leaf(t, 7)})
	f.revoke(t, below.list(t, time.Now().Add(40*24*time.Hour)))
	if w := f.policy(t).Warnings(); len(w) > 0 {
		t.Errorf("the warning is %+v", w[0])
	}
}

// issuer is an authority that signs lists of revoked certificates.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newIssuer(t *testing.T, name string) issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte(name),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{cert, key}
}

// issuer is an authority below i.
func (i issuer) issuer(t *testing.T, name string) issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{i.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte(name),
	}, key), key}
}

// leaf is a certificate of a client.
func (i issuer) leaf(t *testing.T, serial int64) *x509.Certificate {
	t.Helper()
	return i.sign(t, &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "client"}}, i.key)
}

// client is a certificate of a client, with its key.
func (i issuer) client(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := i.sign(t, &x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "client"}}, key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func (i issuer) sign(t *testing.T, tmpl *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	tmpl.NotBefore, tmpl.NotAfter = i.cert.NotBefore, i.cert.NotAfter
	der, err := x509.CreateCertificate(rand.Reader, tmpl, i.cert, key.Public(), i.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// list is good for two days until end; the zero end is none.
func (i issuer) list(t *testing.T, end time.Time, revoked ...int64) []byte {
	t.Helper()
	if end.IsZero() {
		return i.listFrom(t, time.Now().Add(-time.Hour), end, revoked...)
	}
	return i.listFrom(t, end.Add(-48*time.Hour), end, revoked...)
}

func (i issuer) listFrom(t *testing.T, begin, end time.Time, revoked ...int64) []byte {
	t.Helper()
	tmpl := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: begin, NextUpdate: end}
	for _, serial := range revoked {
		tmpl.RevokedCertificateEntries = append(tmpl.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: begin})
	}
	if end.IsZero() {
		tmpl.NextUpdate = begin
	}
	der, err := x509.CreateRevocationList(rand.Reader, tmpl, i.cert, i.key)
	if err != nil {
		t.Fatal(err)
	}
	if end.IsZero() {
		der = i.endless(t, der)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}
