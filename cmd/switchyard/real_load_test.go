//go:build linux

package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is clients that connect again and again as www.example.com, verify the certificate, ask for a page and read
// the answer to its end.
type load struct {
	addr       netip.AddrPort
	cfg        *tls.Config
	good       atomic.Int64
	unanswered atomic.Int64 // failed without a byte from a backend
	cut        atomic.Int64 // failed after one
	refused    atomic.Int64 // connect found nobody listening
	first      atomic.Pointer[error]

	stop    atomic.Bool
	running sync.WaitGroup
}

// startLoad starts clients that go on until end, or the end of the test.
func startLoad(t *testing.T, addr netip.AddrPort, roots *x509.CertPool, clients int) *load {
	l := &load{addr: addr, cfg: &tls.Config{ServerName: "www.example.com", RootCAs: roots}}
	for range clients {
		l.running.Go(func() {
			for !l.stop.Load() && l.one() {
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

// end waits until all clients have their answers.
func (l *load) end() {
	l.stop.Store(true)
	l.running.Wait()
}

// one is one connection. It reports whether somebody listens.
func (l *load) one() bool {
	raw, err := net.DialTimeout("tcp", l.addr.String(), patience)
	if err != nil {
		l.refused.Add(1)
		l.first.CompareAndSwap(nil, &err)
		return false
	}
	defer raw.Close()
	counted := &countedConn{Conn: raw}
	err = l.talk(counted)
	switch {
	case err == nil:
		l.good.Add(1)
	case counted.read == 0:
		l.unanswered.Add(1)
		l.first.CompareAndSwap(nil, &err)
	default:
		l.cut.Add(1)
		l.first.CompareAndSwap(nil, &err)
	}
	return true
}

func (l *load) talk(raw net.Conn) error {
	if err := raw.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	conn := tls.Client(raw, l.cfg)
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\nHost: www.example.com\r\n\r\n"); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err == nil && !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
		err = &net.ParseError{Type: "answer", Text: string(answer)}
	}
	return err
}

// countedConn counts what was read.
type countedConn struct {
	net.Conn
	read int
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read += n
	return n, err
}

// answerHTTP is a backend for load.
func answerHTTP(conn *tls.Conn) {
	var request [512]byte
	if _, err := conn.Read(request[:]); err == nil {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhere") // the client misses what is not sent
	}
}
