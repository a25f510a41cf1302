package balancer

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/route"
)

// line is what a test reads of a connection's log line.
type line struct {
	Msg, SNI, Cause, Error, TLS, Cipher, Group, ALPN, Policy, Backend string
	ClientCN                                                          string `json:"client_cn"`
	Resumed                                                           bool
	BytesIn                                                           int `json:"bytes_in"`
	BytesOut                                                          int `json:"bytes_out"`
}

// lines waits for n lines of connections and returns them.
func (r *running) lines(t testing.TB, n int) (all []line) {
	t.Helper()
	eventually(t, func() bool {
		all = nil
		for text := range strings.Lines(r.log.String()) {
			var l line
			if err := json.Unmarshal([]byte(text), &l); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			if l.Msg == "connection" {
				all = append(all, l)
			}
		}
		return len(all) >= n
	}, func() string { return "lines of the log" })
	return all
}

// talk makes a handshake as cfg says, and has one byte echoed. With TLS 1.3 a refusal of the client's certificate comes
// with what is read first.
func talk(addr string, cfg *tls.Config) (*tls.ConnectionState, error) {
	cfg = cfg.Clone()
	if cfg.RootCAs == nil {
		cfg.InsecureSkipVerify = true
	}
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", addr, cfg)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write([]byte("x")); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		return nil, err
	}
	cs := c.ConnectionState()
	return &cs, nil
}

