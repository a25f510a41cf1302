package admin

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-23b4a313/switchyard/balancer/terminate"
)

// The keys of the tests: making one of RSA takes longer than most tests.
var (
	ecKey  = sync.OnceValue(func() crypto.Signer { k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader); return must(k, err) })
	rsaKey = sync.OnceValue(func() crypto.Signer { k, err := rsa.GenerateKey(rand.Reader, 2048); return must(k, err) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// pemPair makes a certificate for names, which is its own issuer, and its key.
func pemPair(key crypto.Signer, issuer string, life time.Duration, names ...string) (cert, private []byte) {
	now := time.Now()
	x := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: issuer}, DNSNames: names,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(life)}
	der := must(x509.CreateCertificate(rand.Reader, x, x, key.Public(), key))
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))})
}

// pemFiles writes base.crt and base.key.
func pemFiles(t testing.TB, dir, base string, key crypto.Signer, issuer string, life time.Duration, names ...string) {
	t.Helper()
	cert, private := pemPair(key, issuer, life, names...)
	for ext, text := range map[string][]byte{".crt": cert, ".key": private} {
		if err := os.WriteFile(filepath.Join(dir, base+ext), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

const quarter = 90*24*time.Hour + 12*time.Hour

// certYard is a yard whose routes have certificates of every kind, and the directory of these.
func certYard(t *testing.T) (y *yard, dir string) {
	t.Helper()
	dir = t.TempDir()
	pemFiles(t, dir, "both-ec", ecKey(), "issuer one", quarter, "both.example.com", "www.example.com")
	pemFiles(t, dir, "both-rsa", rsaKey(), "issuer two", quarter, "both.example.com")
	pemFiles(t, dir, "rsa", rsaKey(), strings.Repeat("i", 65), quarter, "rsa.example.com")
	pemFiles(t, dir, "default", ecKey(), "issuer one", -time.Hour, "default.example.com")
	many := []string{"many.example.com"}
	for i := range mostNames + 4 {
		many = append(many, fmt.Sprintf("m%d.example.com", i))
	}
	pemFiles(t, dir, "many", ecKey(), "issuer one", quarter, many...)
	if err := os.MkdirAll(filepath.Join(dir, "tenants"), 0o700); err != nil {
		t.Fatal(err)
	}
	pemFiles(t, dir, "tenants/a.tenant.example.com", ecKey(), "issuer one", quarter, "a.tenant.example.com")
	pemFiles(t, dir, "tenants/b.tenant.example.com", ecKey(), "issuer one", quarter/2, "b.tenant.example.com")
	if err := os.WriteFile(filepath.Join(dir, "tenants/bad.tenant.example.com.pem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return newYardOf(t, strings.ReplaceAll(`
reload: {watch: false}
listeners: [{name: public, bind: ["127.0.0.1:0"]}]
routes:
  - {name: both, hosts: [both.example.com], pool: web, terminate: {certificates: [{cert: DIR/both-rsa.crt, key: DIR/both-rsa.key}, {cert: DIR/both-ec.crt, key: DIR/both-ec.key}]}}
  - {name: rsa, hosts: [rsa.example.com], pool: web, terminate: {certificates: [{cert: DIR/rsa.crt, key: DIR/rsa.key}]}}
  - {name: pass, hosts: [pass.example.com], pool: web}
  - {name: blocked, hosts: [blocked.example.com], reject: reset}
  - {name: many, hosts: [many.example.com], pool: web, terminate: {certificates: [{cert: DIR/many.crt, key: DIR/many.key}]}}
  - {name: default, hosts: ["*.default.example.com"], pool: web, terminate: {certificates: [{cert: DIR/default.crt, key: DIR/default.key, default: true, allow_expired: true}]}}
  - {name: tenants, hosts: ["*.tenant.example.com"], pool: web, terminate: {directories: [DIR/tenants]}}
pools:
  - {name: web, backends: ["127.0.0.1:9101"], tls: {cert: DIR/rsa.crt, key: DIR/rsa.key}}
`, "DIR", dir)), dir
}

func (y *yard) certificates(t *testing.T, query string) (list CertificateList) {
	t.Helper()
	if err := json.Unmarshal([]byte(y.must(t, "GET", "/v1/certificates?"+query, "")), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// brief is a certificate in a line.
func (c *Certificate) brief(dir string) string {
	text := c.Route + c.Pool + " " + c.Source + " " + strings.TrimPrefix(c.File, dir+"/") + " " + c.Key + " " + c.Issuer
	if c.DaysLeft != nil {
		text += fmt.Sprintf(" %d days", *c.DaysLeft)
	}
	if c.InUse != nil {
		text += fmt.Sprintf(" %d in use", *c.InUse)
	}
	if c.Default {
		text += " default"
	}
	return text
}

func TestCertificatesAreListedAsTheyAreHeld(t *testing.T) {
	t.Parallel()
	y, dir := certYard(t)
	for _, name := range []string{"a.tenant.example.com", "b.tenant.example.com", "bad.tenant.example.com"} {
		y.must(t, "GET", "/v1/certificates?sni="+name, "")
	}
	list := y.certificates(t, "")
	var got []string
	for i := range list.Certificates {
		got = append(got, list.Certificates[i].brief(dir))
	}
	want := []string{
		"both file both-rsa.crt RSA 2048 issuer two 90 days", "both file both-ec.crt ECDSA P-256 issuer one 90 days",
		"rsa file rsa.crt RSA 2048 " + strings.Repeat("i", mostIssuer) + "… 90 days", "many file many.crt ECDSA P-256 issuer one 90 days",
		"default file default.crt ECDSA P-256 issuer one -1 days default",
		"tenants directory tenants ECDSA P-256 issuer one 45 days 2 in use",
		"web file rsa.crt RSA 2048 " + strings.Repeat("i", mostIssuer) + "… 90 days",
	}
	if diff := cmp.Diff(want, got); diff != "" || list.Total != len(want) || list.Next != "" {
		t.Fatalf("total %d, next %q (-want +got):\n%s", list.Total, list.Next, diff)
	}
	both, many, tenants := list.Certificates[0], list.Certificates[3], list.Certificates[5]
	if both.KeyFile != filepath.Join(dir, "both-rsa.key") || both.Taken == nil || time.Since(*both.Taken) > time.Hour || both.Refused != nil {
		t.Errorf("%+v", both)
	}
	if len(many.Names) != mostNames || many.MoreNames != 5 {
		t.Errorf("%d names and %d more", len(many.Names), many.MoreNames)
	}
	if tenants.First != filepath.Join(dir, "tenants/b.tenant.example.com.crt") || tenants.RefusedTotal != 1 || len(tenants.Refused) != 1 ||
		tenants.Refused[0].Error != "holds no certificate" || tenants.Refused[0].Hint == "" {
		t.Errorf("%+v", tenants)
	}
}

func TestCertificatesAreFilteredAndPaged(t *testing.T) {
	t.Parallel()
	y, _ := certYard(t)
	for _, c := range []struct {
		name, query string
		listed      int
		total       int
		next        string
	}{
		{"of a route", "route=both", 2, 2, ""},
		{"of routes by a part of their name", "route=*a*", 4, 4, ""},
		{"of a pool", "pool=web", 1, 1, ""},
		{"of a route that passes through", "route=pass", 0, 0, ""},
		{"the first page", "limit=1", 1, 7, "route/both/0"},
		{"a page that ends with the last of a route", "limit=1&after=route/both/0", 1, 7, "route/both/1"},
		{"the last page", "limit=3&after=route/default/0", 2, 7, ""},
		{"of a filter, after what it leaves out", "pool=web&after=route/both/0", 1, 1, ""},
		{"after the last", "after=pool/web/0", 0, 7, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := y.certificates(t, c.query)
			if len(got.Certificates) != c.listed || got.Total != c.total || got.Next != c.next {
				t.Errorf("%d of %d, next %q; want %d of %d, %q", len(got.Certificates), got.Total, got.Next, c.listed, c.total, c.next)
			}
		})
	}
}

func TestWhatAClientIsShownIsToldByName(t *testing.T) {
	t.Parallel()
	y, dir := certYard(t)
	if err := os.WriteFile(filepath.Join(dir, "tenants/c.tenant.example.com.pem"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	const expired = "default file default.crt ECDSA P-256 issuer one -1 days default"
	for _, c := range []struct {
		name, action string
		first, rsa   string // "": none
		why          string
	}{
		{"BOTH.example.com", "terminate", "both file both-ec.crt ECDSA P-256 issuer one 90 days", "both file both-rsa.crt RSA 2048 issuer two 90 days", ""},
		{"both.example.com.", "terminate", "", "", "the name ends with a dot"},
		{"pass.example.com.", "pass", "", "", "TLS does not end here"},
		{"rsa.example.com", "terminate", "rsa file rsa.crt RSA 2048 " + strings.Repeat("i", mostIssuer) + "… 90 days", "rsa file rsa.crt RSA 2048 " + strings.Repeat("i", mostIssuer) + "… 90 days", ""},
		{"x.default.example.com", "terminate", expired, "", "RSA alone"},
		{"a.tenant.example.com", "terminate", "tenants directory tenants/a.tenant.example.com.crt ECDSA P-256 issuer one 90 days", "", "RSA alone"},
		{"c.tenant.example.com", "terminate", "", "", "/tenants/c.tenant.example.com.pem holds no certificate (bad_certificate)"},
		{"z.tenant.example.com", "terminate", "", "", "none is the default"},
		{"pass.example.com", "pass", "", "", "TLS does not end here"},
		{"blocked.example.com", "reject", "", "", "the route rejects"},
		{"nobody.example.org", "reject", "", "", "no route takes this name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got Shown
			if err := json.Unmarshal([]byte(y.must(t, "GET", "/v1/certificates?sni="+c.name, "")), &got); err != nil {
				t.Fatal(err)
			}
			text := func(x *Certificate) string {
				if x == nil {
					return ""
				}
				return x.brief(dir)
			}
			if got.Action != c.action || text(got.Certificate) != c.first || text(got.RSA) != c.rsa || !strings.Contains(got.Why, c.why) || (c.why == "") != (got.Why == "") {
				t.Errorf("%+v: %q, %q, %q", got, text(got.Certificate), text(got.RSA), got.Why)
			}
		})
	}
}

func TestCertificatesAreNotGuessedAt(t *testing.T) {
	t.Parallel()
	y, _ := certYard(t)
	for query, want := range map[string]string{
		"sni=a%20b": "sni", "sni=192.0.2.7": "an IP address is not a host name", "sni=*.example.com": "only letters",
		"sni=" + strings.Repeat("a.", 200): "longer than 253", "sni=a.example.com&route=both": "parameter route does not go",
		"alpn=h2": "parameter alpn does not go", "listener=public": "parameter listener does not go", "limit=1001": "at most 1000",
		"limit=x": "whole number", "sni=a.example.com&listener=x": "no listener", "host=a": "unknown parameter",
		"after=route/both/9": "no certificate", "after=%0A": `no certificate \"\\n\"`,
	} {
		if code, answer := y.ask("GET", "/v1/certificates?"+query, ""); code != 400 && code != 404 || !strings.Contains(answer, want) {
			t.Errorf("%s: %d %s, want %q", query, code, answer, want)
		}
	}
	if code, answer := y.ask("POST", "/v1/certificates", ""); code != 405 {
		t.Errorf("POST: %d %s", code, answer)
	}
}

// No answer has anything of a key, or of what a broken file holds.
func TestCertificatesTellNothingOfKeys(t *testing.T) {
	t.Parallel()
	y, dir := certYard(t)
	key := must(os.ReadFile(filepath.Join(dir, "both-rsa.key")))
	block, _ := pem.Decode(key)
	if err := os.WriteFile(filepath.Join(dir, "tenants/k.tenant.example.com.pem"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	said := y.must(t, "GET", "/v1/certificates?sni=k.tenant.example.com", "") + y.must(t, "GET", "/v1/certificates", "")
	if !strings.Contains(said, "holds a private key") && !strings.Contains(said, "holds no certificate") {
		t.Errorf("that there is a key in the place of a certificate is not told: %s", said)
	}
	for _, secret := range []string{string(block.Bytes), strings.Split(string(key), "\n")[3], "PRIVATE KEY-"} {
		if strings.Contains(said, secret) {
			t.Errorf("%q was told", secret)
		}
	}
}

// What is told of a name is what a client gets that asks for it, by a handshake.
func TestWhatIsToldIsWhatAClientIsShown(t *testing.T) {
	t.Parallel()
	y, _ := certYard(t)
	everything, rsaAlone := &tls.Config{}, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}
	for _, name := range []string{"both.example.com", "rsa.example.com", "x.default.example.com", "a.tenant.example.com", "z.tenant.example.com"} {
		var told Shown
		if err := json.Unmarshal([]byte(y.must(t, "GET", "/v1/certificates?sni="+name, "")), &told); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			client *tls.Config
			told   *Certificate
		}{{everything, told.Certificate}, {rsaAlone, told.RSA}} {
			want := ""
			if c.told != nil {
				block, _ := pem.Decode(must(os.ReadFile(c.told.File)))
				want = string(block.Bytes)
			}
			if got := leafShown(y.balancer.Addrs("public")[0].String(), name, c.client); got != want {
				t.Errorf("%s: a client of %v is shown another certificate than %+v", name, c.client.CipherSuites, c.told)
			}
		}
	}
}

// leafShown is the certificate of a handshake; "" if it comes to nothing.
func leafShown(addr, name string, cfg *tls.Config) string {
	cfg = cfg.Clone()
	cfg.ServerName, cfg.InsecureSkipVerify = name, true
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", addr, cfg)
	if err != nil {
		return ""
	}
	defer c.Close()
	return string(c.ConnectionState().PeerCertificates[0].Raw)
}

// Routes may share a directory, of which very much may be in memory: it is looked at once for a page, and not for each route.
func TestAListLooksAtADirectoryOnce(t *testing.T) {
	t.Parallel()
	const n = 1000
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString("reload: {watch: false}\nlisteners: [{name: public, bind: [\"127.0.0.1:0\"]}]\npools: [{name: web, backends: [\"127.0.0.1:9101\"]}]\nroutes:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {name: r%d, hosts: [\"*.h%d.example.com\"], pool: web, terminate: {directories: [%s]}}\n", i, i, dir)
	}
	y := newYardOf(t, b.String())
	set := terminate.SetOf(y.balancer.Routes().Route("r0").Terminate)
	for i := range 2000 { // what strangers have asked for
		_, _ = set.Choices(fmt.Sprintf("n.s%d.example.com", i))
	}
	best := func(limit string) time.Duration {
		took := time.Hour
		for range 5 {
			start := time.Now()
			y.certificates(t, "limit="+limit)
			took = min(took, time.Since(start))
		}
		return took
	}
	if one, all := best("1"), best("1000"); all > one*n/4 {
		t.Errorf("%d routes take %v, one %v", n, all, one)
	}
}

func TestDaysLeftOfEndsFarAway(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		end  time.Time
		want int
	}{
		{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), 2912442}, // RFC 5280 §4.1.2.5: it has no end
		{time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), -739616},
		{now, 0}, {now.Add(-time.Nanosecond), -1}, {now.Add(24*time.Hour - 1), 0}, {now.Add(24 * time.Hour), 1},
	} {
		if got := daysLeft(c.end, now); got != c.want {
			t.Errorf("%v: %d days, want %d", c.end, got, c.want)
		}
	}
}
