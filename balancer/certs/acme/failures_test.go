package acme_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/certs/acme"
)

// Each edit of a route's hosts makes another Manager, which goes on where the one before it was: what has failed is not ordered
// again before its pause is over, unless somebody asks for it, and not too often then.
func TestAFailureOutlivesItsManager(t *testing.T) {
	a := newAuthority(t, life)
	a.vacate(t) // nobody answers validations
	var orders atomic.Int64
	behind := *a.handler.Load()
	counting := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/order-plz") {
			w = &created{w, &orders}
		}
		behind.ServeHTTP(w, r)
	}))
	a.handler.Store(&counting)
	one, two := a.config(t, "a.example.com"), a.config(t, "a.example.com", "b.example.com")
	two.Storage = one.Storage
	pending := func(m *acme.Manager, name string) *certs.Pending {
		_, err := m.Certificate(name)
		p, _ := errors.AsType[*certs.Pending](err)
		return p
	}

	log := &journal{}
	m, _ := manager(t, one)
	m.Start(log.logger())
	eventually(t, "the first failure", log, func() bool { p := pending(m, "a.example.com"); return p.Last != "" && !p.Next.IsZero() })
	first := pending(m, "a.example.com")
	for n := range 6 {
		before := m
		m, _ = manager(t, [...]acme.Config{two, one}[n%2])
		m.Start(log.logger())
		before.Stop()
		if p := pending(m, "a.example.com"); p.Last != first.Last || p.Next.Sub(first.Next).Abs() > time.Second {
			t.Errorf("Manager %d begins with %+v, after %+v", n, p, first)
		}
		eventually(t, "a wait for a.example.com", log, func() bool {
			return strings.Count(log.String(), "the next one waits\" acme="+strings.TrimPrefix(a.URL, "https://")+"-dir identifier=a.example.com") == n+1
		})
		if n == 0 {
			eventually(t, "the first failure of b", log, func() bool { return m.Orders().Failed == 1 })
		}
	}
	if n := orders.Load(); n != 2 {
		t.Errorf("%d orders were made for two hosts", n)
	}

	elsewhere := two
	elsewhere.Storage = a.config(t).Storage
	other, _ := manager(t, elsewhere)
	other.Start(log.logger())
	eventually(t, "orders for another account", log, func() bool { return other.Orders().Failed == 2 })
	other.Stop()

	for n := range 3 {
		failed := m.Orders().Failed
		if hosts, resting := acme.TryAgain(); hosts != 1 || resting != 0 {
			t.Fatalf("time %d: %d hosts are tried again, %d rest", n, hosts, resting)
		}
		eventually(t, "another failure", log, func() bool { return m.Orders().Failed == failed+1 && !pending(m, "a.example.com").Next.IsZero() })
	}
	if hosts, resting := acme.TryAgain(); hosts != 0 || resting != 1 {
		t.Errorf("a fourth time within an hour: %d hosts are tried again, %d rest", hosts, resting)
	}
	if p := pending(m, "a.example.com"); time.Until(p.Next) < 4*time.Minute || !p.Since.Before(first.Next) {
		t.Errorf("after four failures: %+v", p)
	}
	m.Stop()
	if hosts, _ := acme.TryAgain(); hosts != 0 {
		t.Error("what is not started is tried again")
	}
}

// created counts answers that say that something was made: the authority refuses some requests for their nonce, as one may, and
// they are made again.
type created struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (w *created) WriteHeader(status int) {
	if status == http.StatusCreated {
		w.n.Add(1)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Who has mended the cause has the certificate at once, and the failures are forgotten.
func TestWhatWasMendedIsOrderedAtOnce(t *testing.T) {
	a := newAuthority(t, life)
	cfg := a.config(t, "a.example.com")
	behind := a.handler.Load()
	broken := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/order-plz") {
			(*behind).ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"type":"urn:ietf:params:acme:error:caa","detail":"not by this authority"}`)
	}))
	a.handler.Store(&broken)
	m, s := manager(t, cfg)
	a.serve(t, s)
	log := &journal{}
	m.Start(log.logger())
	eventually(t, "a failure", log, func() bool { return m.Orders().Failed == 1 })
	a.handler.Store(behind)
	if hosts, _ := acme.TryAgain(); hosts != 1 {
		t.Fatalf("%d hosts are tried again", hosts)
	}
	eventually(t, "the certificate", log, func() bool { _, err := m.Certificate("a.example.com"); return err == nil })
	if acme.Remembers(m, "a.example.com") {
		t.Error("its failures are remembered")
	}
	if hosts, _ := acme.TryAgain(); hosts != 0 {
		t.Error("a host that has its certificate is tried again")
	}
}
