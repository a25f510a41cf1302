package balancer

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/terminate"
)

// clientFiles are the files of a route that asks clients for certificates.
type clientFiles struct{ ca, crl string }

func newClientFiles(t testing.TB) clientFiles {
	t.Helper()
	dir := t.TempDir()
	return clientFiles{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "lists.pem")}
}

func (f clientFiles) trust(t testing.TB, all ...*authority) {
	t.Helper()
	var data []byte
	for _, a := range all {
		data = append(data, certPEM(&tls.Certificate{Certificate: [][]byte{a.cert.Raw}})...)
	}
	replace(t, f.ca, data)
}

func (f clientFiles) revoke(t testing.TB, lists ...*pem.Block) {
	t.Helper()
	var data []byte
	for _, l := range lists {
		data = append(data, pem.EncodeToMemory(l)...)
	}
	replace(t, f.crl, data)
}

// shower is how a client shows a certificate whatever the server says of whom it trusts.
type shower func(*tls.CertificateRequestInfo) (*tls.Certificate, error)

func showing(c *tls.Certificate) shower {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil }
}

// inForce waits until a file is taken that the policy did not have before.
func (r *running) inForce(t testing.TB, path string, times int) {
	t.Helper()
	until(t, path+" in force", func() bool {
		n := 0
		for line := range strings.Lines(r.log.String()) {
			if strings.Contains(line, "a changed file is in force") && strings.Contains(line, path) {
				n++
			}
		}
		return n >= times
	})
}

// Another authority takes the place of the one before. Whoever has a certificate of the latter is refused from then on, with a
// session of before, too; a connection that is there stays.
func TestASessionEndsWithItsAuthority(t *testing.T) {
	t.Parallel()
	old, next := newAuthority(t, "old"), newAuthority(t, "next")
	owns, theirs := showing(old.issue(t, "owner")), showing(next.issue(t, "successor"))
	soon := time.Now().Add(72 * time.Hour)
	for _, tt := range []struct {
		name          string
		version       uint16
		require, list bool
	}{
		{"TLS 1.2", tls.VersionTLS12, true, false},
		{"TLS 1.3", tls.VersionTLS13, true, false},
		{"TLS 1.2 with lists", tls.VersionTLS12, true, true},
		{"TLS 1.3 with lists", tls.VersionTLS13, true, true},
		{"TLS 1.2 where no certificate is required", tls.VersionTLS12, false, false},
		{"TLS 1.3 where no certificate is required", tls.VersionTLS13, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newClientFiles(t)
			f.trust(t, old)
			auth := &terminate.ClientAuth{CA: f.ca, Require: tt.require}
			if tt.list {
				f.revoke(t, old.list(t, soon))
				auth.CRL = f.crl
			}
			p := policyOf(t, terminate.Config{Certificates: certsFor(t, carried), ClientAuth: auth})
			r := serve(t, terminatedHost(carried, p, testPool("pool", echo(t))))
			base := tls.Config{ServerName: carried, MinVersion: tt.version, MaxVersion: tt.version, InsecureSkipVerify: true}
			with := func(show shower, session *oneSession) (*tls.ConnectionState, error) {
				cfg := base.Clone()
				cfg.GetClientCertificate, cfg.ClientSessionCache = show, session
				return talk(r.addr, cfg)
			}
			resumes := func(show shower, session *oneSession, want bool) {
				t.Helper()
				if cs, err := with(show, session); err != nil || cs.DidResume != want {
					t.Fatalf("resumed is not %v: %v", want, err)
				}
			}
			kept := &oneSession{}
			resumes(owns, kept, false)
			resumes(owns, kept, true)
			cfg := base.Clone()
			cfg.GetClientCertificate = owns
			there, err := tls.Dial("tcp", r.addr, cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer there.Close()
			there.SetDeadline(time.Now().Add(time.Minute))
			echoes(t, there)

			before := p.ID()
			if tt.list {
				f.revoke(t, next.list(t, soon))
			}
			f.trust(t, next)
			r.inForce(t, f.ca, 1)
			if p.ID() == before {
				t.Error("the policy calls itself as before")
			}
			if _, err := with(owns, &oneSession{kept.last}); err == nil {
				t.Error("a client of the authority before is served, with its session")
			}
			r.closed(t, CauseClientCertRefused, 1)
			switch cs, err := with(showing(&tls.Certificate{}), &oneSession{kept.last}); {
			case (err == nil) == tt.require:
				t.Errorf("a client with nothing but a session sees %v", err)
			case err == nil && cs.DidResume:
				t.Error("a session of the authority before was resumed")
			}
			fresh := &oneSession{}
			resumes(theirs, fresh, false)
			resumes(theirs, fresh, true)
			echoes(t, there)

			f.trust(t, next, old) // a session is good for the authorities it was agreed upon under, even where it need not
			r.inForce(t, f.ca, 2)
			resumes(theirs, fresh, false)
			there.Close()
			r.quiet(t)
		})
	}
}

