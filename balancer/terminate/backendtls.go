package terminate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"sync"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
)

// BackendTLS says how TLS is spoken with the backends of a pool. It is what [pool.Config] carries in TLS, as a pointer,
// and is not changed once it is there.
type BackendTLS struct {
	SNI string // to send and to verify; "": the name that the client asked for
	// Files has the authorities to trust, and a default certificate to show to backends; both are followed as its files
	// change, as long as a [certs.Keeper] keeps it. nil: those of the system, and none.
	Files    *certs.Set
	Insecure bool     // the backend's certificate is not verified
	ALPN     []string // to offer; empty: what was agreed with the client

	mu   sync.Mutex
	last spoken // what the last connection was made with
}

// FilesOf is what the TLS of a pool shows to its backends and trusts them by; nil if that is nothing.
func FilesOf(x any) *certs.Set {
	if t, ok := x.(*BackendTLS); ok && t != nil {
		return t.Files
	}
	return nil
}

// spoken is what is trusted and shown at one time, and the sessions with backends that came of it.
type spoken struct {
	trusted  *x509.CertPool   // nil: the system's
	shown    *tls.Certificate // nil: none
	sessions tls.ClientSessionCache
}

// sessionsKept is how many names a pool keeps a session for.
const sessionsKept = 256

// config is what a connection for the server name of a client hands to crypto/tls.
func (t *BackendTLS) config(name, agreed string) *tls.Config {
	now := t.spoken()
	cfg := &tls.Config{
		ServerName: name, RootCAs: now.trusted, InsecureSkipVerify: t.Insecure, NextProtos: t.ALPN, ClientSessionCache: now.sessions,
		MinVersion: tls.VersionTLS12,
	}
	if t.SNI != "" {
		cfg.ServerName = t.SNI
	}
	if now.shown != nil {
		cfg.Certificates = []tls.Certificate{*now.shown}
	}
	if len(t.ALPN) == 0 && agreed != "" {
		cfg.NextProtos = []string{agreed}
	}
	return cfg
}

// AsksForTheClient reports whether backends are asked for a name or a protocol that a client has chosen: what they refuse then
// may be the client's fault.
func (t *BackendTLS) AsksForTheClient() bool { return t.SNI == "" || len(t.ALPN) == 0 }

// spoken is what the files say now. What was agreed with others than are trusted now, or as somebody else than is shown now,
// is not resumed: a resumed session shows no certificate, and verifies none.
func (t *BackendTLS) spoken() spoken {
	var now spoken
	if t.Files != nil {
		now.trusted, now.shown = t.Files.Authorities(), t.Files.Default()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last.sessions == nil || now.trusted != t.last.trusted || now.shown != t.last.shown {
		now.sessions = tls.NewLRUClientSessionCache(sessionsKept)
		t.last = now
	}
	return t.last
}

// agreed reports a backend that does not speak what the client was promised. HTTP/1.1 is what is spoken without ALPN.
func (t *BackendTLS) agreed(got, promised string) (Failure, error) {
	if len(t.ALPN) > 0 || got == promised || got == "" && promised == "http/1.1" {
		return None, nil
	}
	return BackendRefused, errors.New("does not speak " + promised)
}

// Equal reports whether other is a *BackendTLS that means the same, from the same files. What these hold does not matter: both
// follow them.
func (t *BackendTLS) Equal(other any) bool {
	o, ok := other.(*BackendTLS)
	if !ok || t == nil || o == nil {
		return ok && t == o
	}
	return t.SNI == o.SNI && t.Insecure == o.Insecure && slices.Equal(t.ALPN, o.ALPN) && t.Files.Equal(o.Files)
}
