package demo

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"

	"github.com/seed-23b4a313/switchyard/peek"
)

// Result is what a handshake through the balancer showed.
type Result struct {
	Host        string
	Fingerprint string // of the certificate that the client got
	Version     string
	Group       string // of the key exchange
	// Own says that it is the certificate of the backend for this host.
	Own bool
	// EndToEnd says that the backend exported the same keying material from the session as the client: nobody
	// between them has its keys.
	EndToEnd bool
}

// Good reports whether everything is as it should be.
func (r *Result) Good() bool { return r.Own && r.EndToEnd }

// Probe connects to the balancer at addr as a client of b would, and compares what both ends know. Certificates are
// verified against roots.
func Probe(ctx context.Context, addr netip.AddrPort, b *Backend, roots *x509.CertPool) (*Result, error) {
	d := tls.Dialer{Config: &tls.Config{ServerName: b.Host, RootCAs: roots}}
	conn, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Host, err)
	}
	defer conn.Close()
	if err := get(ctx, conn, b.Host); err != nil {
		return nil, fmt.Errorf("%s: %w", b.Host, err)
	}
	state := conn.(*tls.Conn).ConnectionState()
	secret, err := export(&state)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Host, err)
	}
	got := fingerprint(state.PeerCertificates[0].Raw)
	return &Result{
		Host: b.Host, Fingerprint: got, Version: tls.VersionName(state.Version), Group: state.CurveID.String(),
		Own: got == b.Fingerprint, EndToEnd: b.saw(secret),
	}, nil
}

// get asks for a page, after which the backend has noted the session.
func get(ctx context.Context, conn net.Conn, host string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/", nil)
	if err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if err := req.Write(conn); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// ProbeUnknown connects with a name that no route has, and returns the alert that refuses it, such as
// "unrecognized_name".
func ProbeUnknown(ctx context.Context, addr netip.AddrPort, host string) (alert string, err error) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return "", err
	}
	defer raw.Close()
	tap := &tap{Conn: raw}
	if err := tls.Client(tap, &tls.Config{ServerName: host}).HandshakeContext(ctx); err == nil {
		return "", fmt.Errorf("%s: a handshake came about", host)
	}
	var flight peek.ServerFlight
	if err := peek.ParseServerFlight(tap.read, &flight); err != nil {
		return "", fmt.Errorf("%s: the answer is no alert: %w", host, err)
	}
	if !flight.Alert {
		return "", errors.New(host + ": a server answered")
	}
	return peek.AlertName(flight.AlertDescription), nil
}

// tap keeps what was read from a connection.
type tap struct {
	net.Conn
	read []byte
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.read = append(t.read, p[:n]...)
	return n, err
}
