package balancer

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
	"github.com/pires/go-proxyproto/tlvparse"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/route"
)

// servingTLS serves every connection with f, whose handshake cfg makes.
func servingTLS(t testing.TB, cfg *tls.Config, f func(*tls.Conn)) string {
	t.Helper()
	return listenTCP(t, func(c *net.TCPConn) {
		tc := tls.Server(c, cfg)
		if tc.Handshake() == nil {
			f(tc)
		}
	})
}

// echoTLS sends everything back, and ends in order.
func echoTLS(c *tls.Conn) {
	io.Copy(c, c)
	c.CloseWrite()
}

// reencrypted is a server of one terminated host whose pool speaks TLS as with says.
func reencrypted(t testing.TB, alpn []string, with *terminate.BackendTLS, backends ...string) *running {
	t.Helper()
	p := testPool("pool", backends...)
	p.Balance, p.TLS = pool.First, with
	return serve(t, terminatedHost(carried, policyOf(t, terminate.Config{Certificates: certsFor(t, carried), ALPN: alpn}), p))
}

func TestTLSTowardsBackends(t *testing.T) {
	t.Parallel()
	inside, strangers := newAuthority(t, "inside"), newAuthority(t, "strangers")
	own := inside.issue(t, "switchyard")
	serves := func(name string, protos ...string) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{*inside.issue(t, name)}, NextProtos: protos}
	}
	mutual := serves(carried)
	mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, inside.pool()
	hangUp := func(t *testing.T) string { return listenTCP(t, func(*net.TCPConn) {}) }
	for _, tt := range []struct {
		name    string
		backend func(t *testing.T) string
		with    *terminate.BackendTLS
		offers  []string // by the client; the policy has h2 and http/1.1
		cause   Cause
		text    string
	}{
		{"the name that the client asked for is verified", nil, &terminate.BackendTLS{Files: files(t, inside, nil)}, nil, CauseOK, ""},
		{"another name is sent and verified", func(t *testing.T) string { return servingTLS(t, serves("internal.example"), echoTLS) },
			&terminate.BackendTLS{Files: files(t, inside, nil), SNI: "internal.example"}, nil, CauseOK, ""},
		{"a backend of another authority", nil, &terminate.BackendTLS{Files: files(t, strangers, nil)}, nil, CauseBackendTLS, "signed by unknown authority"},
		{"a backend with another name", func(t *testing.T) string { return servingTLS(t, serves("internal.example"), echoTLS) },
			&terminate.BackendTLS{Files: files(t, inside, nil)}, nil, CauseBackendTLS, "certificate is valid for internal.example, not www.example.com"},
		{"a backend that is not verified", nil, &terminate.BackendTLS{Insecure: true}, nil, CauseOK, ""},
		{"a certificate is shown", func(t *testing.T) string { return servingTLS(t, mutual, echoTLS) },
			&terminate.BackendTLS{Files: files(t, inside, own)}, nil, CauseOK, ""},
		{"what was agreed with the client is offered", func(t *testing.T) string { return servingTLS(t, serves(carried, "h2"), echoTLS) },
			&terminate.BackendTLS{Files: files(t, inside, nil)}, []string{"h2"}, CauseOK, ""},
		{"a backend that does not speak it", func(t *testing.T) string { return servingTLS(t, serves(carried), echoTLS) },
			&terminate.BackendTLS{Files: files(t, inside, nil)}, []string{"h2"}, CauseBackendTLS, "backend: does not speak h2"},
		{"HTTP/1.1 is what is spoken without", func(t *testing.T) string { return servingTLS(t, serves(carried), echoTLS) },
			&terminate.BackendTLS{Files: files(t, inside, nil)}, []string{"http/1.1"}, CauseOK, ""},
		{"a backend that hangs up", hangUp, &terminate.BackendTLS{Insecure: true}, nil, CauseAnswerFail, ""},
		{"a backend that speaks no TLS", echo2, &terminate.BackendTLS{Insecure: true}, nil, CauseBackendTLS, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.backend == nil {
				tt.backend = func(t *testing.T) string { return servingTLS(t, serves(carried, "h2", "http/1.1"), echoTLS) }
			}
			r := reencrypted(t, []string{"h2", "http/1.1"}, tt.with, tt.backend(t))
			_, err := talk(r.addr, &tls.Config{ServerName: carried, NextProtos: tt.offers})
			if (err == nil) != (tt.cause == CauseOK) {
				t.Errorf("the client sees %v", err)
			}
			r.closed(t, tt.cause, 1)
			if l := r.lines(t, 1)[0]; !strings.Contains(l.Error, tt.text) {
				t.Errorf("the line says %q, want %q", l.Error, tt.text)
			}
			r.quiet(t)
		})
	}
}

