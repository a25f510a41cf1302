package terminate

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/route"
)

// tardy is a source that has to wait for the certificate of slow.example.com.
type tardy struct {
	wait    func(certs.Waiter) bool // until it is to end
	cert    tls.Certificate
	waiting chan struct{} // closed once it waits
	waited  chan bool     // what the wait has answered
}

func (s *tardy) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello.ServerName != "slow.example.com" {
		return &s.cert, nil
	}
	close(s.waiting)
	s.waited <- s.wait(hello.Conn.(certs.Waiter))
	return nil, errors.New("its certificate never came")
}

// noBackends are none.
type noBackends struct{ Backends }

func (noBackends) Pick([]*pool.Backend, <-chan struct{}) (*pool.Backend, Failure) {
	return nil, NoBackend
}

// Whoever waits for a certificate holds no turn: with one turn, another client is served meanwhile.
func TestAHandshakeThatWaitsForItsCertificateHoldsNoTurn(t *testing.T) {
	t.Parallel()
	t.Run("a moment", func(t *testing.T) {
		t.Parallel()
		holdsNoTurn(t, func(w certs.Waiter) bool { return w.Wait(time.Hour) })
	})
	t.Run("for a file system that does not answer", func(t *testing.T) {
		t.Parallel()
		answer, over := make(chan struct{}), make(chan struct{})
		holdsNoTurn(t, func(w certs.Waiter) bool { return w.Aside(func() { defer close(over); <-answer }, time.Hour) })
		close(answer) // long after the connection has ended
		<-over
	})
}

func holdsNoTurn(t *testing.T, wait func(certs.Waiter) bool) {
	t.Helper()
	source := &tardy{wait: wait, cert: testCertificate(t), waiting: make(chan struct{}), waited: make(chan bool, 1)}
	p, err := NewPolicy(Config{Certificates: source, HandshakeTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	term := New(Options{Turns: 1, Patience: time.Hour})
	start := func(name string) (client net.Conn, c *Conn, ended chan End) {
		n, err := route.ParseName(name)
		if err != nil {
			t.Fatal(err)
		}
		client, server := pipe(t)
		ended = make(chan End, 1)
		return client, term.Start(Job{FD: descriptor(t, server), Name: n, Policy: p, Base: time.Now(), Backends: noBackends{}, Done: func(e End) { ended <- e }}), ended
	}
	slow, conn, ended := start("slow.example.com")
	var client sync.WaitGroup
	client.Go(func() { _ = tls.Client(slow, &tls.Config{ServerName: "slow.example.com"}).Handshake() })
	<-source.waiting

	fast, _, other := start("fast.example.com")
	if err := tls.Client(fast, &tls.Config{ServerName: "fast.example.com", InsecureSkipVerify: true}).Handshake(); err != nil {
		t.Errorf("another client: %v", err)
	}
	_ = fast.Close()
	<-other

	conn.Stop(true)
	if <-source.waited {
		t.Error("the wait was not cut short by the end of the connection")
	}
	<-ended
	client.Wait()
	term.Wait()
	if b := term.Stats().Budget; b.Running != 0 || b.Waiting != 0 {
		t.Errorf("at the end %+v", b)
	}
}

// descriptor takes the socket out of a connection.
func descriptor(t *testing.T, c net.Conn) int {
	t.Helper()
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	fd := -1
	if bad := raw.Control(func(of uintptr) { fd, err = syscall.Dup(int(of)) }); bad != nil || err != nil {
		t.Fatal(bad, err)
	}
	syscall.CloseOnExec(fd)
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	return fd
}

// What panics beside a handshake ends this connection alone.
func TestAPanicAsideIsOfItsConnection(t *testing.T) {
	t.Parallel()
	source := &tardy{wait: func(w certs.Waiter) bool { return w.Aside(func() { panic("a defect") }, time.Hour) }, waiting: make(chan struct{})}
	p, err := NewPolicy(Config{Certificates: source})
	if err != nil {
		t.Fatal(err)
	}
	name, err := route.ParseName("slow.example.com")
	if err != nil {
		t.Fatal(err)
	}
	client, server := pipe(t)
	ended := make(chan End, 1)
	term := New(Options{})
	term.Start(Job{FD: descriptor(t, server), Name: name, Policy: p, Base: time.Now(), Backends: noBackends{}, Done: func(e End) { ended <- e }})
	_ = tls.Client(client, &tls.Config{ServerName: "slow.example.com"}).Handshake()
	if e := <-ended; e.Failure != Defect || e.Panic != "a defect" {
		t.Errorf("%+v", e)
	}
	term.Wait()
}
