//go:build linux

package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/cmd/switchyard/internal/demo"
)

// stopYard is a balancer with two backends: www.example.com answers once, echo.example.com sends back what it gets.
func stopYard(t *testing.T, drain string) (y *live, ca *demo.Authority) {
	t.Helper()
	ca, _ = newAuthority(t)
	serve := func(host string, f func(*tls.Conn)) netip.AddrPort {
		return serveTLS(t, &tls.Config{Certificates: []tls.Certificate{issue(t, ca, host)}}, f)
	}
	return runLive(t, fmt.Sprintf("drain: %s", drain)+oneListener+fmt.Sprintf(`
routes:
  - {name: www, hosts: [www.example.com], pool: web}
  - {name: echo, hosts: [echo.example.com], pool: echo}
pools:
  - {name: web, backends: ["%s"]}
  - {name: echo, backends: ["%s"]}
`, serve("www.example.com", answerHTTP), serve("echo.example.com", func(c *tls.Conn) { _, _ = io.Copy(c, c) }))), ca
}

// held is an open session with the echo. It shows what its socket was closed with.
type held struct {
	*tls.Conn
	raw *endWatch
}

// endWatch remembers the first error that reading met.
type endWatch struct {
	net.Conn
	err error
}

func (e *endWatch) Read(p []byte) (int, error) {
	n, err := e.Conn.Read(p)
	if e.err == nil {
		e.err = err
	}
	return n, err
}

// hold opens n sessions with the echo and uses each once.
func (y *live) hold(t *testing.T, ca *demo.Authority, n int) (all []held) {
	t.Helper()
	for range n {
		raw, err := net.Dial("tcp", y.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { raw.Close() })
		if err := raw.SetDeadline(time.Now().Add(2 * patience)); err != nil {
			t.Fatal(err)
		}
		watch := &endWatch{Conn: raw}
		h := held{tls.Client(watch, &tls.Config{ServerName: "echo.example.com", RootCAs: ca.Pool()}), watch}
		h.use(t)
		all = append(all, h)
	}
	return all
}

// use sends a line and wants it back.
func (h held) use(t *testing.T) {
	t.Helper()
	const line = "still there\n"
	if _, err := io.WriteString(h, line); err != nil {
		t.Fatal(err)
	}
	if got, err := bufio.NewReader(h).ReadString('\n'); err != nil || got != line {
		t.Fatalf("echo: got %q, %v", got, err)
	}
}

// finish ends the session in order: it says so, waits until the echo has, and closes.
func (h held) finish() error {
	if err := h.CloseWrite(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, h); err != nil {
		return err
	}
	return h.raw.Close()
}

// R4: not ready first, so that whoever sends clients can stop; then nobody is accepted; then those who are there end
// by themselves.
func TestRealStopBreaksNobody(t *testing.T) {
	t.Parallel()
	const announce = 2 * time.Second
	y, ca := stopYard(t, "{announce: 2s, max: 1h}")
	sessions := y.hold(t, ca, 50)
	load := startLoad(t, y.addr, ca.Pool(), 8)
	eventually(t, "traffic", func() bool { return load.good.Load() > 100 })
	if status, body := y.get(t, "readyz"); status != http.StatusOK {
		t.Errorf("/readyz before: %d %q, want 200", status, body)
	}

	signalled := time.Now()
	y.signal(t, syscall.SIGTERM)
	eventually(t, "/readyz is 503", func() bool {
		status, _ := y.get(t, "readyz")
		return status == http.StatusServiceUnavailable
	})
	load.end() // as whoever sends clients here does
	if took := time.Since(signalled); took > announce {
		t.Logf("this machine took %v to notice: those who came later are not judged", took)
	} else if n := load.refused.Load() + load.unanswered.Load() + load.cut.Load(); n != 0 {
		t.Errorf("%d of %d clients failed, the first with: %v", n, load.good.Load()+n, *load.first.Load())
	}

	eventually(t, "nobody listens", func() bool { return !listens(y.addr) })
	if status, body := y.get(t, "readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "draining") {
		t.Errorf("/readyz while draining: %d %q, want 503 draining", status, body)
	}
	if status, _ := y.get(t, "healthz"); status != http.StatusOK {
		t.Errorf("/healthz while draining: %d, want 200", status)
	}
	for _, s := range sessions {
		s.use(t)
		if err := s.finish(); err != nil {
			t.Errorf("session held over the stop: %v", err)
		}
	}
	if code := y.exit(t); code != 0 {
		t.Errorf("exit status: got %d, want 0", code)
	}
	y.line(t, `"msg":"stopped","connections_cut":0,`)
	for _, e := range y.connections(t) {
		if e.Cause != "ok" {
			t.Errorf("a connection ended with %s: %+v", e.Cause, e)
		}
	}
}

// What does not end in time is closed in order: clients read an end of file and no reset.
func TestRealStopClosesTheRest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, drain string
		signals     int
	}{
		{"after drain.max", "{max: 200ms}", 1},
		{"at once by a second signal", "{max: 1h}", 2},
		{"at once by a second signal while it is announced", "{announce: 1h, max: 1h}", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			y, ca := stopYard(t, c.drain)
			sessions := y.hold(t, ca, 20)
			for range c.signals {
				y.signal(t, syscall.SIGTERM)
				y.line(t, `"msg":"draining","signal":"terminated","connections":20`)
			}
			for _, s := range sessions {
				if _, err := s.Read(make([]byte, 1)); err == nil || s.raw.err != io.EOF {
					t.Errorf("got %v, and from the socket %v; want an end of file", err, s.raw.err)
				}
			}
			if code := y.exit(t); code != 0 {
				t.Errorf("exit status: got %d, want 0", code)
			}
			y.line(t, `"msg":"stopped","connections_cut":20,`)
			ended := y.connections(t)
			for _, e := range ended {
				if e.Cause != "draining" {
					t.Errorf("a connection ended with %s, want draining", e.Cause)
				}
			}
			if len(ended) != 20 {
				t.Errorf("the log has %d connections, want 20", len(ended))
			}
		})
	}
}