// echo2 is echo as a function of a *testing.T.
func echo2(t *testing.T) string { return echo(t) }

// A backend whose handshake fails is one whose connect fails: the next one is tried, and the client notices nothing.
func TestABackendWhoseTLSIsWrongIsPassedOver(t *testing.T) {
	t.Parallel()
	inside, strangers := newAuthority(t, "inside"), newAuthority(t, "strangers")
	wrong := servingTLS(t, &tls.Config{Certificates: []tls.Certificate{*strangers.issue(t, carried)}}, echoTLS)
	right := servingTLS(t, &tls.Config{Certificates: []tls.Certificate{*inside.issue(t, carried)}}, echoTLS)
	r := reencrypted(t, nil, &terminate.BackendTLS{Files: files(t, inside, nil)}, wrong, right)
	if _, err := talk(r.addr, &tls.Config{ServerName: carried}); err != nil {
		t.Fatal(err)
	}
	r.closed(t, CauseOK, 1)
	if l := r.lines(t, 1)[0]; l.Backend != right {
		t.Errorf("served by %s, want %s", l.Backend, right)
	}
	if st := r.Stats(); st.Pools[0].Backends[0].Failures != 1 || st.Attempts.AnswerFailed != 1 {
		t.Errorf("counted: %+v, %+v", st.Pools[0].Backends[0], st.Attempts)
	}
}

// An end without close_notify stays one, in both directions: whoever reads decides what it means.
func TestACutIsToldAcrossTwoTLS(t *testing.T) {
	t.Parallel()
	seen := make(chan error, 1)
	cfg := &tls.Config{Certificates: []tls.Certificate{certFor(t, carried)}}
	backend := servingTLS(t, cfg, func(c *tls.Conn) {
		_, err := io.ReadAll(c)
		seen <- err
		c.Write([]byte("half a"))
		c.NetConn().(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c.NetConn())
	})
	r := reencrypted(t, nil, &terminate.BackendTLS{Insecure: true}, backend)
	c, raw := secured(t, r)
	io.WriteString(c, "x")
	raw.CloseWrite()
	b, err := io.ReadAll(raw)
	if err != nil || len(b) == 0 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if err := <-seen; !errors.Is(err, io.ErrUnexpectedEOF) && err != nil { // crypto/tls takes an end between records for one in order
		t.Errorf("the backend sees %v", err)
	}
	if last := lastRecord(t, b); last != 23 {
		t.Errorf("the last record that the client got is of type %d: with an alert, the cut would look like an end in order", last)
	}
}

// lastRecord is the type of the last TLS record in b.
func lastRecord(t testing.TB, b []byte) (kind byte) {
	t.Helper()
	for len(b) >= 5 {
		kind = b[0]
		b = b[min(len(b), 5+int(binary.BigEndian.Uint16(b[3:5]))):]
	}
	return kind
}

