package configs

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
)

// Routes are compared across reloads, in which every certificate is read again.
func TestTerminationIsComparedByWhatItMeans(t *testing.T) {
	t.Parallel()
	dir, other := certificates(t), certificates(t)
	load := func(dir, how string) *terminate.Policy {
		t.Helper()
		text := strings.Replace(small, "    pool: web", "    pool: web\n    terminate: "+how, 1)
		cfg, err := Parse("a.yaml", []byte(text), dir)
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Balancer.Routes[0].Terminate.(*terminate.Policy)
	}
	const a, b = "{cert: certs/a.crt, key: certs/a.key}", "{cert: certs/b.crt, key: certs/b.key}"
	base := load(dir, "{certificates: ["+a+", "+b+"], alpn: [h2]}")
	for _, c := range []struct {
		name, dir, text string
		want            bool
	}{
		{"the same files", dir, "{certificates: [" + a + ", " + b + "], alpn: [h2]}", true},
		{"a default that is said", dir, "{certificates: [" + a + ", " + b + "], alpn: [h2], min_version: \"1.2\"}", true},
		{"other files of the same names", other, "{certificates: [" + a + ", " + b + "], alpn: [h2]}", false},
		{"another order", dir, "{certificates: [" + b + ", " + a + "], alpn: [h2]}", false},
		{"fewer", dir, "{certificates: [" + a + "], alpn: [h2]}", false},
		{"another certificate for the same key", dir, "{certificates: [{cert: certs/www.crt, key: certs/www.key}, " + b + "], alpn: [h2]}", false},
		{"other protocols", dir, "{certificates: [" + a + ", " + b + "], alpn: [h2, http/1.1]}", false},
		{"another version", dir, "{certificates: [" + a + ", " + b + "], alpn: [h2], min_version: \"1.3\"}", false},
	} {
		if got := base.Equal(load(c.dir, c.text)); got != c.want {
			t.Errorf("%s: equal is %v", c.name, got)
		}
	}
	var none *terminate.Policy
	if base.Equal(nil) || base.Equal(none) || none.Equal(base) || !none.Equal(none) || base.Equal("a policy") {
		t.Error("nil, or another type, is equal")
	}
}

func TestTheBurstOfHandshakesFollowsTheRate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		want       balancer.HandshakeRate
	}{
		{"absent, there is no bound", "", balancer.HandshakeRate{}},
		{"a second of the rate", "handshakes: {per_source: 50/s}\n", balancer.HandshakeRate{Every: 20 * time.Millisecond, Burst: 50}},
		{"but ten at the least", "handshakes: {per_source: 3/s}\n", balancer.HandshakeRate{Every: time.Second / 3, Burst: 10}},
		{"for each minute", "handshakes: {per_source: 1/m}\n", balancer.HandshakeRate{Every: time.Minute, Burst: 10}},
		{"as said", "handshakes: {per_source: 50/s, burst: 1}\n", balancer.HandshakeRate{Every: 20 * time.Millisecond, Burst: 1}},
		{"some exempt", "handshakes: {per_source: 50/s, exempt: [192.0.2.0/24, \"2001:db8::/48\"]}\n", balancer.HandshakeRate{
			Every: 20 * time.Millisecond, Burst: 50, Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/48")},
		}},
		{"the most there is", "handshakes: {per_source: 10000/s, burst: 1000000}\n", balancer.HandshakeRate{Every: 100 * time.Microsecond, Burst: 1000000}},
	} {
		cfg, err := Parse("a.yaml", []byte(c.text+small), ".")
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.Balancer.Handshakes; !got.Equal(c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestTLSTowardsBackendsIsComparedByWhatItMeans(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	load := func(tls string) *terminate.BackendTLS {
		t.Helper()
		cfg, err := Parse("a.yaml", []byte(small+"    tls: "+tls+"\n"), dir)
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Balancer.Pools[0].TLS.(*terminate.BackendTLS)
	}
	all := "{sni: a.example.com, ca: certs/a.crt, cert: certs/a.crt, key: certs/a.key, alpn: [h2]}"
	base := load(all)
	if !base.Equal(load(all)) || !load("{}").Equal(load("{}")) {
		t.Error("the same files are not equal")
	}
	for old, instead := range map[string]string{
		"sni: a": "sni: b", "ca: certs/a": "ca: certs/b", "cert: certs/a.crt, key: certs/a.key, ": "", "cert: certs/a.crt": "cert: certs/www.crt",
		"[h2]": "[http/1.1]", "ca: certs/a.crt, ": "", "ca: certs/a.crt": "verify: false",
	} {
		if x := load(strings.Replace(all, old, instead, 1)); base.Equal(x) || x.Equal(base) {
			t.Errorf("%q instead of %q is equal", instead, old)
		}
	}
	before, err := os.ReadFile(filepath.Join(dir, "certs", "a.crt"))
	if err != nil {
		t.Fatal(err)
	}
	after := bytes.Replace(before, []byte("-----BEGIN"), []byte("a comment\n-----BEGIN"), 1)
	if err := os.WriteFile(filepath.Join(dir, "certs", "a.crt"), after, 0o600); err != nil {
		t.Fatal(err)
	}
	if !base.Equal(load(all)) {
		t.Error("a comment in a file of certificates is a change")
	}
}
