package balancer

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// acmeBackends are n backends that serve h2, the last of which has asked for a certificate, too.
func acmeBackends(t testing.TB, n int) (addrs []string) {
	for i := range n {
		cfg := &tls.Config{Certificates: []tls.Certificate{certFor(t, "a.example.com")}, NextProtos: []string{"h2"}}
		if i == n-1 {
			cfg.NextProtos = []string{"h2", "acme-tls/1"}
		}
		addrs = append(addrs, listenTCP(t, func(c *net.TCPConn) {
			tc := tls.Server(c, cfg)
			if tc.Handshake() == nil {
				io.Copy(tc, tc)
			}
		}))
	}
	return addrs
}

func TestACMEHellosAreOfferedToAll(t *testing.T) {
	t.Parallel()
	const n = 12
	tests := []struct {
		name    string
		protos  []string
		fanout  bool
		refused bool // by whatever alert
	}{
		{"a validation, and the pool wants it", []string{"acme-tls/1"}, true, false},
		{"a validation, and the pool does not", []string{"acme-tls/1"}, false, true},
		{"another protocol that nobody has", []string{"spdy/3"}, true, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := testPool("pool", acmeBackends(t, n)...)
			p.Balance, p.AcmeFanout = pool.First, test.fanout
			p.Outlier = &pool.Outlier{Failures: 1, Eject: time.Minute, MaxEjected: 100}
			s := serve(t, oneHost("a.example.com", p))
			for range 3 {
				c, err := tls.Dial("tcp", s.addr, &tls.Config{ServerName: "a.example.com", InsecureSkipVerify: true, NextProtos: test.protos})
				if (err != nil) != test.refused {
					t.Errorf("handshake: %v, want refused %v", err, test.refused)
				}
				if err == nil {
					if got := c.ConnectionState().NegotiatedProtocol; got != "acme-tls/1" {
						t.Errorf("spoke %q", got)
					}
					c.Close()
				}
			}
			for _, b := range s.Stats().Pools[0].Backends {
				if b.State != pool.StateUnknown || test.protos[0] == "acme-tls/1" && b.Failures != 0 {
					t.Errorf("%s is %v after %d failures; it is sound", b.Address, b.State, b.Failures)
				}
			}
		})
	}
}

// All attempts together have setup_timeout, however many backends there are.
func TestACMEFanoutIsBoundedInTime(t *testing.T) {
	t.Parallel()
	var silent []string
	for range 10 {
		silent = append(silent, listenTCP(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) }))
	}
	p := testPool("pool", silent...)
	p.AcmeFanout, p.AnswerTimeout, p.SetupTimeout = true, 100*time.Millisecond, 350*time.Millisecond
	s := serve(t, oneHost("a.example.com", p))
	began := time.Now()
	got, err := exchange(t, s.addr, helloBytes(t, "a.example.com", "acme-tls/1"))
	if took := time.Since(began); !bytes.Equal(got, alertOf(80)) || took < 300*time.Millisecond {
		t.Errorf("client got % x, %v after %v, want the alert internal_error after 350ms", got, err, took)
	}
	s.balanced(t)
	tried := uint64(0)
	for _, b := range s.Stats().Pools[0].Backends {
		tried += b.Failures
	}
	if tried > 4 { // each takes 100ms, however slow the machine
		t.Errorf("%d were tried in 350ms", tried)
	}
}
