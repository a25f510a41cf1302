package balancer

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/terminate"
)

// Whatever file has changed and is not taken is told of for as long as that is so, once, however many routes name it.
func TestFilesThatAreNotTakenAreToldOf(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, "ours")
	f := newClientFiles(t)
	f.trust(t, ours)
	f.revoke(t, ours.list(t, time.Now().Add(72*time.Hour)))
	keys := filepath.Join(t.TempDir(), "tickets.key")
	secret := bytes.Repeat([]byte("k"), 80)
	if err := os.WriteFile(keys, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	policy := func() *terminate.Policy {
		return policyOf(t, terminate.Config{
			Certificates: certsFor(t, carried, "second.example.com"), ClientAuth: &terminate.ClientAuth{CA: f.ca, CRL: f.crl}, Tickets: terminate.Tickets{Files: []string{keys}},
		})
	}
	cfg := terminatedHost(carried, policy(), testPool("pool", echo(t)))
	second := cfg.Routes[0]
	second.Name, second.Hosts, second.Terminate = "second", []string{"second.example.com"}, policy()
	cfg.Routes = append(cfg.Routes, second)
	r := serve(t, cfg)
	hosts := []string{carried, "second.example.com"}
	refused := func(want ...string) {
		t.Helper()
		until(t, "the files that are not taken", func() bool {
			for _, name := range hosts { // ticket keys are looked at when a client comes
				if _, err := talk(r.addr, &tls.Config{ServerName: name, InsecureSkipVerify: true}); err != nil {
					t.Error(err)
				}
			}
			var got []string
			for _, x := range r.Stats().Refusals {
				got = append(got, x.File)
			}
			slices.Sort(want)
			return slices.Equal(got, want)
		})
	}
	refused()
	replace(t, f.ca, []byte("no certificate"))
	refused(f.ca)
	replace(t, keys, []byte("short"))
	refused(f.ca, keys)
	f.trust(t, ours)
	refused(keys)
	f.revoke(t, newAuthority(t, "others").list(t, time.Now().Add(time.Hour)))
	refused(f.crl, keys)
	replace(t, keys, secret)
	f.revoke(t, ours.list(t, time.Now().Add(48*time.Hour)))
	refused()
	if cs, err := talk(r.addr, &tls.Config{ServerName: carried, InsecureSkipVerify: true, Certificates: []tls.Certificate{*ours.issue(t, "owner")}}); err != nil {
		t.Errorf("%v, %v", cs, err)
	}
	replace(t, f.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("not DER")}))
	refused(f.ca)
	gone := clone(cfg)
	gone.Routes, hosts = nil, nil
	r.reload(t, gone)
	refused() // by nobody's file
}
