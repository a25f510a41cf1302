package terminate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipe is a TCP connection to ourselves: unlike net.Pipe it holds what nobody has read yet.
func pipe(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func testCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, DNSNames: []string{"x"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// caFile writes a certificate to trust.
func caFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: testCertificate(t).Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

type oneSource struct{ name string }

func (s oneSource) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }
func (s oneSource) Equal(other any) bool                                       { return reflect.DeepEqual(s, other) }

// What a client can notice of a policy, or a ticket depends on, is in its digest; the rest is in Equal alone.
func TestPoliciesAreToldApart(t *testing.T) {
	t.Parallel()
	ca, other := caFile(t), caFile(t)
	copied := filepath.Join(t.TempDir(), "copy.pem")
	data, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, data, 0o600); err != nil {
		t.Fatal(err)
	}
	make := func(change func(*Config)) *Policy {
		cfg := Config{Certificates: oneSource{"a"}, ALPN: []string{"h2", "http/1.1"}, ClientAuth: &ClientAuth{CA: ca, Require: true}}
		change(&cfg)
		p, err := NewPolicy(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	base := make(func(*Config) {})
	for _, tt := range []struct {
		name         string
		change       func(*Config)
		digest, same bool
	}{
		{"nothing", func(*Config) {}, true, true},
		{"a default that is said", func(c *Config) { c.MinVersion, c.HandshakeTimeout = tls.VersionTLS12, 5*time.Second }, true, true},
		{"the same authority in another file", func(c *Config) { c.ClientAuth = &ClientAuth{CA: copied, Require: true} }, true, false},
		{"another certificate", func(c *Config) { c.Certificates = oneSource{"b"} }, true, false},
		{"another timeout", func(c *Config) { c.HandshakeTimeout = time.Minute }, true, false},
		{"another route", func(c *Config) { c.Route = "other" }, true, false},
		{"other tickets", func(c *Config) { c.Tickets.Rotate = time.Hour }, true, false},
		{"another authority", func(c *Config) { c.ClientAuth = &ClientAuth{CA: other, Require: true} }, false, false},
		{"an optional certificate", func(c *Config) { c.ClientAuth = &ClientAuth{CA: ca} }, false, false},
		{"no client certificates", func(c *Config) { c.ClientAuth = nil }, false, false},
		{"another order of protocols", func(c *Config) { c.ALPN = []string{"http/1.1", "h2"} }, false, false},
		{"protocols cut elsewhere", func(c *Config) { c.ALPN = []string{"h2http/1.1"} }, false, false},
		{"another version", func(c *Config) { c.MinVersion = tls.VersionTLS13 }, false, false},
		{"other suites", func(c *Config) { c.CipherSuites = DefaultCipherSuites()[:1] }, false, false},
		{"other groups", func(c *Config) { c.Curves = []tls.CurveID{tls.X25519} }, false, false},
	} {
		p := make(tt.change)
		its, ours := p.trust.Load().terms, base.trust.Load().terms
		if got := its.digest == ours.digest; got != tt.digest {
			t.Errorf("%s: the same digest is %v", tt.name, got)
		}
		if got := its.ticketScope() == ours.ticketScope(); got != (tt.digest && p.cfg.Route == "") {
			t.Errorf("%s: tickets are good under both: %v", tt.name, got)
		}
		if got := base.Equal(p); got != tt.same {
			t.Errorf("%s: equal is %v", tt.name, got)
		}
	}
}

// CVE-2026-27586: what cannot be read is an error, and never a policy without it.
func TestFilesOfAPolicyThatAreWrongAreErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := caFile(t)
	var many strings.Builder
	for i := range 700 {
		pem.Encode(&many, &pem.Block{Type: "CERTIFICATE", Bytes: newIssuer(t, fmt.Sprintf("%0*d", 89, i)).cert.Raw})
	}
	broken := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("not DER")}))
	one := newIssuer(t, "one")
	list := string(one.list(t, time.Now().Add(time.Hour)))
	pemOf := func(c *x509.Certificate) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	for _, tt := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"no authority", Config{ClientAuth: &ClientAuth{CA: filepath.Join(dir, "none")}}, "no such file"},
		{"an empty file", Config{ClientAuth: &ClientAuth{CA: write("empty", "", 0o600)}}, "holds no certificate"},
		{"a broken certificate", Config{ClientAuth: &ClientAuth{CA: write("broken", broken, 0o600)}}, "it cannot be used: block 1 (CERTIFICATE, line 1): x509: malformed certificate"},
		{"a damaged authority beside a sound one", Config{ClientAuth: &ClientAuth{CA: write("damaged", pemOf(one.cert)+string(damage([]byte(pemOf(one.cert)))), 0o600)}},
			"it is damaged: block 2 (CERTIFICATE, line "},
		{"a list of an authority that is PKCS#12", Config{ClientAuth: &ClientAuth{CA: ca, CRL: write("p12", "\x30\x10\x02\x01\x03\x30\x80", 0o600)}}, "it is PKCS#12, and not PEM"},
		{"a damaged list after a sound one", Config{ClientAuth: &ClientAuth{CA: ca, CRL: write("lists", list+string(damage([]byte(list))), 0o600)}},
			"it is damaged: block 2 (X509 CRL, line "},
		{"a list that is no list", Config{ClientAuth: &ClientAuth{CA: ca, CRL: write("nolist", list+strings.ReplaceAll(broken, "CERTIFICATE", "X509 CRL"), 0o600)}},
			"it cannot be used: block 2 (X509 CRL, line "},
		{"two lists in DER", Config{ClientAuth: &ClientAuth{CA: ca, CRL: write("der", strings.Repeat(string(inDER(t, []byte(list))), 2), 0o600)}},
			"it holds something after a list in DER"},
		{"a list in DER and one in PEM", Config{ClientAuth: &ClientAuth{CA: ca, CRL: write("mixed", string(inDER(t, []byte(list)))+"\n"+list, 0o600)}},
			"it holds something after a list in DER"},
		{"a list in DER that was cut", Config{ClientAuth: &ClientAuth{CA: ca, CRL: write("cut", string(inDER(t, []byte(list))[:60]), 0o600)}},
			"it cannot be read as a list of revoked certificates in DER: x509: malformed"},
		{"more authorities than a handshake can name", Config{ClientAuth: &ClientAuth{CA: write("many", many.String(), 0o600)}},
			"its 700 authorities have names of 71 KiB, and a handshake has room for 63"},
		{"a directory", Config{ClientAuth: &ClientAuth{CA: dir}}, "not a regular file"},
		{"no list", Config{ClientAuth: &ClientAuth{CA: ca, CRL: filepath.Join(dir, "none")}}, "no such file"},
		{"a list that is none", Config{ClientAuth: &ClientAuth{CA: ca, CRL: write("text", "text", 0o600)}}, "no list of revoked certificates"},
		{"ticket keys that others may read", Config{Tickets: Tickets{Files: []string{write("open", strings.Repeat("k", 48), 0o640)}}}, "may be read by others (mode 0640)"},
		{"ticket keys that are none", Config{Tickets: Tickets{Files: []string{write("short", "k", 0o600)}}}, "neither 48 nor 80 bytes"},
	} {
		_, err := NewPolicy(tt.cfg)
		fe, ok := errors.AsType[*FileError](err)
		if !ok || !strings.Contains(fe.Why, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if strings.Contains(tt.want, "no such file") && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v does not tell that the file is missing", tt.name, err)
		}
	}
}

