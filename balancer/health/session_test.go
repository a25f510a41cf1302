package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// tlsBackend is a backend in memory that counts its handshakes.
type tlsBackend struct {
	config                 atomic.Pointer[tls.Config]
	resumed, full, refused atomic.Int32
}

func newTLSBackend(config *tls.Config) *tlsBackend {
	b := &tlsBackend{}
	b.config.Store(config)
	return b
}

func (b *tlsBackend) dial(context.Context, netip.AddrPort, netip.Addr) (net.Conn, error) {
	ours, theirs := net.Pipe()
	config := b.config.Load()
	go func() {
		defer theirs.Close()
		s := tls.Server(theirs, config)
		if err := s.Handshake(); err != nil {
			b.refused.Add(1)
			return
		}
		if s.ConnectionState().DidResume {
			b.resumed.Add(1)
		} else {
			b.full.Add(1)
		}
		_, _ = io.Copy(io.Discard, s)
	}()
	return ours, nil
}

// watchTLS checks a backend with config every five seconds for ten minutes, and calls after each minute.
func watchTLS(t *testing.T, b *tlsBackend, check pool.Check, minute func(i int, r Report)) {
	l := newLab(works)
	l.Checker.dial = b.dial
	defer l.Close()
	check.Type, check.Interval = pool.CheckTLS, 5*time.Second
	var last atomic.Pointer[Report]
	l.Watch(backendA, &check, netip.Addr{}, func(r Report) { last.Store(&r) })
	for i := range 10 {
		time.Sleep(time.Minute)
		synctest.Wait()
		minute(i, *last.Load())
	}
}

func TestSessionsAreResumedBetweenFullHandshakes(t *testing.T) {
	for _, c := range []struct {
		name          string
		config        func(a *authority) *tls.Config
		full, refused int // at most in 10 minutes of about 126 checks; of the latter exactly
	}{
		{"TLS 1.3", func(*authority) *tls.Config { return &tls.Config{} }, 6, 0},
		{"TLS 1.2", func(*authority) *tls.Config { return &tls.Config{MaxVersion: tls.VersionTLS12} }, 6, 0},
		{"no tickets", func(*authority) *tls.Config { return &tls.Config{SessionTicketsDisabled: true} }, 200, 0},
		{"post-quantum groups only", func(*authority) *tls.Config {
			return &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}}
		}, 200, 1},
		{"fails when a session is resumed", func(*authority) *tls.Config {
			return &tls.Config{UnwrapSession: func([]byte, tls.ConnectionState) (*tls.SessionState, error) { return nil, errors.New("a defect") }}
		}, 200, 1},
		{"huge tickets", func(*authority) *tls.Config {
			return &tls.Config{
				MaxVersion:  tls.VersionTLS12, // a pipe without a buffer blocks on that of TLS 1.3, which is sent while we send
				WrapSession: func(tls.ConnectionState, *tls.SessionState) ([]byte, error) { return make([]byte, maxTicket+1), nil },
			}
		}, 200, 0},
		{"a huge certificate", func(a *authority) *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{a.issue(func(c *x509.Certificate) {
				for range 300 {
					c.DNSNames = append(c.DNSNames, "another.name.of.this.backend.example.com")
				}
			})}}
		}, 200, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthority()
				config := c.config(a)
				if config.Certificates == nil {
					config.Certificates = []tls.Certificate{a.issue(nil)}
				}
				b := newTLSBackend(config)
				watchTLS(t, b, pool.Check{SNI: "backend.example.com", Verify: pool.VerifyCA, CA: trust(a)}, func(i int, r Report) {
					if r.Error != "" {
						t.Fatalf("minute %d: %s", i, r.Error)
					}
				})
				full, resumed, refused := int(b.full.Load()), int(b.resumed.Load()), int(b.refused.Load())
				if full > c.full || full < 5 || refused != c.refused || full+resumed < 115 {
					t.Errorf("%d full handshakes, %d resumed, %d refused; want at most %d full, and %d refused", full, resumed, refused, c.full, c.refused)
				}
				if c.full > 100 && resumed > 0 {
					t.Errorf("%d were resumed", resumed)
				}
			})
		})
	}
}

