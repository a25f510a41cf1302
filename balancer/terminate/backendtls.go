package terminate

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"sync"
)

// BackendTLS says how TLS is spoken with the backends of a pool. It is what [pool.Config] carries in TLS, as a pointer,
// and is not changed once it is there.
type BackendTLS struct {
	SNI         string           // to send and to verify; "": the name that the client asked for
	CA          *x509.CertPool   // nil: the system's
	Insecure    bool             // the backend's certificate is not verified
	Certificate *tls.Certificate // to show to backends; nil: none
	ALPN        []string         // to offer; empty: what was agreed with the client

	once     sync.Once
	sessions tls.ClientSessionCache // with backends, verified or not as all of this pool's are
}

// sessionsKept is how many names a pool keeps a session for.
const sessionsKept = 256

// config is what a connection for the server name of a client hands to crypto/tls.
func (t *BackendTLS) config(name, agreed string) *tls.Config {
	t.once.Do(func() { t.sessions = tls.NewLRUClientSessionCache(sessionsKept) })
	cfg := &tls.Config{
		ServerName: name, RootCAs: t.CA, InsecureSkipVerify: t.Insecure, NextProtos: t.ALPN, ClientSessionCache: t.sessions,
		MinVersion: tls.VersionTLS12,
	}
	if t.SNI != "" {
		cfg.ServerName = t.SNI
	}
	if t.Certificate != nil {
		cfg.Certificates = []tls.Certificate{*t.Certificate}
	}
	if len(t.ALPN) == 0 && agreed != "" {
		cfg.NextProtos = []string{agreed}
	}
	return cfg
}

// agreed reports a backend that does not speak what the client was promised. HTTP/1.1 is what is spoken without ALPN.
func (t *BackendTLS) agreed(got, promised string) (Failure, error) {
	if len(t.ALPN) > 0 || got == promised || got == "" && promised == "http/1.1" {
		return None, nil
	}
	return BackendRefused, errors.New("does not speak " + promised)
}

// Equal reports whether other is a *BackendTLS that means the same, however often its files were read.
func (t *BackendTLS) Equal(other any) bool {
	o, ok := other.(*BackendTLS)
	if !ok || t == nil || o == nil {
		return ok && t == o
	}
	return t.SNI == o.SNI && t.Insecure == o.Insecure && slices.Equal(t.ALPN, o.ALPN) &&
		(t.CA == nil) == (o.CA == nil) && (t.CA == nil || t.CA.Equal(o.CA)) && samePair(t.Certificate, o.Certificate)
}

// samePair reports whether two certificates, or none, are the same, with their chains and their keys.
func samePair(a, b *tls.Certificate) bool {
	if a == nil || b == nil {
		return a == b
	}
	key, ok := a.PrivateKey.(interface{ Equal(crypto.PrivateKey) bool })
	return ok && key.Equal(b.PrivateKey) && slices.EqualFunc(a.Certificate, b.Certificate, bytes.Equal)
}
