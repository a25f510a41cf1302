package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// clients are what clients can use.
var clients = map[string]*tls.Config{
	"any":        {},
	"tls 1.2":    {MaxVersion: tls.VersionTLS12},
	"rsa only":   {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}},
	"ecdsa only": {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}},
}

// handshake makes a real handshake for a name and returns the certificate that the client has verified, or what went wrong
// on the server's side.
func handshake(t testing.TB, source Source, name string, client *tls.Config) (*x509.Certificate, error) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(rootCert())
	cfg := client.Clone()
	cfg.ServerName, cfg.RootCAs = name, roots
	if name == "" || strings.HasPrefix(name, "!") { // whatever is shown
		cfg.ServerName, cfg.InsecureSkipVerify = strings.TrimPrefix(name, "!"), true
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() { served <- serve(l, source) }()
	c, err := tls.Dial("tcp", l.Addr().String(), cfg)
	if serverErr := <-served; err != nil && serverErr != nil {
		return nil, serverErr
	} else if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

// serve makes one handshake as the server.
func serve(l net.Listener, source Source) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	return tls.Server(c, &tls.Config{GetCertificate: source.Certificate}).Handshake()
}

func TestACertificateIsChosenByNameAndByWhatTheClientCanUse(t *testing.T) {
	t.Parallel()
	dir, certs := t.TempDir(), t.TempDir()
	def := pairIn(t, dir, "default", ecKey(), "fallback.example.net")
	def.Default = true
	write(t, certs, "c.example.com.pem", keyPEM(t, ecKey()), certFor(t, ecKey(), life, "c.example.com"))
	write(t, certs, "c.example.com.crt", certFor(t, rsaKey(), life, "c.example.com"))
	write(t, certs, "c.example.com.key", keyPEM(t, rsaKey()))
	write(t, certs, "_.d.example.com.pem", certFor(t, ecKey(), life, "*.d.example.com"), keyPEM(t, ecKey()))
	write(t, certs, "e.example.com.pem", certFor(t, ecKey(), life, "e.example.com", "*.e.example.com"), keyPEM(t, ecKey()))
	write(t, certs, "*.f.example.com.pem.rsa", certFor(t, rsaKey(), life, "*.f.example.com"), keyPEM(t, rsaKey()))
	write(t, certs, "*.f.example.com.pem.ecdsa", certFor(t, ecKey(), life, "*.f.example.com"), keyPEM(t, ecKey()))
	s := open(t, &Config{Dirs: []string{certs}, Pairs: []PairFile{
		pairIn(t, dir, "rsa", rsaKey(), "a.example.com", "both.example.com"),
		pairIn(t, dir, "ec", ecKey(), "both.example.com"),
		pairIn(t, dir, "wild", rsaKey(), "*.example.com"),
		pairIn(t, dir, "ed", edKey(), "ed.example.com"),
		pairIn(t, dir, "ec-only", ecKey(), "modern.example.com"),
		def,
	}})
	for _, c := range []struct{ name, sni, client, want string }{
		{"an exact name wins over its wildcard", "a.example.com", "any", "rsa.crt"},
		{"case does not matter", "A.Example.COM", "any", "rsa.crt"},
		{"ecdsa is preferred, whatever the order", "both.example.com", "any", "ec.crt"},
		{"ecdsa is preferred with TLS 1.2 too", "both.example.com", "tls 1.2", "ec.crt"},
		{"rsa is for those who can use nothing else", "both.example.com", "rsa only", "rsa.crt"},
		{"a wildcard is for one label", "b.example.com", "any", "wild.crt"},
		{"a wildcard stands in for an exact name that the client cannot use", "modern.example.com", "rsa only", "wild.crt"},
		{"a key may be Ed25519", "ed.example.com", "any", "ed.crt"},
		{"a wildcard is not for two labels", "!b.b.example.com", "any", "default.crt"},
		{"the default is for an unknown name", "!www.example.org", "any", "default.crt"},
		{"the default is for a handshake without a name", "", "any", "default.crt"},
		{"the default has names of its own", "fallback.example.net", "any", "default.crt"},
		{"an exact file wins over a wildcard pair", "c.example.com", "any", "c.example.com.pem"},
		{"the files of a directory are chosen among too", "c.example.com", "rsa only", "c.example.com.crt"},
		{"a wildcard has its file", "x.d.example.com", "any", "_.d.example.com.pem"},
		{"the file of the parent may have the wildcard", "x.e.example.com", "any", "e.example.com.pem"},
		{"a file may begin with a star", "x.f.example.com", "any", "*.f.example.com.pem.ecdsa"},
		{"files for two kinds of keys lie side by side", "x.f.example.com", "rsa only", "*.f.example.com.pem.rsa"},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaf, err := handshake(t, s, c.sni, clients[c.client])
			if err != nil {
				t.Fatal(err)
			}
			choices, err := s.Choices(strings.TrimPrefix(c.sni, "!"))
			for _, x := range choices {
				if x.Certificate.Leaf.Equal(leaf) {
					if got := filepath.Base(x.File); got != c.want || x.Default != (c.want == "default.crt" && c.sni != "fallback.example.net") {
						t.Errorf("got %s (default: %v), want %s", got, x.Default, c.want)
					}
					return
				}
			}
			t.Errorf("the certificate is not among the choices: %v, %v", choices, err)
		})
	}
}

