package balancer

import (
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
)

// poolFiles are the files of a pool that speaks TLS with its backends.
type poolFiles struct{ ca, cert, key string }

func newPoolFiles(t testing.TB) poolFiles {
	t.Helper()
	dir := t.TempDir()
	return poolFiles{filepath.Join(dir, "ca.crt"), filepath.Join(dir, "own.crt"), filepath.Join(dir, "own.key")}
}

func (f poolFiles) trust(t testing.TB, a *authority) {
	t.Helper()
	replace(t, f.ca, certPEM(&tls.Certificate{Certificate: [][]byte{a.cert.Raw}}))
}

// show puts a certificate in the place of the one before, and a moment later its key.
func (f poolFiles) show(t testing.TB, own *tls.Certificate, pause time.Duration) {
	t.Helper()
	replace(t, f.cert, certPEM(own))
	time.Sleep(pause)
	replace(t, f.key, keyPEM(t, own))
}

// replace puts a file in the place of another one as one does: by renaming.
func replace(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path+".next", data, 0o600), os.Rename(path+".next", path)); err != nil {
		t.Fatal(err)
	}
}

func (f poolFiles) open(t testing.TB, withPair bool) *certs.Set {
	t.Helper()
	cfg := &certs.Config{CA: f.ca}
	if withPair {
		cfg.Pairs = []certs.PairFile{{Cert: f.cert, Key: f.key, Default: true, AllowExpired: true}}
	}
	set, err := certs.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// files are those of a pool that trusts an authority, and shows a certificate if there is one.
func files(t testing.TB, trusted *authority, own *tls.Certificate) *certs.Set {
	t.Helper()
	f := newPoolFiles(t)
	f.trust(t, trusted)
	if own != nil {
		f.show(t, own, 0)
	}
	return f.open(t, own != nil)
}

// until waits for something that may take as long as two looks at a file.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// The certificate that is shown to backends changes while connections are made: no one of them fails, and none is made with
// the certificate of one pair and the key of another, which the backend would notice by the signature.
func TestTheCertificateForBackendsIsFollowed(t *testing.T) {
	t.Parallel()
	inside := newAuthority(t, "inside")
	var shown atomic.Pointer[string]
	mutual := &tls.Config{Certificates: []tls.Certificate{*inside.issue(t, carried)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: inside.pool()}
	backend := servingTLS(t, mutual, func(c *tls.Conn) {
		name := c.ConnectionState().PeerCertificates[0].Subject.CommonName
		shown.Store(&name)
		echoTLS(c)
	})
	f := newPoolFiles(t)
	f.trust(t, inside)
	f.show(t, inside.issue(t, "first"), 0)
	r := reencrypted(t, nil, &terminate.BackendTLS{Files: f.open(t, true)}, backend)
	shows := func() string {
		t.Helper()
		if _, err := talk(r.addr, &tls.Config{ServerName: carried}); err != nil {
			t.Fatalf("a connection while files change: %v", err)
		}
		return *shown.Load()
	}
	if got := shows(); got != "first" {
		t.Fatalf("shown is %q", got)
	}
	f.show(t, inside.issue(t, "second"), 1500*time.Millisecond) // longer than a look takes to come: a mixed pair is seen
	until(t, "the second certificate", func() bool { return shows() == "second" })
	replace(t, f.key, []byte("no key"))
	until(t, "a line about the broken key", func() bool {
		return shows() == "second" && strings.Contains(r.log.String(), "certificate not taken: the one before it stays")
	})
	if e := r.Stats().Certificates; len(e) != 1 || e[0].File != f.cert {
		t.Errorf("the end of the certificate is not among the statistics: %v", e)
	}
}

// swappable is a backend that shows a certificate, until it is told to show another one.
func swappable(t testing.TB, first *tls.Certificate) (addr string, shows func(*tls.Certificate)) {
	t.Helper()
	var now atomic.Pointer[tls.Certificate]
	now.Store(first)
	return servingTLS(t, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return now.Load(), nil }}, echoTLS), now.Store
}

