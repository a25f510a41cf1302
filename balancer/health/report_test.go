package health

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

func TestDescribe(t *testing.T) {
	many := make([]string, 3000)
	for i := range many {
		many[i] = fmt.Sprintf("name-%04d.example.com", i)
	}
	room := namesRoom / (len(many[0]) + 16)
	for _, c := range []struct {
		name string
		leaf x509.Certificate
		want []string
	}{
		{"names and addresses", x509.Certificate{DNSNames: []string{"*.example.com", "a.example.com"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}}, []string{"*.example.com", "a.example.com", "192.0.2.1"}},
		{"none", x509.Certificate{}, nil},
		{"those that are none are left out", x509.Certificate{DNSNames: []string{"", "a\x00b", "a b\n", strings.Repeat("a", 254), "bücher.example", "b.example.com"}}, []string{"b.example.com"}},
		{"as many as there is room for", x509.Certificate{DNSNames: many}, many[:room]},
	} {
		c.leaf.Raw, c.leaf.NotAfter = []byte("raw"), time.Unix(1, 0)
		want := &Certificate{NotAfter: time.Unix(1, 0), Names: c.want, Fingerprint: sha256.Sum256([]byte("raw"))}
		if diff := cmp.Diff(want, describe(&c.leaf)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestReasonIsALineAndTheSameEachTime(t *testing.T) {
	of := func(port int) error {
		return &failure{step: "request", err: &net.OpError{
			Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: port}, Err: errors.New("no buffer space"),
		}}
	}
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"none", nil, ""},
		{"without the port of our side", of(1), reason(of(2), 0)},
		{"in printable ASCII", &failure{step: "request", err: errors.New("a\x1b[2J\r\n\xff é")}, "request: a?[2J??? ?"},
		{"not too long", &failure{step: "request", err: errors.New(strings.Repeat("a", 1000))}, "request: " + strings.Repeat("a", 188) + "..."},
	} {
		if got := reason(c.err, time.Second); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// scriptConn is a backend that says its words and ends, whatever it hears.
type scriptConn struct {
	net.Conn
	words *bytes.Reader
}

func (c scriptConn) Read(p []byte) (int, error)  { return c.words.Read(p) }
func (c scriptConn) Write(p []byte) (int, error) { return len(p), nil }
func (c scriptConn) Close() error                { return nil }
func (c scriptConn) SetDeadline(time.Time) error { return nil }

// FuzzBackend lets a backend say anything to each type of check: the check ends, reads no more than its bounds, and
// says something printable about it.
func FuzzBackend(f *testing.F) {
	for _, words := range []string{
		"", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404 \r\nA: b\r\n\r\nbody", "HTTP/1.1 99999999999 x\r\n\r\n",
		"\x15\x03\x03\x00\x02\x02\x28", "\x16\x03\x03\x00\x04\x02\x00\x00\x00", "\x16\x03\x03\xff\xff", "\x14\x03\x03\x00\x01\x01",
	} {
		for typ := range 4 {
			f.Add(uint8(typ), []byte(words))
		}
	}
	f.Fuzz(func(t *testing.T, typ uint8, words []byte) {
		c := New(nil)
		defer c.Close()
		conn := scriptConn{words: bytes.NewReader(words)}
		c.dial = func(context.Context, netip.AddrPort, netip.Addr) (net.Conn, error) { return conn, nil }
		tgt := &target{place: place{to: backendA}, checker: c, check: settled(&pool.Check{Type: pool.CheckType(typ % 4), SNI: "a.example.com"})}
		var r Report
		tgt.watchers = []*watcher{{told: func(got Report) { r = got }}}
		tgt.checkOnce(time.Now())
		if len(r.Error) > maxReason || printable(r.Error) != r.Error || strings.Contains(r.Error, "panic") {
			t.Errorf("reason %q", r.Error)
		}
		if read := len(words) - conn.words.Len(); read > maxHeader+3*leftover {
			t.Errorf("%d bytes were read", read)
		}
	})
}