// Each way in which a handshake fails has its cause and its plain words.
func TestHandshakesFailWithACauseInPlainWords(t *testing.T) {
	t.Parallel()
	const host = "www.example.com"
	clients, strangers := newAuthority(t, "clients"), newAuthority(t, "strangers")
	names := certsFor(t, host)
	good := clients.issue(t, "good")
	revoked := clients.issue(t, "revoked")
	expired := clients.issue(t, "expired", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		c.NotBefore = c.NotAfter.Add(-time.Hour)
	})
	early := clients.issue(t, "early", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Date(2126, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2127, 1, 1, 0, 0, 0, 0, time.UTC)
	})
	server := clients.issue(t, "server", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	crl := pemFile(t, "list.pem", clients.list(t, time.Now().Add(time.Hour), revoked))
	oldList := pemFile(t, "old.pem", clients.list(t, time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)))
	auth := &terminate.ClientAuth{CA: clients.file(t), Require: true, CRL: crl}
	past := clients.at(t, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	coming := clients.at(t, time.Date(2126, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2127, 1, 1, 0, 0, 0, 0, time.UTC))
	with := func(c *tls.Certificate) *tls.Config {
		return &tls.Config{ServerName: host, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if c == nil {
				return &tls.Certificate{}, nil
			}
			return c, nil
		}}
	}
	for _, tt := range []struct {
		name   string
		policy terminate.Config
		client *tls.Config
		cause  Cause
		text   string // "": served
	}{
		{"a client of TLS 1.0", terminate.Config{}, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10},
			CauseNoCommonVersion, "no common version: client offered TLS 1.0"},
		{"a client of TLS 1.0 and 1.1", terminate.Config{}, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
			CauseNoCommonVersion, "no common version: client offered TLS 1.1, TLS 1.0"},
		{"a client of TLS 1.2 where 1.3 is asked for", terminate.Config{MinVersion: tls.VersionTLS13}, &tls.Config{MaxVersion: tls.VersionTLS12},
			CauseNoCommonVersion, "no common version: client offered TLS 1.2"},
		{"no common cipher", terminate.Config{}, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}},
			CauseNoCommonCipher, "no common cipher: client offered TLS_RSA_WITH_AES_128_CBC_SHA"},
		{"no common cipher, but for another kind of key", terminate.Config{}, &tls.Config{MaxVersion: tls.VersionTLS12,
			CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}},
			CauseNoCommonCipher, "no common cipher for the certificate's key, ECDSA: client offered TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
		{"no common group", terminate.Config{Curves: []tls.CurveID{tls.X25519}}, &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP384}},
			CauseNoCommonCipher, "no common group: client offered secp384r1"},
		{"no common protocol", terminate.Config{ALPN: []string{"h2"}}, &tls.Config{NextProtos: []string{"spdy/1"}},
			CauseNoCommonProtocol, "no common protocol: client offered spdy/1"},
		{"HTTP/1.1 where the backends speak HTTP/2 alone", terminate.Config{ALPN: []string{"h2"}}, &tls.Config{NextProtos: []string{"http/1.1"}},
			CauseNoCommonProtocol, "no common protocol: client offered http/1.1"},
		{"the same, TLS 1.2", terminate.Config{ALPN: []string{"h2"}, MaxVersion: tls.VersionTLS12}, &tls.Config{NextProtos: []string{"http/1.1"}},
			CauseNoCommonProtocol, "no common protocol: client offered http/1.1"},
		{"a client that trusts another authority", terminate.Config{}, &tls.Config{RootCAs: strangers.pool()},
			CauseClientAlert, "client sent alert: bad certificate"},
		{"no client certificate", terminate.Config{ClientAuth: auth}, with(nil), CauseClientCertMissing, "client sent no certificate"},
		{"no client certificate, TLS 1.2", terminate.Config{ClientAuth: auth, MaxVersion: tls.VersionTLS12}, with(nil),
			CauseClientCertMissing, "client sent no certificate"},
		{"an expired client certificate", terminate.Config{ClientAuth: auth}, with(expired),
			CauseClientCertExpired, "client certificate expired on 2026-01-02T03:04:05Z"},
		{"a client certificate of tomorrow", terminate.Config{ClientAuth: auth}, with(early),
			CauseClientCertExpired, "client certificate not valid before 2126-01-02T03:04:05Z"},
		{"a certificate of an authority that has expired", terminate.Config{ClientAuth: &terminate.ClientAuth{CA: past.file(t)}}, with(past.issue(t, "good")),
			CauseClientCertRefused, `authority "clients" of the client certificate expired on 2026-01-02T03:04:05Z`},
		{"a certificate of an authority of tomorrow", terminate.Config{ClientAuth: &terminate.ClientAuth{CA: coming.file(t)}}, with(coming.issue(t, "good")),
			CauseClientCertRefused, `authority "clients" of the client certificate not valid before 2126-01-02T03:04:05Z`},
		{"a revoked client certificate", terminate.Config{ClientAuth: auth}, with(revoked), CauseClientCertRevoked, "client certificate revoked"},
		{"a client certificate of strangers", terminate.Config{ClientAuth: auth}, with(strangers.issue(t, "s")),
			CauseClientCertRefused, "client certificate signed by an unknown authority"},
		{"a certificate that is for servers", terminate.Config{ClientAuth: auth}, with(server),
			CauseClientCertRefused, "client certificate refused: x509: certificate specifies an incompatible key usage"},
		{"an expired list of revoked certificates", terminate.Config{ClientAuth: &terminate.ClientAuth{CA: auth.CA, CRL: oldList}}, with(good),
			CauseClientCertRefused, "the list of revoked certificates expired on 2026-01-02"},
		{"a wrong certificate where none is required", terminate.Config{ClientAuth: &terminate.ClientAuth{CA: auth.CA}}, with(strangers.issue(t, "s")),
			CauseClientCertRefused, "client certificate signed by an unknown authority"},

		{"a good client certificate", terminate.Config{ClientAuth: auth}, with(good), CauseOK, ""},
		{"none where none is required", terminate.Config{ClientAuth: &terminate.ClientAuth{CA: auth.CA}}, with(nil), CauseOK, ""},
		{"TLS 1.2 where it is allowed", terminate.Config{}, &tls.Config{MaxVersion: tls.VersionTLS12}, CauseOK, ""},
		{"no protocol at all where there is h2", terminate.Config{ALPN: []string{"h2"}}, &tls.Config{}, CauseOK, ""},
		{"h2 among others", terminate.Config{ALPN: []string{"h2", "http/1.1"}}, &tls.Config{NextProtos: []string{"http/1.1", "h2"}}, CauseOK, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.policy.Certificates = names
			r := serve(t, terminatedHost(host, policyOf(t, tt.policy), testPool("pool", echo(t))))
			tt.client.ServerName = host
			_, err := talk(r.addr, tt.client)
			if (err == nil) != (tt.text == "") {
				t.Errorf("the client sees %v", err)
			}
			r.closed(t, tt.cause, 1)
			l := r.lines(t, 1)[0]
			if text, who, ok := strings.Cut(l.Error, ": subject "); ok {
				l.Error = text
				if !regexp.MustCompile(`^"[a-z]+", issuer "(clients|strangers)", serial ([1-9a-f][0-9a-f]|0[1-9a-f])([0-9a-f]{2})*$`).MatchString(who) {
					t.Errorf("the line tells of the client's certificate %q", who)
				}
			} else if tt.cause == CauseClientCertRefused || tt.cause == CauseClientCertRevoked || tt.cause == CauseClientCertExpired {
				t.Errorf("the line does not tell whose certificate it was: %q", l.Error)
			}
			if l.Error != tt.text || l.Cause != tt.cause.String() || l.SNI != host || l.Policy == "" {
				t.Errorf("the line says %+v, want the error %q", l, tt.text)
			}
			r.quiet(t)
		})
	}
}