// echoes has one byte echoed.
func echoes(t testing.TB, c *tls.Conn) {
	t.Helper()
	mustWrite(t, c, []byte("x"))
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// What counts is what is in force when a handshake ends, however long ago its client has begun it.
func TestFilesThatChangeDuringAHandshakeCount(t *testing.T) {
	t.Parallel()
	old, next := newAuthority(t, "old"), newAuthority(t, "next")
	own := old.issue(t, "owner")
	soon := time.Now().Add(72 * time.Hour)
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, r *running, f clientFiles)
		cause  Cause
		text   string
	}{
		{"another authority", func(t *testing.T, r *running, f clientFiles) {
			f.revoke(t, next.list(t, soon))
			f.trust(t, next)
			r.inForce(t, f.ca, 1)
		}, CauseClientCertRefused, "client certificate signed by an unknown authority"},
		{"one more authority", func(t *testing.T, r *running, f clientFiles) {
			f.trust(t, next, old)
			r.inForce(t, f.ca, 1)
		}, CauseOK, ""},
		{"one more authority, and a certificate that is revoked", func(t *testing.T, r *running, f clientFiles) {
			f.trust(t, next, old)
			f.revoke(t, old.list(t, soon, own))
			r.inForce(t, f.ca, 1)
			r.inForce(t, f.crl, 1)
		}, CauseClientCertRevoked, "client certificate revoked"},
		{"a certificate that is revoked", func(t *testing.T, r *running, f clientFiles) {
			f.revoke(t, old.list(t, soon, own))
			r.inForce(t, f.crl, 1)
		}, CauseClientCertRevoked, "client certificate revoked"},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(tt.name+", "+tls.VersionName(version), func(t *testing.T) {
				t.Parallel()
				f := newClientFiles(t)
				f.trust(t, old)
				f.revoke(t, old.list(t, soon))
				r := serve(t, terminatedHost(carried, policyOf(t, terminate.Config{
					Certificates: certsFor(t, carried), ClientAuth: &terminate.ClientAuth{CA: f.ca, Require: true, CRL: f.crl}, HandshakeTimeout: time.Minute,
				}), testPool("pool", echo(t))))
				_, err := talk(r.addr, &tls.Config{
					ServerName: carried, MaxVersion: version,
					GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
						tt.change(t, r, f) // the server has said whom it trusts, and waits
						return own, nil
					},
				})
				if (err == nil) != (tt.cause == CauseOK) {
					t.Errorf("the client sees %v", err)
				}
				r.closed(t, tt.cause, 1)
				if l := r.lines(t, 1)[0]; !strings.HasPrefix(l.Error, tt.text) {
					t.Errorf("the line says %q", l.Error)
				}
			})
		}
	}
}

