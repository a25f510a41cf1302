package demo

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"testing"
	"time"
)

func setup(t *testing.T) (*Authority, *Backend) {
	t.Helper()
	a, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewBackend(a, "www.example.com")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return a, b
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestProbeIsContentWithTheBackendItself(t *testing.T) {
	a, b := setup(t)
	r, err := Probe(within(t, time.Minute), b.Addr, b, a.Pool())
	if err != nil || !r.Good() {
		t.Errorf("got %+v, %v", r, err)
	}
}

// The check would be worth nothing if it did not notice what it is there to notice.
func TestProbeNoticesAProxyThatDecrypts(t *testing.T) {
	a, b := setup(t)
	// Even with the backend's very own certificate and key.
	middle := decryptingProxy(t, a, b, b.server.TLSConfig.Certificates[0])
	r, err := Probe(within(t, time.Minute), middle, b, a.Pool())
	if err != nil || !r.Own || r.EndToEnd || r.Good() {
		t.Errorf("with the backend's own key: got %+v, %v", r, err)
	}
	other, err := a.Issue("www.example.com")
	if err != nil {
		t.Fatal(err)
	}
	r, err = Probe(within(t, time.Minute), decryptingProxy(t, a, b, other), b, a.Pool())
	if err != nil || r.Own || r.EndToEnd {
		t.Errorf("with another certificate: got %+v, %v", r, err)
	}
}

// decryptingProxy ends TLS with cert and begins it again toward b.
func decryptingProxy(t *testing.T, a *Authority, b *Backend, cert tls.Certificate) netip.AddrPort {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "https", Host: b.Addr.String()})
	transport := &http.Transport{TLSClientConfig: &tls.Config{ServerName: b.Host, RootCAs: a.Pool()}}
	forward.Transport = transport
	srv := &http.Server{Handler: forward}
	go srv.Serve(ln)
	t.Cleanup(func() {
		srv.Close()
		transport.CloseIdleConnections()
	})
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

func TestProbeUnknownWantsAnAlert(t *testing.T) {
	_, b := setup(t)
	if alert, err := ProbeUnknown(within(t, time.Minute), b.Addr, "unknown.example.org"); err == nil {
		t.Errorf("a backend that answers: got alert %q", alert)
	}
}

func TestBackendForgetsOldSessions(t *testing.T) {
	var b Backend
	for i := range remembered + 1 {
		b.remember([]byte{byte(i >> 8), byte(i)})
	}
	if b.saw([]byte{0, 0}) || !b.saw([]byte{0, 1}) || !b.saw([]byte{1, 0}) {
		t.Error("the oldest session alone is to be forgotten")
	}
}