// Backends get certificates of another authority. Connections to them fail until it is trusted, and those of the authority
// before it fail from then on, even those that would resume a session.
func TestTheAuthoritiesForBackendsAreFollowed(t *testing.T) {
	t.Parallel()
	old, next := newAuthority(t, "old"), newAuthority(t, "next")
	a, b := old.issue(t, carried), next.issue(t, carried)
	backend, shows := swappable(t, a)
	f := newPoolFiles(t)
	f.trust(t, old)
	set := f.open(t, false)
	p := testPool("pool", backend)
	p.Balance, p.TLS = pool.First, &terminate.BackendTLS{Files: set}
	cfg := terminatedHost(carried, policyOf(t, terminate.Config{Certificates: certsFor(t, carried)}), p)
	r := serve(t, cfg)
	served := func() bool { _, err := talk(r.addr, &tls.Config{ServerName: carried}); return err == nil }
	if !served() {
		t.Fatal("not served by the first authority")
	}
	f.trust(t, next)
	until(t, "the new authority", func() bool { return set.Authorities().Equal(next.pool()) })
	if served() {
		t.Error("a session with a backend whose authority is no longer trusted was resumed")
	}
	shows(b)
	if !served() {
		t.Error("not served by the new authority")
	}
	replace(t, f.ca, []byte("no certificate"))
	until(t, "a line about the broken file", func() bool { return strings.Contains(r.log.String(), "authorities not taken: those before them stay") })
	if !served() {
		t.Error("a broken file has changed what is trusted")
	}
	gone := *cfg
	gone.Pools = []pool.Config{testPool("pool", backend)}
	r.reload(t, &gone)
	f.trust(t, old)
	if kept := r.kept.Load().sets; len(kept) != 0 {
		t.Errorf("%d sets of files are followed after the pool has none", len(kept))
	}
}

// What a check trusts is followed, too: a backend with a certificate of the next authority is not down once the file holds
// that. A reload which says the same and opens the file anew is what is followed from then on.
func TestTheAuthoritiesOfChecksAreFollowed(t *testing.T) {
	t.Parallel()
	old, next := newAuthority(t, "old"), newAuthority(t, "next")
	a, b := old.issue(t, carried), next.issue(t, carried)
	backend, shows := swappable(t, a)
	f := newPoolFiles(t)
	f.trust(t, old)
	check := func() *pool.Check {
		c := *quickCheck()
		c.Type, c.SNI, c.Verify, c.CA = pool.CheckTLS, carried, pool.VerifyCA, f.open(t, false)
		return &c
	}
	p := testPool("pool", backend)
	p.Health = check()
	cfg := oneHost("a.example.com", p)
	r := serve(t, cfg)
	state := func(want pool.State) {
		t.Helper()
		until(t, want.String(), func() bool { return r.stateOf(t, backend).State == want })
	}
	state(pool.StateUp)
	f.trust(t, next)
	state(pool.StateDown)
	shows(b)
	state(pool.StateUp)

	again := *cfg
	again.Pools = []pool.Config{p}
	again.Pools[0].IdleTimeout, again.Pools[0].Health = time.Hour, check()
	r.reload(t, &again)
	if got := r.stateOf(t, backend).State; got != pool.StateUp {
		t.Errorf("%s after a reload that leaves the check as it is", got)
	}
	f.trust(t, old)
	state(pool.StateDown)
	shows(a)
	state(pool.StateUp)

	replace(t, f.ca, []byte("no certificate"))
	until(t, "a line about the broken file", func() bool { return strings.Contains(r.log.String(), "authorities not taken: those before them stay") })
	if all := r.Stats().Refusals; len(all) != 1 || all[0].File != f.ca {
		t.Errorf("refused files: %v", all)
	}
	if got := r.stateOf(t, backend).State; got != pool.StateUp {
		t.Errorf("%s with a broken file", got)
	}
	gone := again
	gone.Pools = []pool.Config{testPool("pool", backend)}
	r.reload(t, &gone)
	if kept := r.kept.Load().sets; len(kept) != 0 {
		t.Errorf("%d sets of files are followed after the pool has none", len(kept))
	}
}

// Files towards backends are those of the pool: a reload that says the same keeps what there is.
func TestFilesForBackendsAreComparedByName(t *testing.T) {
	t.Parallel()
	inside := newAuthority(t, "inside")
	f := newPoolFiles(t)
	f.trust(t, inside)
	f.show(t, inside.issue(t, "own"), 0)
	one := &terminate.BackendTLS{Files: f.open(t, true)}
	f.show(t, inside.issue(t, "renewed"), 0)
	if !one.Equal(&terminate.BackendTLS{Files: f.open(t, true)}) {
		t.Error("the same files with other content are not equal: a reload would forget the sessions")
	}
	for _, other := range []*terminate.BackendTLS{{}, {Files: f.open(t, false)}, {Files: files(t, inside, nil)}} {
		if one.Equal(other) || other.Equal(one) {
			t.Errorf("%+v is equal", other)
		}
	}
}
