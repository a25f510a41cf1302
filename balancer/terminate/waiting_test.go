package terminate

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"path/filepath"
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

// here is the aside of whoever waits for the look.
func here(look func()) { look() }

// The files of a policy lie where nobody answers any more: one handshake waits for them for a while, and others not at all; what
// they held before is in force.
func TestAHandshakeLeavesFilesAloneThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	f := newClientFiles(t)
	a, b := newIssuer(t, "a"), newIssuer(t, "b")
	f.trust(t, a)
	keys := filepath.Join(t.TempDir(), "keys")
	put := func(key byte) { f.put(t, keys, bytes.Repeat([]byte{key}, shortTicketKey)) }
	put(1)
	p, err := NewPolicy(Config{Certificates: &tardy{cert: testCertificate(t)}, ClientAuth: &ClientAuth{CA: f.ca}, Tickets: Tickets{Files: []string{keys}}})
	if err != nil {
		t.Fatal(err)
	}
	answer, hung := make(chan struct{}), make(chan string, 2)
	ca, ring := p.files.ca, p.trust.Load().terms.tickets.files[0]
	parseCA, parseKeys := ca.parse, ring.parse
	ca.parse = func(path string, data []byte) (*authorities, error) {
		hung <- "ca"
		<-answer
		return parseCA(path, data)
	}
	ring.parse = func(path string, data []byte) ([]ticketKey, error) {
		hung <- "keys"
		<-answer
		return parseKeys(path, data)
	}
	f.trust(t, b)
	put(2)

	term := New(Options{})
	name, err := route.ParseName("www.example.com")
	if err != nil {
		t.Fatal(err)
	}
	handshake := func() error {
		client, server := pipe(t)
		defer client.Close()
		ended := make(chan End, 1)
		term.Start(Job{FD: descriptor(t, server), Name: name, Policy: p, Base: time.Now(), Backends: noBackends{}, Done: func(e End) { ended <- e }})
		err := tls.Client(client, &tls.Config{ServerName: "www.example.com", InsecureSkipVerify: true}).Handshake()
		_ = client.Close()
		<-ended
		return err
	}
	patient := make(chan error, 1)
	go func() { patient <- handshake() }()
	for range cap(hung) {
		t.Logf("%s: nobody answers", <-hung)
		if err := handshake(); err != nil {
			t.Errorf("a handshake beside one that waits: %v", err)
		}
	}
	if err := <-patient; err != nil {
		t.Errorf("the handshake that has waited: %v", err)
	}
	term.Wait()
	if got := p.names(); got != "a/" {
		t.Errorf("in force is %q", got)
	}
	close(answer)
	for end := time.Now().Add(time.Minute); p.names() != "b/" && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if got := p.names(); got != "b/" {
		t.Errorf("once there is an answer %q is in force", got)
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
