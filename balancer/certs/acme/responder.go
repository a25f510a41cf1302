package acme

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// httpSolver answers http-01 (RFC 8555 §8.3) at an address, where nothing listens while no such validation is under way.
type httpSolver struct{ bind netip.AddrPort }

// Present implements [acmez.Solver].
func (s httpSolver) Present(_ context.Context, c acme.Challenge) error {
	return responders.add(s.bind, c.HTTP01ResourcePath(), c.KeyAuthorization)
}

// CleanUp implements [acmez.Solver].
func (s httpSolver) CleanUp(_ context.Context, c acme.Challenge) error {
	responders.remove(s.bind, c.HTTP01ResourcePath())
	return nil
}

// responders are the HTTP servers of the process, by address: Managers that answer at the same one share it.
var responders = responderMap{at: map[netip.AddrPort]*responder{}}

type responderMap struct {
	mu sync.Mutex // held while a server starts or stops, too
	at map[netip.AddrPort]*responder
}

// responder serves fixed texts at fixed paths.
type responder struct {
	server http.Server
	done   chan struct{}
	mu     sync.Mutex
	texts  map[string]string
}

// add serves a text at a path, and starts to listen if that is the first one.
func (m *responderMap) add(bind netip.AddrPort, path, text string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.at[bind]
	if r == nil {
		l, err := net.Listen("tcp", listenText(bind))
		if err != nil {
			return err
		}
		r = newResponder()
		go r.run(&few{Listener: l})
		m.at[bind] = r
	}
	r.set(path, text)
	return nil
}

// remove serves a path no more, and closes the listener with the last one.
func (m *responderMap) remove(bind netip.AddrPort, path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.at[bind]
	if r == nil || r.unset(path) > 0 {
		return
	}
	_ = r.server.Close()
	<-r.done
	delete(m.at, bind)
}

// Bounds of a request: the authority sends one line and a few headers.
const (
	requestTime   = 5 * time.Second
	requestHeader = 8 << 10 // bytes
)

// mostHeld is how many connections are held at one time: half of the descriptors that the balancer leaves to what is not its own.
const mostHeld = 32

// few is a listener that closes the connection that it has had the longest for one that comes beyond mostHeld. The authority
// asks at once; whoever says nothing is closed first. It has one goroutine that accepts.
type few struct {
	net.Listener
	held [mostHeld]net.Conn // some of them closed
	next int
}

// Accept implements [net.Listener].
func (l *few) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if oldest := l.held[l.next]; oldest != nil {
		_ = oldest.Close() // a second time, perhaps, which does nothing
	}
	l.held[l.next] = c
	l.next = (l.next + 1) % mostHeld
	return c, nil
}

func newResponder() *responder {
	r := &responder{done: make(chan struct{}), texts: map[string]string{}}
	r.server = http.Server{
		Handler: r, ReadTimeout: requestTime, WriteTimeout: requestTime, MaxHeaderBytes: requestHeader,
		ErrorLog: log.New(io.Discard, "", 0), // what strangers send to port 80 is no news
	}
	r.server.SetKeepAlivesEnabled(false)
	return r
}

func (r *responder) run(l net.Listener) {
	defer close(r.done)
	_ = r.server.Serve(l) // it returns once the server is closed
}

// ServeHTTP implements [http.Handler].
func (r *responder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	text, ok := r.texts[q.URL.Path]
	r.mu.Unlock()
	if !ok || q.Method != http.MethodGet {
		http.NotFound(w, q)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = io.WriteString(w, text)
}

func (r *responder) set(path, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts[path] = text
}

// unset returns how many paths are left.
func (r *responder) unset(path string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.texts, path)
	return len(r.texts)
}

// listenText writes an address for package net, to which an absent host means both families.
func listenText(bind netip.AddrPort) string {
	if !bind.Addr().IsValid() {
		return ":" + strconv.Itoa(int(bind.Port()))
	}
	return bind.String()
}