func TestAllFilesOfAPolicyThatAreWrongAreTold(t *testing.T) {
	t.Parallel()
	none := filepath.Join(t.TempDir(), "none")
	_, err := NewPolicy(Config{
		ClientAuth: &ClientAuth{CA: none + ".ca", CRL: none + ".crl"}, Tickets: Tickets{Files: []string{none + ".1", none + ".2"}},
	})
	all, _ := errors.AsType[FileErrors](err)
	var got []string
	for _, e := range all {
		got = append(got, strings.TrimPrefix(e.File, none))
	}
	if want := []string{".ca", ".crl", ".1", ".2"}; !slices.Equal(got, want) {
		t.Errorf("told of %v, want %v", got, want)
	}
}

// Who may touch ticket keys is held to what holds for private keys: nobody can change the mode in a read-only store.
func TestTicketKeysInAReadOnlyStoreAreAWarning(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tickets.key")
	if err := os.WriteFile(path, []byte(strings.Repeat("k", 48)), 0o444); err != nil {
		t.Fatal(err)
	}
	p, err := NewPolicy(Config{Certificates: oneSource{}, Tickets: Tickets{Files: []string{path}}})
	if err != nil {
		t.Fatal(err)
	}
	if w := p.Warnings(); len(w) != 1 || w[0].File != path || !strings.Contains(w[0].Why, "may be read by others (mode 0444)") {
		t.Errorf("warnings: %v", w)
	}
}

// A file that is read again, since it may have changed, is news only if it holds something else.
func TestAWatchedFileIsNewsOnlyIfItsContentIs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	w, err := watch(path, true, func(_ string, data []byte) (string, error) {
		if len(data) == 0 {
			return "", errors.New("empty")
		}
		return string(data), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	now, lines := time.Now(), slog.New(slog.NewTextHandler(&log, nil))
	for _, step := range []struct{ text, want, said string }{
		{"one", "one", ""}, {"two", "two", "is in force"}, {"two", "two", ""}, {"", "two", "cannot be used"}, {"", "two", ""}, {"two", "two", ""},
		{"six", "six", "is in force"},
	} {
		write(step.text)
		now = now.Add(lookEvery)
		if got := w.get(now, lines, here); got != step.want {
			t.Errorf("after %q: %q, want %q", step.text, got, step.want)
		}
		if said := log.String(); !strings.Contains(said, step.said) || (said == "") != (step.said == "") {
			t.Errorf("after %q the log says %q", step.text, said)
		}
		log.Reset()
	}
}

// Text of a stranger in a log line is printable ASCII of bounded length.
func TestTextOfStrangersIsPlain(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"\x1b[2J", "a\nlevel=ERROR", strings.Repeat("\xff", 5000), "\u202e", `"quoted"`} {
		got := plain(text)
		if len(got) > 4*maxText+4 {
			t.Errorf("%d bytes of %d", len(got), len(text))
		}
		for _, b := range []byte(got) {
			if b < ' ' || b > '~' {
				t.Errorf("%q became %q", text, got)
			}
		}
	}
}
