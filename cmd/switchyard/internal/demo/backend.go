package demo

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Backend is an HTTPS service on a loopback port, with its own certificate.
type Backend struct {
	Host        string
	Addr        netip.AddrPort
	Fingerprint string // SHA-256 of its certificate, in hexadecimal

	server *http.Server
	done   chan struct{} // closed when the server has ended

	mu   sync.Mutex
	seen [][]byte // keying material of the latest sessions, at most remembered
}

// remembered is of how many sessions a backend keeps the keying material.
const remembered = 256

// NewBackend starts a service for host. It must be closed.
func NewBackend(a *Authority, host string) (*Backend, error) {
	cert, err := a.Issue(host)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("demo: backend %s: %w", host, err)
	}
	b := &Backend{
		Host:        host,
		Addr:        ln.Addr().(*net.TCPAddr).AddrPort(),
		Fingerprint: fingerprint(cert.Leaf.Raw),
		done:        make(chan struct{}),
	}
	b.server = &http.Server{
		Handler:           b,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		ErrorLog:          log.New(io.Discard, "", 0), // clients that hang up are no news here
		ReadHeaderTimeout: 10 * time.Second,
	}
	go b.serve(ln)
	return b, nil
}

func (b *Backend) serve(ln net.Listener) {
	defer close(b.done)
	_ = b.server.ServeTLS(ln, "", "") // returns when Close is called
}

// Close ends the service and its connections.
func (b *Backend) Close() {
	_ = b.server.Close()
	<-b.done
}

// ServeHTTP tells the client who answers, and notes the keying material of the session.
func (b *Backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if secret, err := export(r.TLS); err == nil {
		b.remember(secret)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "%s answers\n  certificate  SHA-256 %s\n  session      %s, %s, %s\n  connected by %s\n",
		b.Host, b.Fingerprint, tls.VersionName(r.TLS.Version), r.TLS.CurveID, r.Proto, r.RemoteAddr)
}

func (b *Backend) remember(secret []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.seen) == remembered {
		b.seen = append(b.seen[:0], b.seen[1:]...)
	}
	b.seen = append(b.seen, secret)
}

// saw reports whether a session with this keying material ended here.
func (b *Backend) saw(secret []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.seen {
		if string(s) == string(secret) {
			return true
		}
	}
	return false
}

// export derives bytes from a session that its two ends alone can know (RFC 8446 §7.5, RFC 5705).
func export(state *tls.ConnectionState) ([]byte, error) {
	return state.ExportKeyingMaterial("EXPERIMENTAL switchyard demo", nil, sha256.Size)
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
