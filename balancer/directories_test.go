package balancer

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
)

// A client whose certificate may be in a directory that is gone is refused, and not shown the default.
func TestNobodyIsShownTheDefaultForADirectoryThatIsGone(t *testing.T) {
	t.Parallel()
	f := newPoolFiles(t)
	f.trust(t, newAuthority(t, "inside"))
	own := certFor(t, "fallback.example.net")
	f.show(t, &own, 0)
	dir := filepath.Join(t.TempDir(), "certificates")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	set, err := certs.Open(&certs.Config{Pairs: []certs.PairFile{{Cert: f.cert, Key: f.key, Default: true}}, Dirs: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	r := serve(t, terminatedHost("*.example.com", policyOf(t, terminate.Config{Certificates: set}), testPool("pool", echo(t))))
	insecure := func(name string) *tls.Config { return &tls.Config{ServerName: name, InsecureSkipVerify: true} }
	if _, err := talk(r.addr, insecure("a.example.com")); err != nil {
		t.Fatalf("a name that the directory has no certificate for: %v", err)
	}
	r.closed(t, CauseOK, 1)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := talk(r.addr, insecure("b.example.com")); err == nil {
		t.Error("the default was shown")
	}
	r.closed(t, CauseBadCertificate, 1)
	eventually(t, func() bool {
		text := r.log.String()
		return strings.Contains(text, `"error":"`+dir+" cannot be read: no such file or directory") &&
			strings.Contains(text, "certificates of a directory cannot be read")
	}, r.log.String)
}
