package terminate

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
)

// A second lock behind that of ticket keys: even where a ticket can be opened, crypto/tls looks whether the chain of its session
// leads to an authority that is trusted now (anyValidVerifiedChain). That is so since CVE-2025-68121; should it end, this tells.
func TestCryptoTLSResumesNoSessionOfAnAuthorityThatIsGone(t *testing.T) {
	t.Parallel()
	old, next := newIssuer(t, "old"), newIssuer(t, "next")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, tt := range []struct {
			name    string
			trusted []issuer
			mode    tls.ClientAuthType
			served  bool // with the session, and no certificate
			resumed bool
		}{
			{"the same", []issuer{old}, tls.RequireAndVerifyClientCert, true, true},
			{"one more", []issuer{next, old}, tls.RequireAndVerifyClientCert, true, true},
			{"another", []issuer{next}, tls.RequireAndVerifyClientCert, false, false},
			{"another, where no certificate is required", []issuer{next}, tls.VerifyClientCertIfGiven, true, false},
		} {
			session := tls.NewLRUClientSessionCache(1)
			client := &tls.Config{InsecureSkipVerify: true, ServerName: "x", MaxVersion: version, ClientSessionCache: session}
			first, second := client.Clone(), client.Clone()
			first.Certificates = []tls.Certificate{old.client(t)}
			if cs, err := meet(t, serverFor(t, tls.RequireAndVerifyClientCert, old), first); err != nil || cs.DidResume {
				t.Fatalf("%s: %v", tt.name, err)
			}
			cs, err := meet(t, serverFor(t, tt.mode, tt.trusted...), second)
			if (err == nil) != tt.served || err == nil && cs.DidResume != tt.resumed {
				t.Errorf("%s, %s: resumed is %v, %v", tls.VersionName(version), tt.name, cs.DidResume, err)
			}
			if !tt.resumed && len(cs.PeerCertificates) > 0 {
				t.Errorf("%s, %s: the server knows the client as %v", tls.VersionName(version), tt.name, cs.PeerCertificates[0].Subject)
			}
		}
	}
}

// serverFor is a server that has always the same ticket key.
func serverFor(t *testing.T, mode tls.ClientAuthType, trusted ...issuer) *tls.Config {
	t.Helper()
	cfg := &tls.Config{Certificates: []tls.Certificate{testCertificate(t)}, ClientAuth: mode, ClientCAs: x509.NewCertPool()}
	cfg.SetSessionTicketKeys([][32]byte{{1}})
	for _, i := range trusted {
		cfg.ClientCAs.AddCert(i.cert)
	}
	return cfg
}

// meet makes a handshake, and has a byte sent that brings the ticket of TLS 1.3 along. It returns what the server knows.
func meet(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	here, there := pipe(t)
	defer here.Close()
	s := tls.Server(there, server)
	done := make(chan error, 1)
	go func() {
		defer there.Close()
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		done <- err
	}()
	c := tls.Client(here, client)
	if err := c.Handshake(); err == nil {
		_, _ = c.Read(make([]byte, 1)) // what went wrong, the server knows
	}
	here.Close()
	err := <-done
	return s.ConnectionState(), err
}