// While both files are swapped, back and forth and never at one moment, no revoked certificate is taken, and no client is
// refused because its authority is trusted and the list of that authority is not there.
func TestAuthoritiesAndListsAreNeverMixed(t *testing.T) {
	t.Parallel()
	f := newClientFiles(t)
	soon := time.Now().Add(72 * time.Hour)
	var all [2]struct {
		ca            *authority
		good, revoked *tls.Certificate
		list          *pem.Block
	}
	for i := range all {
		x := &all[i]
		x.ca = newAuthority(t, []string{"even", "odd"}[i])
		x.good, x.revoked = x.ca.issue(t, "good"), x.ca.issue(t, "revoked")
		x.list = x.ca.list(t, soon, x.revoked)
	}
	f.trust(t, all[0].ca)
	f.revoke(t, all[0].list)
	p := policyOf(t, terminate.Config{Certificates: certsFor(t, carried), ClientAuth: &terminate.ClientAuth{CA: f.ca, Require: true, CRL: f.crl}})
	r := serve(t, terminatedHost(carried, p, testPool("pool", echo(t))))

	stop := make(chan struct{})
	var jobs sync.WaitGroup
	jobs.Go(func() {
		quiet := slog.New(slog.DiscardHandler)
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			next := &all[i%2]
			swap := []func(){func() { f.trust(t, next.ca) }, func() { f.revoke(t, next.list) }}
			if i%4 > 1 {
				slices.Reverse(swap)
			}
			for _, do := range swap {
				do()
				p.Follow(time.Now(), quiet) // sooner than once a second
			}
		}
	})
	served := make([]int, len(all))
	for range 20 { // 80 handshakes; no lists of one but authorities of the other in any of them
		for i := range all {
			for _, c := range []*tls.Certificate{all[i].good, all[i].revoked} {
				_, err := talk(r.addr, &tls.Config{ServerName: carried, ClientSessionCache: &oneSession{}, GetClientCertificate: showing(c)})
				if err == nil && c == all[i].revoked {
					t.Error("a revoked certificate was taken")
				}
				if err == nil {
					served[i]++
				}
			}
		}
	}
	close(stop)
	jobs.Wait()
	r.quiet(t)
	for _, l := range r.lines(t, 80) {
		if strings.HasPrefix(l.Error, "no list") {
			t.Fatalf("a connection was refused: %s", l.Error)
		}
	}
	t.Logf("served: %v of 20 each", served)
}

// That a list ends is told, and is a number, while no client comes; so it is when it is renewed.
func TestTheEndOfAListIsToldWithoutClients(t *testing.T) {
	t.Parallel()
	clients := newAuthority(t, "clients")
	f := newClientFiles(t)
	f.trust(t, clients)
	first, second := time.Now().Add(time.Hour).Truncate(time.Second), time.Now().Add(240*time.Hour).Truncate(time.Second)
	f.revoke(t, clients.list(t, first)) // good for a day in all
	p := policyOf(t, terminate.Config{Certificates: certsFor(t, carried), ClientAuth: &terminate.ClientAuth{CA: f.ca, Require: true, CRL: f.crl}})
	cfg := terminatedHost(carried, p, testPool("pool", echo(t)))
	r := serve(t, cfg)
	ends := func(at time.Time) bool {
		all := r.Stats().Lists
		return len(all) == 1 && all[0].File == f.crl && all[0].Until.Equal(at)
	}
	if !ends(first) {
		t.Errorf("the lists end %v, want %v", r.Stats().Lists, first)
	}
	until(t, "a line about the end", func() bool { return strings.Contains(r.log.String(), "a list of revoked certificates ends soon") })
	f.revoke(t, clients.list(t, second))
	until(t, "the renewed list", func() bool { return ends(second) })

	gone := clone(cfg)
	gone.Routes[0].Terminate = policyOf(t, terminate.Config{Certificates: certsFor(t, carried)})
	r.reload(t, gone)
	if all := r.Stats().Lists; len(all) != 0 || len(r.kept.Load().policies) != 0 {
		t.Errorf("after a reload without it the list is still followed: %v", all)
	}
}