// What a file of authorities has come to hold is what the next check verifies by, a resumed session or not.
func TestOtherAuthoritiesAreInForceAtTheNextCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, other := newAuthority(), newAuthority()
		ca := trust(a)
		b := newTLSBackend(&tls.Config{Certificates: []tls.Certificate{a.issue(nil)}})
		check := pool.Check{SNI: "backend.example.com", Verify: pool.VerifyCA, CA: ca, Rise: 1, Fall: 1}
		resumed := int32(0)
		watchTLS(t, b, check, func(i int, r Report) {
			trusts := i%4 < 2 // for two minutes each
			if trusts != (r.State == pool.StateUp) {
				t.Errorf("minute %d: %+v", i, r)
			}
			if !trusts && (b.resumed.Load() > resumed || r.Error != "certificate: signed by an unknown authority") {
				t.Errorf("minute %d: %d more resumed; %s", i, b.resumed.Load()-resumed, r.Error)
			}
			switch i % 4 {
			case 1:
				ca.change(other)
			case 3:
				ca.change(other, a)
			}
			resumed = b.resumed.Load()
		})
		if b.resumed.Load() == 0 {
			t.Error("nothing was ever resumed")
		}
	})
}

// The authorities are those of whoever watches: what has stopped to watch may not be followed any more.
func TestAuthoritiesAreThoseOfWhoWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, other := newAuthority(), newAuthority()
		b := newTLSBackend(&tls.Config{Certificates: []tls.Certificate{a.issue(nil)}})
		l := newLab(works)
		l.Checker.dial = b.dial
		defer l.Close()
		before, after := trust(a), trust(a)
		var first, second heard
		watch := func(ca *trusted, h *heard) (stop func()) {
			return l.Watch(backendA, &pool.Check{Type: pool.CheckTLS, Interval: time.Second, SNI: "backend.example.com", Verify: pool.VerifyCA, CA: ca}, netip.Addr{}, h.told)
		}
		stop := watch(before, &first)
		time.Sleep(3 * time.Second)
		watch(after, &second)
		stop()
		if l.count.Load() != 1 {
			t.Fatalf("%d targets", l.count.Load())
		}
		before.change(other)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if r := second.last(); r.State != pool.StateUp || r.Failures > 0 {
			t.Errorf("verified by the authorities of who has stopped: %+v", r)
		}
		after.change(other)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if r := second.last(); r.State != pool.StateDown {
			t.Errorf("not verified by the authorities of who watches: %+v", r)
		}
	})
}

func TestNewCertificateIsSeenInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority()
		b := newTLSBackend(&tls.Config{Certificates: []tls.Certificate{a.issue(nil)}})
		var old, renewed *Certificate
		watchTLS(t, b, pool.Check{SNI: "backend.example.com"}, func(i int, r Report) {
			switch i {
			case 2:
				old = r.Certificate
				next := b.config.Load().Clone() // with the ticket keys of before
				next.Certificates = []tls.Certificate{a.issue(nil)}
				b.config.Store(next)
			case 5:
				renewed = r.Certificate
			}
		})
		if bytes.Equal(old.Fingerprint[:], renewed.Fingerprint[:]) {
			t.Error("after three minutes, the certificate is still the old one")
		}
	})
}

// A session must not carry a backend past the end of its certificate, nor past a verification that has failed.
func TestSessionDoesNotHideABadCertificate(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*x509.Certificate)
		ca   bool
		want [10]bool // whether it is good after each minute
	}{
		{"that expires meanwhile", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(3*time.Minute + 30*time.Second) }, true, [10]bool{true, true, true}},
		{"that nobody has issued", nil, false, [10]bool{}},
		{"that is for another name", func(c *x509.Certificate) { c.DNSNames = []string{"other.example.com"} }, true, [10]bool{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, ca := newAuthority(), trust()
				if c.ca {
					ca.change(a)
				}
				b := newTLSBackend(&tls.Config{Certificates: []tls.Certificate{a.issue(c.edit)}})
				watchTLS(t, b, pool.Check{SNI: "backend.example.com", Verify: pool.VerifyCA, CA: ca, Rise: 1}, func(i int, r Report) {
					if good := r.Failures == 0; good != c.want[i] {
						t.Errorf("minute %d: %+v", i, r)
					}
					if !c.want[i] && r.Failures < 5 {
						t.Errorf("minute %d: %d failures in a row only", i, r.Failures)
					}
				})
			})
		})
	}
}
