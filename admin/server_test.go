package admin

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestServesOnTCP(t *testing.T) {
	s := newServer(t, busy())
	if s.Addr().IsValid() {
		t.Errorf("address before listening is %v", s.Addr())
	}
	if err := s.ListenTCP("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if s.Addr().Port() == 0 {
		t.Fatalf("address is %v", s.Addr())
	}
	got := exchange(t, "tcp", s.Addr().String(), "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.HasSuffix(got, "ok\n") {
		t.Errorf("answer is %q", got)
	}
	if err := s.ListenTCP(s.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second listener at the same address: %v", err)
	}
}

// exchange sends request and returns all that comes back.
func exchange(t *testing.T, network, addr, request string) string {
	t.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAnswersToWhatIsNoProperRequest(t *testing.T) {
	s := newServer(t, busy())
	if err := s.ListenTCP("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	cases := []struct{ name, request, want string }{
		{"header larger than allowed", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 3*maxHeaderBytes) + "\r\n\r\n", "HTTP/1.1 431 "},
		{"request line larger than allowed", "GET /" + strings.Repeat("x", 3*maxHeaderBytes) + " HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 431 "},
		{"OPTIONS of everything", "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 405 "},
		{"CONNECT", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\nConnection: close\r\n\r\n", "HTTP/1.1 405 "},
		{"path of another host", "GET http://other.example/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 "},
		{"a ClientHello", "\x16\x03\x01\x00\x04\r\n\r\n", "HTTP/1.1 400 "},
		{"no host", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, c.request) // may be cut short by the answer
			line, err := bufio.NewReader(conn).ReadString('\n')
			if !strings.HasPrefix(line, c.want) {
				t.Errorf("answer to %.60q is %q, %v, want %q", c.request, line, err, c.want)
			}
		})
	}
}

func TestSocketIsPrivateAndRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	s := New(Options{Source: busy()})
	if err := s.ListenUnix(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Fatalf("mode is %v, %v, want a socket of 0600", info.Mode(), err)
	}
	got := exchange(t, "unix", path, "GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, `"state": "ready"`) {
		t.Errorf("answer is %q", got)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Close: %v, want the file gone", err)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := s.ListenUnix(path); err == nil {
		t.Error("a closed server listens again")
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after listening failed: %v, want the file gone", err)
	}
}

func TestSocketThatIsAlreadyThere(t *testing.T) {
	live := func(t *testing.T, path string) {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	}
	file := func(t *testing.T, path string) {
		if err := os.WriteFile(path, []byte("precious"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name string
		make func(*testing.T, string)
		want string // of the error; empty: replaced
	}{
		{"left behind by a dead process", leaveSocket, ""},
		{"in use by a living one", live, "another process answers on it"},
		{"not a socket", file, "there is a file that is not a socket"},
		{"a link to a socket left behind", func(t *testing.T, path string) {
			leaveSocket(t, path+".real")
			if err := os.Symlink(path+".real", path); err != nil {
				t.Fatal(err)
			}
		}, "there is a file that is not a socket"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			c.make(t, path)
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			err = newServer(t, busy()).ListenUnix(path)
			after, statErr := os.Lstat(path)
			if statErr != nil {
				t.Fatal(statErr)
			}
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error is %v, want one that says %q", err, c.want)
			case c.want != "" && !os.SameFile(before, after):
				t.Error("the file was replaced")
			}
		})
	}
}

func TestSocketOfASuccessorIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first, second := newServer(t, busy()), newServer(t, busy())
	if err := first.ListenUnix(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := second.ListenUnix(path); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := exchange(t, "unix", path, "GET /healthz HTTP/1.0\r\n\r\n"); !strings.HasSuffix(got, "ok\n") {
		t.Errorf("the successor answers %q", got)
	}
}

