package balancer

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/route"
)

// R14: a stranger who asks for what no backend has, by a name or a protocol of his own, has no sound backend left out. One
// whose handshake is wrong by itself is left out.
func TestStrangersHaveNoBackendLeftOutByWhatTheyAskFor(t *testing.T) {
	t.Parallel()
	inside, strangers := newAuthority(t, "inside"), newAuthority(t, "strangers")
	serves := func(a *authority) string {
		return servingTLS(t, &tls.Config{Certificates: []tls.Certificate{*a.issue(t, carried)}}, echoTLS)
	}
	for _, tt := range []struct {
		name    string
		asks    *tls.Config
		alpn    []string // of the pool
		sni     string   // likewise
		first   *authority
		ejected uint64
	}{
		{"a name that no backend has", &tls.Config{ServerName: "b.example.com"}, nil, "", inside, 0},
		{"no name", &tls.Config{}, nil, "", inside, 0},
		{"a protocol that no backend speaks", &tls.Config{ServerName: carried, NextProtos: []string{"h2"}}, nil, carried, inside, 0},
		{"a backend that is wrong by itself", &tls.Config{ServerName: carried}, nil, "", strangers, 1},
		{"the same where nothing is the client's", &tls.Config{ServerName: "b.example.com"}, []string{"x"}, carried, strangers, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := testPool("pool", serves(tt.first), serves(inside))
			p.Outlier = &pool.Outlier{Failures: 5, Eject: time.Minute, MaxEjected: 50}
			p.TLS = &terminate.BackendTLS{Files: files(t, inside, nil), SNI: tt.sni, ALPN: tt.alpn}
			policy := policyOf(t, terminate.Config{ALPN: []string{"h2", "http/1.1"}, Certificates: certsFor(t, carried, "b.example.com", "")})
			cfg := terminatedHost("*", policy, p)
			cfg.Routes[0].Hosts = append(cfg.Routes[0].Hosts, route.NoName)
			r := serve(t, cfg)
			for range 20 {
				talk(r.addr, tt.asks) //nolint:errcheck // what comes of it is the backends' matter
			}
			r.quiet(t)
			if b := r.Stats().Pools[0].Backends[0]; b.Ejections != tt.ejected {
				t.Errorf("ejected %d times, want %d: %s", b.Ejections, tt.ejected, b.LastError)
			}
			if b := r.Stats().Pools[0].Backends[1]; b.Ejections != 0 {
				t.Errorf("the second one was ejected: %s", b.LastError)
			}
		})
	}
}
