package balancer

import (
	"crypto/tls"
	"testing"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/route"
)

// R32: a hello without a name is terminated where a route says so, with the default certificate; its sessions are its own,
// and where no route says so it is refused as before.
func TestHellosWithoutANameAreTerminatedWhereARouteSaysSo(t *testing.T) {
	t.Parallel()
	inside := newAuthority(t, "inside")
	f := newPoolFiles(t)
	f.trust(t, inside)
	f.show(t, inside.issue(t, carried), 0)
	set, err := certs.Open(&certs.Config{Pairs: []certs.PairFile{{Cert: f.cert, Key: f.key, Default: true}}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := terminatedHost(carried, policyOf(t, terminate.Config{Certificates: set}), testPool("pool", echo(t)))
	r := serve(t, cfg)
	if _, err := talk(r.addr, &tls.Config{}); err == nil {
		t.Fatal("served without a route for it")
	}
	r.closed(t, CauseNoSNI, 1)

	named := *cfg
	named.Routes = []route.Route{cfg.Routes[0]}
	named.Routes[0].Hosts = []string{carried, route.NoName}
	r.reload(t, &named)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, tt := range []struct {
			first, second string
			resumes       bool
		}{{"", "", true}, {"", carried, false}, {carried, "", false}, {carried, carried, true}} {
			cache := &oneSession{}
			with := func(name string) *tls.ConnectionState {
				t.Helper()
				cs, err := talk(r.addr, &tls.Config{ServerName: name, MaxVersion: version, ClientSessionCache: cache, InsecureSkipVerify: true})
				if err != nil {
					t.Fatalf("%q then %q: %v", tt.first, tt.second, err)
				}
				return cs
			}
			with(tt.first)
			if cs := with(tt.second); cs.DidResume != tt.resumes {
				t.Errorf("%s, %q with a session of %q: resumed is %v", tls.VersionName(version), tt.second, tt.first, cs.DidResume)
			}
		}
	}
}
