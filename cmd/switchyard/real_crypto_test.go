//go:build linux

package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// session is what one end knows of a TLS session. Backends send theirs to the client as their only answer.
type session struct {
	Version string
	Group   string // of the key exchange
	ALPN    string
	SNI     string
	Resumed bool
	Retried bool   // there was a HelloRetryRequest
	Client  string // name in the client's certificate, "" without one
	Keys    []byte // exported; nobody between the two ends can know them
}

func sessionOf(conn *tls.Conn, clientName string) (session, error) {
	state := conn.ConnectionState()
	keys, err := state.ExportKeyingMaterial("EXPERIMENTAL switchyard test", nil, 32)
	return session{
		Version: tls.VersionName(state.Version), Group: state.CurveID.String(), ALPN: state.NegotiatedProtocol,
		SNI: state.ServerName, Resumed: state.DidResume, Retried: state.HelloRetryRequest, Client: clientName, Keys: keys,
	}, err
}

// tellSession is a backend that answers with its side of the session and closes.
func tellSession(conn *tls.Conn) {
	name := ""
	if peers := conn.ConnectionState().PeerCertificates; len(peers) > 0 {
		name = peers[0].Subject.CommonName
	}
	s, err := sessionOf(conn, name)
	if err == nil {
		_ = json.NewEncoder(conn).Encode(s) // the client misses what is not sent
	}
}

// visit connects, and wants both ends to know the same of the session.
func visit(addr netip.AddrPort, cfg *tls.Config) (session, error) {
	conn, err := tls.Dial("tcp", addr.String(), cfg)
	if err != nil {
		return session{}, err
	}
	defer conn.Close()
	answer, err := io.ReadAll(conn) // to the end: session tickets come with it
	if err != nil {
		return session{}, err
	}
	var theirs session
	if err := json.Unmarshal(answer, &theirs); err != nil {
		return session{}, fmt.Errorf("answer %q: %w", answer, err)
	}
	ours, err := sessionOf(conn, theirs.Client)
	if err != nil {
		return session{}, err
	}
	if diff := cmp.Diff(ours, theirs); diff != "" {
		return session{}, fmt.Errorf("the ends of the session disagree (-client +backend):\n%s", diff)
	}
	return ours, nil
}

func TestRealGoSessionsEndAtTheBackend(t *testing.T) {
	t.Parallel()
	ca, _ := newAuthority(t)
	person := selfSigned(t, "alice")
	people := x509.NewCertPool()
	people.AddCert(person.Leaf)

	server := func(host string, c *tls.Config) netip.AddrPort {
		c.Certificates = []tls.Certificate{issue(t, ca, host)}
		return serveTLS(t, c, tellSession)
	}
	y := runLive(t, oneListener+fmt.Sprintf(`
routes:
  - {name: any, hosts: [any.example.com], pool: any}
  - {name: p384, hosts: [p384.example.com], pool: p384}
  - {name: mutual, hosts: [mutual.example.com], pool: mutual}
pools:
  - {name: any, backends: ["%s"]}
  - {name: p384, backends: ["%s"]}
  - {name: mutual, backends: ["%s"]}
`, server("any.example.com", &tls.Config{NextProtos: []string{"h2", "http/1.1"}}),
		server("p384.example.com", &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP384}}),
		server("mutual.example.com", &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: people})))

	for _, c := range []struct {
		name   string
		client *tls.Config
		want   session
	}{
		{"TLS 1.3 with the post-quantum group that Go prefers", &tls.Config{ServerName: "any.example.com"},
			session{Version: "TLS 1.3", Group: "X25519MLKEM768", SNI: "any.example.com"}},
		{"TLS 1.2", &tls.Config{ServerName: "any.example.com", MaxVersion: tls.VersionTLS12},
			session{Version: "TLS 1.2", Group: "X25519", SNI: "any.example.com"}},
		{"one classical group", &tls.Config{ServerName: "any.example.com", CurvePreferences: []tls.CurveID{tls.CurveP256}},
			session{Version: "TLS 1.3", Group: "CurveP256", SNI: "any.example.com"}},
		{"ALPN is agreed between the ends", &tls.Config{ServerName: "any.example.com", NextProtos: []string{"h2"}},
			session{Version: "TLS 1.3", Group: "X25519MLKEM768", SNI: "any.example.com", ALPN: "h2"}},
		{"a second hello after HelloRetryRequest", &tls.Config{ServerName: "p384.example.com"},
			session{Version: "TLS 1.3", Group: "CurveP384", SNI: "p384.example.com", Retried: true}},
		{"a client certificate", &tls.Config{ServerName: "mutual.example.com", Certificates: []tls.Certificate{person}},
			session{Version: "TLS 1.3", Group: "X25519MLKEM768", SNI: "mutual.example.com", Client: "alice"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.client.RootCAs = ca.Pool()
			got, err := visit(y.addr, c.client)
			if err != nil {
				t.Fatal(err)
			}
			got.Keys = nil // compared by visit
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("session (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("without the client certificate the backend refuses", func(t *testing.T) {
		if s, err := visit(y.addr, &tls.Config{ServerName: "mutual.example.com", RootCAs: ca.Pool()}); err == nil {
			t.Errorf("got a session: %+v", s)
		}
	})
	y.stop(t)
}

func TestRealGoSessionsResume(t *testing.T) {
	t.Parallel()
	ca, _ := newAuthority(t)
	backend := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{issue(t, ca, "www.example.com")}}, tellSession)
	y := runLive(t, oneListener+fmt.Sprintf(`
routes:
  - {name: www, hosts: [www.example.com], pool: web}
pools:
  - {name: web, backends: ["%s"]}
`, backend))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			cfg := &tls.Config{
				ServerName: "www.example.com", RootCAs: ca.Pool(), MinVersion: version, MaxVersion: version,
				ClientSessionCache: tls.NewLRUClientSessionCache(1),
			}
			for i, want := range []bool{false, true, true} {
				s, err := visit(y.addr, cfg)
				if err != nil {
					t.Fatal(err)
				}
				if s.Resumed != want {
					t.Errorf("connection %d: resumed %t, want %t", i+1, s.Resumed, want)
				}
			}
		})
	}
	y.stop(t)
}
