package balancer

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"syscall"
	"testing"

	"errors"

	"github.com/seed-23b4a313/switchyard/route"
)

func TestPassthroughReachesTheBackendOfTheName(t *testing.T) {
	t.Parallel()
	addrA, certA := tlsEcho(t, "a.example.com")
	addrB, certB := tlsEcho(t, "b.example.com")
	cfg := oneHost("a.example.com", testPool("pool", addrA))
	cfg.Pools = append(cfg.Pools, testPool("other", addrB))
	cfg.Routes = append(cfg.Routes, route.Route{Name: "b", Index: 1, Hosts: []string{"*.example.com"}, Action: toPool("other")})
	s := serve(t, cfg)
	for name, want := range map[string][]byte{
		"a.example.com": certA.Certificate[0], "b.example.com": certB.Certificate[0], "A.Example.COM": certA.Certificate[0],
	} {
		c := tlsDial(t, s.addr, name)
		if got := c.ConnectionState().PeerCertificates[0].Raw; !bytes.Equal(got, want) {
			t.Errorf("%s: the certificate is not its backend's", name)
		}
		msg := make([]byte, 300<<10)
		rand.Read(msg)
		go func() { c.Write(msg); c.CloseWrite() }()
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, msg) {
			t.Errorf("%s: echo of %d bytes came back as %d bytes, err %v", name, len(msg), len(got), err)
		}
		c.Close()
	}
	s.closed(t, CauseOK, 3)
	s.quiet(t)
}

// An alert reaches a client that is still sending: no RST overtakes it.
func TestUnknownNameGetsAnAlertThatCanBeRead(t *testing.T) {
	t.Parallel()
	addr, _ := tlsEcho(t, "a.example.com")
	s := serve(t, oneHost("a.example.com", testPool("pool", addr)))
	for range 50 {
		c := dial(t, s.addr)
		c.Write(helloBytes(t, "unknown.example.org"))
		c.Write(make([]byte, 10_000))
		got, err := readAll(c)
		if want := []byte{21, 3, 3, 0, 2, 2, 112}; !bytes.Equal(got, want) || err != nil {
			t.Fatalf("got % x, %v, want the alert unrecognized_name % x and an orderly end", got, err, want)
		}
		c.Close()
	}
	s.closed(t, CauseNoRoute, 50)
}

func TestRejectResetIsAReset(t *testing.T) {
	t.Parallel()
	addr, _ := tlsEcho(t, "a.example.com")
	cfg := oneHost("a.example.com", testPool("pool", addr))
	cfg.Listeners[0].UnknownSNI = reject(route.RejectReset)
	s := serve(t, cfg)
	c := dial(t, s.addr)
	c.Write(helloBytes(t, "unknown.example.org"))
	if _, err := readAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
	s.closed(t, CauseNoRoute, 1)
}

// A hello that is cut into single bytes arrives, and the backend gets exactly the bytes that the client sent.
func TestHelloInSingleBytesArrivesUnchanged(t *testing.T) {
	t.Parallel()
	got := make(chan []byte, 1)
	hello := helloBytes(t, "a.example.com")
	addr := listenTCP(t, func(c *net.TCPConn) {
		b := make([]byte, len(hello)+5)
		io.ReadFull(c, b[:len(hello)])
		c.Write([]byte("answer")) // what follows the hello may wait in the client's socket until then
		io.ReadFull(c, b[len(hello):])
		got <- b
	})
	s := serve(t, oneHost("a.example.com", testPool("pool", addr)))
	c := dial(t, s.addr)
	for i := range hello {
		c.Write(hello[i : i+1])
	}
	c.Write([]byte("after"))
	if b := <-got; !bytes.Equal(b, append(hello, "after"...)) {
		t.Error("the backend got other bytes than the client sent")
	}
	if b, err := readAll(c); string(b) != "answer" || err != nil {
		t.Errorf("client got %q, %v", b, err)
	}
}