func TestWithoutADefaultThereIsNoCertificateForOtherNames(t *testing.T) {
	t.Parallel()
	s := open(t, &Config{Pairs: []PairFile{pairIn(t, t.TempDir(), "a", ecKey(), "a.example.com", "*.w.example.com")}, Dirs: []string{t.TempDir()}})
	for _, name := range []string{"", "b.example.com", "example.com", "w.example.com", "x.y.w.example.com", "a.example.com.evil.org", "xa.example.com",
		"../a", "a/b", ".", "..", "*", strings.Repeat("a.", 200) + "example.com"} {
		if c, err := s.Choose(&tls.ClientHelloInfo{ServerName: name}); !errors.Is(err, ErrNone) || c != nil {
			t.Errorf("%q: got %v, %v; want ErrNone", name, c, err)
		}
		if err := s.Covers(name); name != "*" && !errors.Is(err, ErrNone) {
			t.Errorf("%q is covered: %v", name, err)
		}
	}
	if _, err := handshake(t, s, "b.example.com", clients["any"]); !errors.Is(err, ErrNone) {
		t.Errorf("the handshake ended with %v", err)
	}
}

func TestAClientThatCanUseNoneIsRefusedByTLSItself(t *testing.T) {
	t.Parallel()
	s := open(t, &Config{Pairs: []PairFile{pairIn(t, t.TempDir(), "a", rsaKey(), "a.example.com")}})
	_, err := handshake(t, s, "a.example.com", clients["ecdsa only"])
	if err == nil || !strings.Contains(err.Error(), "no cipher suite supported by both client and server") {
		t.Errorf("the handshake ended with %v", err)
	}
}

func TestHostsAreCoveredOrNot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pair := pairIn(t, dir, "a", ecKey(), "a.example.com", "*.w.example.com")
	def := pair
	def.Default = true
	empty := t.TempDir()
	for _, c := range []struct {
		name, host string
		cfg        Config
		want       bool
	}{
		{"a name with a certificate", "A.example.com.", Config{Pairs: []PairFile{pair}}, true},
		{"a name with a wildcard", "x.w.example.com", Config{Pairs: []PairFile{pair}}, true},
		{"a name without one", "b.example.com", Config{Pairs: []PairFile{pair}}, false},
		{"a name with the default only", "b.example.com", Config{Pairs: []PairFile{def}}, true},
		{"a name without a file", "b.example.com", Config{Dirs: []string{empty}}, false},
		{"a suffix with its wildcard", "*.w.example.com", Config{Pairs: []PairFile{pair}}, true},
		{"a suffix with a name below it", "*.example.com", Config{Pairs: []PairFile{pair}}, true},
		{"a suffix with nothing below it", "*.example.net", Config{Pairs: []PairFile{pair}}, false},
		{"a suffix that only looks alike", "*.xample.com", Config{Pairs: []PairFile{pair}}, false},
		{"a suffix with a directory", "*.example.net", Config{Dirs: []string{empty}}, true},
		{"an expression with some certificate", `~^db-[0-9]+\.example\.com$`, Config{Pairs: []PairFile{pair}}, true},
		{"any name with a directory", "*", Config{Dirs: []string{empty}}, true},
		{"any name with nothing", "*", Config{}, false},
	} {
		if err := open(t, &c.cfg).Covers(c.host); (err == nil) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestWhatIsToldOfASet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := pairIn(t, dir, "a", ecKey(), "a.example.com", "A2.example.com"), pairIn(t, dir, "b", rsaKey(), "a.example.com")
	s := open(t, &Config{Pairs: []PairFile{a, b}})
	if d := cmp.Diff([]string{"a.example.com", "a2.example.com"}, s.Names()); d != "" {
		t.Errorf("Names (-want +got):\n%s", d)
	}
	choices, err := s.Choices("a.example.com")
	if err != nil || len(choices) != 2 || choices[0].Key != "ECDSA P-256" || choices[1].Key != "RSA 2048" {
		t.Errorf("Choices: %v, %v", choices, err)
	}
	expiries := Expiries([]*Set{s})
	if len(expiries) != 2 || expiries[0].File != a.Cert || expiries[0].Name != "a.example.com" || !expiries[0].NotAfter.Equal(choices[0].NotAfter) {
		t.Errorf("Expiries: %v", expiries)
	}
	if !s.Equal(open(t, &Config{Pairs: []PairFile{a, b}})) {
		t.Error("a set of the same configuration is not equal")
	}
	def := a
	def.Default = true
	for _, other := range []any{nil, s.cfg, open(t, &Config{Pairs: []PairFile{b, a}}), open(t, &Config{Pairs: []PairFile{def, b}}), open(t, &Config{Pairs: []PairFile{a, b}, Dirs: []string{dir}})} {
		if s.Equal(other) {
			t.Errorf("%v is equal", other)
		}
	}
}