// A successor that comes at the very moment at which a socket is closed keeps its own, which may have the number of the
// file before it.
func TestSocketOfASuccessorInAHurryIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for range 2000 {
		first, err := listenUnix(path)
		if err != nil {
			t.Fatal(err)
		}
		came := make(chan *socket)
		go func() {
			second, err := listenUnix(path)
			for err != nil {
				second, err = listenUnix(path)
			}
			came <- second
		}()
		if err := first.Close(); err != nil {
			t.Error(err)
		}
		second := <-came
		if _, err := os.Lstat(path); err != nil {
			t.Fatalf("the socket of the successor: %v", err)
		}
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestListenErrorsSayWhere(t *testing.T) {
	s := newServer(t, busy())
	dir := t.TempDir()
	cases := []struct {
		name string
		err  error
		want string
	}{
		{"path too long", s.ListenUnix(dir + "/" + strings.Repeat("x", 108)), "the path is too long"},
		{"no directory", s.ListenUnix(dir + "/none/s"), "admin: socket " + dir + "/none/s: open " + dir + "/none/s.lock: no such file or directory"},
		{"no port", s.ListenTCP("127.0.0.1"), "admin: listen tcp: address 127.0.0.1: missing port"},
	}
	for _, c := range cases {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: error is %v, want one that says %q", c.name, c.err, c.want)
		}
	}
}

func TestWhoMayAsk(t *testing.T) {
	cases := []struct {
		name     string
		uid, own uint32
		ok       bool
	}{
		{"root asks root", 0, 0, true},
		{"root asks a user's process", 0, 1000, true},
		{"a user asks their own process", 1000, 1000, true},
		{"a user asks another's process", 1001, 1000, false},
		{"a user asks root's process", 1000, 0, false},
		{"nobody, or a user of another namespace", 65534, 1000, false},
	}
	for _, c := range cases {
		if err := mayAsk(c.uid, c.own); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestPeerIsAskedOfTheKernel(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if uid, err := peerUID(server); err != nil || uid != uint32(os.Geteuid()) {
		t.Errorf("peer is %d, %v, want %d", uid, err, os.Geteuid())
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := peerUID(a); err == nil {
		t.Error("a pipe in memory has a user")
	}
}

// Part of R26: a user who is neither root nor ours is refused, though the mode of the socket would let them in.
func TestOtherUsersAreRefused(t *testing.T) {
	if path := os.Getenv("ADMIN_TEST_DIAL"); path != "" {
		fmt.Printf("answer %q\n", exchangeQuietly(path))
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	dir, err := os.MkdirTemp("/tmp", "switchyard-admin")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	var log bytes.Buffer
	s := New(Options{Source: busy(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err := s.ListenUnix(path); err != nil {
		t.Fatal(err)
	}
	openToAll(t, dir, path)
	for uid, want := range map[uint32]string{0: "HTTP/1.0 200 OK", 65534: `answer ""`} {
		if got := dialAs(t, dir, path, uid); !strings.Contains(got, want) {
			t.Errorf("user %d gets %s, want %s", uid, got, want)
		}
	}
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "user 65534 may not use the admin socket") {
		t.Errorf("log is %q", log.String())
	}
}

func openToAll(t *testing.T, dir, path string) {
	t.Helper()
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(path, 0o666)); err != nil {
		t.Fatal(err)
	}
}

// dialAs runs this test again as another user, who cannot read the test binary where it is.
func dialAs(t *testing.T, dir, path string, uid uint32) string {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, fmt.Sprint("test", uid))
	if err := os.WriteFile(exe, self, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestOtherUsersAreRefused$")
	cmd.Dir = dir
	cmd.Env = []string{"ADMIN_TEST_DIAL=" + path}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("as user %d: %v\n%s", uid, err, out)
	}
	return string(out)
}

// exchangeQuietly returns what comes back, whatever goes wrong.
func exchangeQuietly(path string) string {
	c, err := net.Dial("unix", path)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET /healthz HTTP/1.0\r\n\r\n")
	b, _ := io.ReadAll(c)
	return string(b)
}

// pipeListener accepts what is sent to it.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// dial returns the client's end of a new connection.
func (l *pipeListener) dial() net.Conn {
	client, server := net.Pipe()
	l.conns <- server
	return client
}

// A slow client holds its connection no longer than the deadlines say; R26.
func TestSlowClientsAreCutOff(t *testing.T) {
	cases := []struct {
		name   string
		client func(c net.Conn) // returns when the server has hung up
		want   time.Duration
	}{
		{"silent", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, readTimeout},
		{"half a header", func(c net.Conn) {
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: ")
			_, _ = io.Copy(io.Discard, c)
		}, readTimeout},
		{"one byte a second", func(c net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, c) }() // the answer is 400
			for {
				if _, err := c.Write([]byte("G")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}, readTimeout},
		{"takes no byte of the answer", func(c net.Conn) {
			_, _ = io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
			time.Sleep(writeTimeout + time.Second)
			_, _ = io.Copy(io.Discard, c)
		}, writeTimeout + time.Second},
		{"idle after an answer", func(c net.Conn) {
			_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
			_, _ = io.Copy(io.Discard, c)
		}, idleTimeout},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Options{Source: busy()})
				l := newPipeListener()
				if err := s.serve(newGate(l, nil, s.log), s.tcp); err != nil {
					t.Fatal(err)
				}
				conn := l.dial()
				start := time.Now()
				c.client(conn)
				// The last byte of one a second may be sent within the second after the deadline.
				if took := time.Since(start); took < c.want || took > c.want+time.Second {
					t.Errorf("hung up after %v, want %v", took, c.want)
				}
				conn.Close()
				if err := s.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestCloseHangsUpWhenItMayNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Source: busy()})
		l := newPipeListener()
		if err := s.serve(newGate(l, nil, s.log), s.tcp); err != nil {
			t.Fatal(err)
		}
		conn := l.dial()
		defer conn.Close()
		_, _ = io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
		synctest.Wait() // the answer is being written, and nobody reads it
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v, want the deadline's error", err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("Close took %v, want 1s", took)
		}
	})
}

func TestConnectionsPastTheBoundAreClosedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := New(Options{Source: busy(), Log: slog.New(slog.NewTextHandler(&log, nil))})
		l := newPipeListener()
		if err := s.serve(newGate(l, nil, s.log), s.tcp); err != nil {
			t.Fatal(err)
		}
		var held []net.Conn
		for range maxConnections {
			held = append(held, l.dial())
		}
		const excess = 25
		start := time.Now()
		for range excess {
			c := l.dial()
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Fatalf("read on a connection past the bound: %v, want EOF", err)
			}
			c.Close()
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("refusing took %v", took)
		}
		held[0].Close() // gives its place back
		synctest.Wait()
		c := l.dial()
		_, _ = io.WriteString(c, "GET /healthz HTTP/1.0\r\n\r\n")
		if b, err := io.ReadAll(c); !bytes.HasPrefix(b, []byte("HTTP/1.0 200 ")) {
			t.Errorf("after one has gone: %q, %v", b, err)
		}
		for _, c := range append(held[1:], c) {
			c.Close()
		}
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if lines := strings.Count(log.String(), "too many connections"); lines != 2 { // the 1st and the 10th
			t.Errorf("%d lines for %d refusals, want 2:\n%s", lines, excess, log.String())
		}
	})
}

func TestScrapesAtOnce(t *testing.T) {
	s := newServer(t, busy())
	if err := s.ListenTCP("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, 16)
	for range cap(errs) {
		go func() {
			tr := &http.Transport{DisableKeepAlives: true}
			res, err := (&http.Client{Transport: tr}).Get("http://" + s.Addr().String() + "/metrics")
			if err == nil {
				_, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				// Past four at once the answer is 503, which a scraper understands.
				if res.StatusCode != 200 && res.StatusCode != 503 {
					err = errors.New(res.Status)
				}
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
