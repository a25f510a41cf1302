//go:build linux

package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// acmeIdentifier is the extension that answers a TLS-ALPN-01 challenge (RFC 8737 §3).
var acmeIdentifier = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}

// A certificate authority validates api.example.com while browsers use it: its hellos have the same name, and only the
// protocol acme-tls/1 sends them to whoever holds the challenge.
func TestRealACMEChallengeGoesToItsOwnPool(t *testing.T) {
	t.Parallel()
	ca, caPath := newAuthority(t)
	digest := sha256.Sum256([]byte("token.thumbprint"))
	value, err := asn1.Marshal(digest[:])
	if err != nil {
		t.Fatal(err)
	}
	challenge := selfSigned(t, "api.example.com", pkix.Extension{Id: acmeIdentifier, Critical: true, Value: value})
	acme := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{challenge}, NextProtos: []string{"acme-tls/1"}}, func(*tls.Conn) {})
	api := serveTLS(t, &tls.Config{
		Certificates: []tls.Certificate{issue(t, ca, "api.example.com")}, NextProtos: []string{"h2", "http/1.1"},
	}, tellSession)
	y := runLive(t, oneListener+fmt.Sprintf(`
routes:
  - {name: api, hosts: [api.example.com], pool: api}
  - {name: api-acme, hosts: [api.example.com], alpn: [acme-tls/1], pool: acme}
pools:
  - {name: api, backends: ["%s"]}
  - {name: acme, backends: ["%s"]}
`, api, acme))

	t.Run("the authority gets the challenge", func(t *testing.T) {
		got, err := challengeDigest(y, "api.example.com")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(digest[:], got); diff != "" {
			t.Errorf("digest in the certificate (-want +got):\n%s", diff)
		}
	})
	for _, protos := range [][]string{{"h2"}, {"http/1.1"}, nil} {
		t.Run(fmt.Sprintf("a client of %v gets the site", protos), func(t *testing.T) {
			if _, err := visit(y.addr, &tls.Config{ServerName: "api.example.com", RootCAs: ca.Pool(), NextProtos: protos}); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("openssl as the authority gets the challenge", func(t *testing.T) {
		// It refuses the certificate, which is the challenge's, and has agreed on the protocol by then.
		out, err := opensslGet(t, y, "api.example.com", caPath, "-alpn", "acme-tls/1")
		if err == nil {
			t.Error("the certificate has passed for the site's")
		}
		wantAll(t, out, "verify error", "ALPN protocol: acme-tls/1")
	})
	y.stop(t)
}

// challengeDigest validates as RFC 8737 §3 has an authority do it.
func challengeDigest(y *live, host string) (digest []byte, err error) {
	conn, err := tls.Dial("tcp", y.addr.String(), &tls.Config{
		ServerName: host, NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true, // the certificate is the answer, and nobody vouches for it
	})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	state := conn.ConnectionState()
	if state.NegotiatedProtocol != "acme-tls/1" {
		return nil, fmt.Errorf("agreed on protocol %q", state.NegotiatedProtocol)
	}
	cert := state.PeerCertificates[0]
	if err := cert.VerifyHostname(host); err != nil {
		return nil, err
	}
	return identifierOf(cert)
}

func identifierOf(cert *x509.Certificate) (digest []byte, err error) {
	for _, ext := range cert.Extensions {
		if ext.Id.Equal(acmeIdentifier) {
			_, err := asn1.Unmarshal(ext.Value, &digest)
			return digest, err
		}
	}
	return nil, errors.New("the certificate has no acmeIdentifier")
}
