package terminate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"
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
		if _, err := parseRevocations(der, []*x509.Certificate{ca}); (err == nil) != tt.taken {
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
		all, err := parseRevocations(der, []*x509.Certificate{ca, leaf})
		if err != nil {
			t.Fatal(err)
		}
		if why := all.check([]*x509.Certificate{leaf}, time.Now()); (why != nil) != revoked {
			t.Errorf("with %d on the list: %v", serial, why)
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