// The header of version 2 tells what was agreed with the client, and who it is.
func TestTheProxyHeaderTellsOfTLS(t *testing.T) {
	t.Parallel()
	clients := newAuthority(t, "clients")
	headers := make(chan *proxyproto.Header, 1)
	p := testPool("pool", listenTCP(t, func(c *net.TCPConn) {
		r := bufio.NewReaderSize(c, 64<<10)
		h, err := proxyproto.Read(r)
		if err != nil {
			t.Errorf("the header: %v", err)
		}
		if _, err := r.ReadByte(); err != nil { // what the client says
			t.Errorf("behind the header: %v", err)
		}
		headers <- h
		c.Write([]byte("x"))
	}))
	p.Header = pool.HeaderV2
	policy := policyOf(t, terminate.Config{
		Certificates: certsFor(t, carried), ALPN: []string{"h2"}, ClientAuth: &terminate.ClientAuth{CA: clients.file(t)},
	})
	r := serve(t, terminatedHost(carried, policy, p))
	robot := *clients.issue(t, "robot 7")
	robots := tls.NewLRUClientSessionCache(1)
	for _, tt := range []struct {
		name        string
		client      *tls.Config
		version     string
		cn          string
		conn, sess  bool
		alpn        string
		wantCipherP string
	}{
		{"without a certificate", &tls.Config{}, "TLSv1.3", "", false, false, "", "TLS_"},
		{"TLS 1.2 and a protocol", &tls.Config{MaxVersion: tls.VersionTLS12, NextProtos: []string{"h2"}}, "TLSv1.2", "", false, false, "h2", "TLS_ECDHE_"},
		{"with a certificate", &tls.Config{Certificates: []tls.Certificate{robot}, ClientSessionCache: robots}, "TLSv1.3", "robot 7", true, true, "", "TLS_"},
		{"with the certificate of a session", &tls.Config{Certificates: []tls.Certificate{robot}, ClientSessionCache: robots}, "TLSv1.3", "robot 7", false, true, "", "TLS_"},
	} {
		tt.client.ServerName = "WWW.example.com"
		if _, err := talk(r.addr, tt.client); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		tlvs, err := (<-headers).TLVs()
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := map[proxyproto.PP2Type]string{}
		for _, v := range tlvs {
			got[v.Type] = string(v.Value)
		}
		ssl, ok := tlvparse.FindSSL(tlvs)
		if !ok {
			t.Errorf("%s: no TLV of TLS", tt.name)
			continue
		}
		version, _ := ssl.SSLVersion()
		cn, _ := ssl.ClientCN()
		cipher, _ := ssl.SSLCipher()
		der, hasDER := ssl.ClientCert()
		if hasDER != tt.sess || hasDER && !bytes.Equal(der, robot.Certificate[0]) {
			t.Errorf("%s: a certificate of %d bytes, want %v", tt.name, len(der), tt.sess)
		}
		if group, _ := ssl.SSLGroup(); group != "X25519MLKEM768" && tt.client.MaxVersion == 0 || group == "" {
			t.Errorf("%s: the group is %q", tt.name, group)
		}
		if version != tt.version || cn != tt.cn || !strings.HasPrefix(cipher, tt.wantCipherP) || !ssl.ClientSSL() ||
			ssl.ClientCertConn() != tt.conn || ssl.ClientCertSess() != tt.sess || ssl.Verified() != tt.sess {
			t.Errorf("%s: %s, %s, CN %q, certificate %v %v, verified %v", tt.name, version, cipher, cn, ssl.ClientCertConn(), ssl.ClientCertSess(), ssl.Verified())
		}
		if got[proxyproto.PP2_TYPE_AUTHORITY] != carried || got[proxyproto.PP2_TYPE_ALPN] != tt.alpn || len(got[proxyproto.PP2_TYPE_UNIQUE_ID]) != 16 {
			t.Errorf("%s: authority %q, ALPN %q, id %x", tt.name, got[proxyproto.PP2_TYPE_AUTHORITY], got[proxyproto.PP2_TYPE_ALPN], got[proxyproto.PP2_TYPE_UNIQUE_ID])
		}
	}
}

// Resumption never leads past a policy: whatever session a client brings, it gets no further than without.
func TestASessionIsGoodForItsNameAndPolicyAlone(t *testing.T) {
	t.Parallel()
	clients, others := newAuthority(t, "clients"), newAuthority(t, "others")
	hosts := []string{"open.example.com", "mutual.example.com", "others.example.com", "again.example.com"}
	names := certsFor(t, hosts...)
	policies := map[string]terminate.Config{
		hosts[0]: {},
		hosts[1]: {ClientAuth: &terminate.ClientAuth{CA: clients.file(t), Require: true}},
		hosts[2]: {ClientAuth: &terminate.ClientAuth{CA: others.file(t), Require: true}},
		hosts[3]: {ClientAuth: &terminate.ClientAuth{CA: clients.file(t), Require: true}}, // as the second, under its own name
	}
	cfg := oneHost("unused.example.com", testPool("pool", echo(t)))
	for name, c := range policies {
		c.Certificates = names
		cfg.Routes = append(cfg.Routes, route.Route{Name: name[:4], Hosts: []string{name}, Action: toPool("pool"), Terminate: policyOf(t, c)})
	}
	r := serve(t, cfg)
	good := []tls.Certificate{*clients.issue(t, "client")}
	may := map[string]bool{hosts[0]: true, hosts[1]: true, hosts[3]: true}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, first := range hosts {
			for _, second := range hosts {
				cache := &oneSession{}
				base := tls.Config{MaxVersion: version, ClientSessionCache: cache, InsecureSkipVerify: true}
				a, b := base.Clone(), base.Clone()
				a.ServerName, a.Certificates = first, good
				b.ServerName = second // without a certificate of its own: it has the session of the first
				_, errA := talk(r.addr, a)
				if (errA == nil) != may[first] {
					t.Errorf("%s: %v", first, errA)
				}
				cs, err := talk(r.addr, b)
				same := first == second && may[first]
				if wants := second == hosts[0] || same; (err == nil) != wants {
					t.Errorf("%s with a session of %s: %v, want success %v", second, first, err, wants)
				}
				if err == nil && cs.DidResume != same {
					t.Errorf("%s with a session of %s: resumed is %v", second, first, cs.DidResume)
				}
			}
		}
	}
}

// oneSession gives the last session to whoever asks, whatever the name.
type oneSession struct{ last *tls.ClientSessionState }

func (c *oneSession) Get(string) (*tls.ClientSessionState, bool) { return c.last, c.last != nil }
func (c *oneSession) Put(_ string, s *tls.ClientSessionState)    { c.last = s }