// What a client does instead of a handshake.
func TestHandshakesThatAreNone(t *testing.T) {
	t.Parallel()
	const host = "www.example.com"
	cfg := terminate.Config{Certificates: certsFor(t, "other.example.com", host), HandshakeTimeout: time.Minute}
	for _, tt := range []struct {
		name  string
		send  func(t *testing.T, c *net.TCPConn)
		cause Cause
		text  string
	}{
		{"silence after the hello", func(t *testing.T, c *net.TCPConn) { c.Write(helloBytes(t, host)) }, CauseHandshakeTimeout, ""},
		{"an end after the hello", func(t *testing.T, c *net.TCPConn) { c.Write(helloBytes(t, host)); c.CloseWrite() }, CauseClientGone, ""},
		{"garbage after the hello", func(t *testing.T, c *net.TCPConn) {
			c.Write(append(helloBytes(t, host), "\x16\x03\x03\x00\x05garbage, and more of it"...))
		}, CauseHandshakeFail, ""},
		{"a second hello with another name", func(t *testing.T, c *net.TCPConn) {
			c.Write(append(helloBytes(t, host), helloBytes(t, "other.example.com")...))
		}, CauseHandshakeFail, ""},
		{"early data without a session", func(t *testing.T, c *net.TCPConn) {
			c.Write(craft(append([]extension{serverName(host)}, earlyData()...)...))
		}, CauseEarlyData, ""},
		{"a name with a dot at its end", func(t *testing.T, c *net.TCPConn) {
			c.Write(craft(serverName("www.example.com.")))
		}, CauseHandshakeFail, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := cfg
			if tt.cause == CauseHandshakeTimeout {
				cfg.HandshakeTimeout = 300 * time.Millisecond
			}
			r := serve(t, terminatedHost(host, policyOf(t, cfg), testPool("pool", echo(t))))
			c := dial(t, r.addr)
			tt.send(t, c)
			readAll(c)
			c.Close()
			r.closed(t, tt.cause, 1)
			r.quiet(t)
		})
	}
}

// A route that has no certificate for a name refuses it: no other is shown in its place.
func TestANameWithoutACertificateIsRefused(t *testing.T) {
	t.Parallel()
	cfg := terminatedHost("*.example.com", policyOf(t, terminate.Config{Certificates: certsFor(t, "www.example.com")}), testPool("pool", echo(t)))
	r := serve(t, cfg)
	_, err := talk(r.addr, &tls.Config{ServerName: "api.example.com"})
	if op, ok := errors.AsType[*net.OpError](err); !ok || !strings.Contains(op.Error(), "unrecognized name") {
		t.Errorf("the client sees %v", err)
	}
	r.closed(t, CauseNoCertificate, 1)
	if _, err := talk(r.addr, &tls.Config{ServerName: "WWW.example.com"}); err != nil {
		t.Error(err)
	}
	r.closed(t, CauseOK, 1)
}

// The line of a connection says what was agreed upon.
func TestTheLogSaysWhatWasAgreed(t *testing.T) {
	t.Parallel()
	clients := newAuthority(t, "clients")
	p := policyOf(t, terminate.Config{
		Certificates: certsFor(t, "www.example.com"), ALPN: []string{"h2"}, ClientAuth: &terminate.ClientAuth{CA: clients.file(t), Require: true},
	})
	r := serve(t, terminatedHost("www.example.com", p, testPool("pool", echo(t))))
	cfg := &tls.Config{
		ServerName: "www.example.com", NextProtos: []string{"h2"}, Certificates: []tls.Certificate{*clients.issue(t, "robot \"7\"\n")},
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}
	for i := range 2 {
		if _, err := talk(r.addr, cfg); err != nil {
			t.Fatal(err)
		}
		r.lines(t, i+1) // another loop may serve the second one, and tell of it first
	}
	lines := r.lines(t, 2)
	for i, l := range lines {
		if l.TLS != "1.3" || l.Group != "X25519MLKEM768" || !strings.HasPrefix(l.Cipher, "TLS_") || l.ALPN != "h2" || l.Policy != p.ID() ||
			l.ClientCN != `robot "7"\n` || l.Resumed != (i == 1) || l.BytesIn != 1 || l.BytesOut != 1 || l.Backend == "" {
			t.Errorf("line %d: %+v", i, l)
		}
	}
	done := r.Stats().Terminate.Done
	if len(done) != 2 || done[0].Group != "X25519MLKEM768" || done[0].Resumed == done[1].Resumed {
		t.Errorf("counted: %+v", done)
	}
	if !bytes.Contains([]byte(p.Summary()), []byte("client certificate required")) {
		t.Errorf("the policy calls itself %q", p.Summary())
	}
}

// In TLS 1.3 a client that refuses the certificate may say so in the clear, behind what is there for middleboxes or alone, at
// once or in pieces (OpenSSL does).
func TestAnAlertInTheClearIsTheClients(t *testing.T) {
	t.Parallel()
	r := serve(t, terminatedHost(carried, policyOf(t, terminate.Config{Certificates: certsFor(t, carried)}), testPool("pool", echo(t))))
	hello := recordedHello(t, &tls.Config{ServerName: carried})
	for i, sends := range [][]string{
		{"\x15\x03\x03\x00\x02\x02\x30"},
		{"\x14\x03\x03\x00\x01\x01\x15\x03\x03\x00\x02\x02\x30"},
		{"\x14\x03\x03\x00\x01\x01", "\x15\x03\x03\x00\x02\x02\x30"},
	} {
		c := dial(t, r.addr)
		mustWrite(t, c, hello)
		if _, err := io.ReadFull(c, make([]byte, 100)); err != nil { // the server's flight
			t.Fatal(err)
		}
		for _, b := range sends {
			mustWrite(t, c, []byte(b))
			time.Sleep(20 * time.Millisecond)
		}
		io.Copy(io.Discard, c)
		r.closed(t, CauseClientAlert, uint64(i+1))
	}
	for _, l := range r.lines(t, 3) {
		if l.Error != "client sent alert: unknown certificate authority" {
			t.Errorf("the line says %q", l.Error)
		}
	}
	r.quiet(t)
}

// recordedHello is what a client of crypto/tls sends first.
func recordedHello(t testing.TB, cfg *tls.Config) []byte {
	t.Helper()
	cfg = cfg.Clone()
	cfg.InsecureSkipVerify = true
	a, b := net.Pipe()
	defer a.Close()
	go tls.Client(b, cfg).Handshake()
	buf := make([]byte, 16<<10)
	n, err := a.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// What comes after a handshake, or never can come to one, is told in words of our own.
func TestWhatTerminationCannotDoIsSaidPlainly(t *testing.T) {
	t.Parallel()
	clients := newAuthority(t, "clients")
	inside := newAuthority(t, "inside")
	demanding := listenTCP(t, func(c *net.TCPConn) { // wants a certificate of us, and has none to see
		s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*inside.issue(t, "backend.example.com")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients.pool()})
		s.Handshake()
	})
	p := testPool("pool", demanding)
	p.TLS = &terminate.BackendTLS{Insecure: true}
	r := serve(t, terminatedHost(carried, policyOf(t, terminate.Config{Certificates: certsFor(t, carried)}), p))
	if _, err := talk(r.addr, &tls.Config{ServerName: carried}); err == nil {
		t.Error("served by a backend that refuses us")
	}
	r.closed(t, CauseBackendTLS, 1)
	if l := r.lines(t, 1)[0]; l.Error != "backend sent alert: certificate required" {
		t.Errorf("the line of a backend that refuses us says %q", l.Error)
	}

	dot := serve(t, terminatedHost(carried, policyOf(t, terminate.Config{Certificates: certsFor(t, carried)}), testPool("pool", echo(t))))
	c := dial(t, dot.addr)
	mustWrite(t, c, craft(serverName(carried+".")))
	io.Copy(io.Discard, c)
	dot.closed(t, CauseHandshakeFail, 1)
	if l := dot.lines(t, 1)[0]; l.Error != "the server name ends with a dot (RFC 6066, section 3)" {
		t.Errorf("the line of a name with a dot says %q", l.Error)
	}

	verified := testPool("pool", demanding)
	verified.TLS = &terminate.BackendTLS{}
	cfg := terminatedHost(carried, policyOf(t, terminate.Config{Certificates: namedSource{certsFor(t, carried)[carried]}}), verified)
	cfg.Routes[0].Hosts = []string{carried, route.NoName}
	nameless := serve(t, cfg)
	if _, err := talk(nameless.addr, &tls.Config{}); err == nil {
		t.Error("a backend was trusted for no name")
	}
	nameless.closed(t, CauseBackendTLS, 1)
	if l := nameless.lines(t, 1)[0]; l.Error != "backend: the client sends no server name, and the pool has no tls.sni to verify" {
		t.Errorf("the line of a client without a name says %q", l.Error)
	}
}
