//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/admin"
	"github.com/seed-23b4a313/switchyard/control"
)

// The tests in promise_*_test.go change a running balancer beside traffic: the program as a process of its own, clients
// and backends in the test.
//
//	clients, open loop ──────> switchyard run FILE ──────> backend "one"
//	  │ rate, latency             ▲ reload, API     └────> backend "two"
//	  └ who answered? ── compared with the revision in force
//
// Their full size is that of docs/promises.md (SWITCHYARD_PROMISES=1).

func promised() bool { return os.Getenv("SWITCHYARD_PROMISES") == "1" }

// sized is n in the ordinary suite and most at full size.
func sized[T any](n, most T) T {
	if promised() {
		return most
	}
	return n
}

// steered is a balancer whose file and socket the test has.
type steered struct {
	*live
	dir, file, socket string
	api               *admin.Client
}

// steer starts the balancer with a file in a directory of its own. The text has %SOCKET% where its socket belongs.
func steer(t *testing.T, text string) *steered {
	t.Helper()
	s := &steered{dir: t.TempDir()}
	s.file, s.socket = filepath.Join(s.dir, "switchyard.yaml"), filepath.Join(s.dir, "admin.sock")
	s.write(t, text)
	s.live = &live{process: spawn(t, switchyardCommand(t, "run", s.file))}
	s.announced(t)
	s.line(t, `"msg":"started"`)
	s.api = admin.NewClient(s.socket)
	t.Cleanup(s.api.Close)
	return s
}

// write puts a file in the place of the present one, as careful programs do.
func (s *steered) write(t *testing.T, text string) {
	t.Helper()
	s.put(t, s.prepare(t, "next", text))
}

// prepare writes a file beside the present one.
func (s *steered) prepare(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "%SOCKET%", s.socket)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// put puts a prepared file, which stays what it is, in the place of the present one.
func (s *steered) put(t *testing.T, path string) {
	t.Helper()
	link := s.file + ".link"
	if err := os.Link(path, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link, s.file); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(link) // it stays where both are the same file
}

// do makes a call of the API. Only what the balancer refuses is an error.
func (s *steered) do(t *testing.T, method string, path string, query url.Values, body string) (*control.Result, *admin.APIError) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	var res control.Result
	_, err := s.api.Do(ctx, admin.Call{Method: method, Path: path, Query: query, Body: []byte(body)}, &res)
	if refused, ok := errors.AsType[*admin.APIError](err); ok {
		return nil, refused
	} else if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return &res, nil
}

// reload has the file loaded, which must be sound.
func (s *steered) reload(t *testing.T) *control.Result {
	t.Helper()
	res, refused := s.do(t, "POST", admin.Path("reload"), nil, "")
	if refused != nil {
		t.Fatalf("reload: %v", refused)
	}
	return res
}

// usage is what a process holds.
type usage struct {
	rss, goroutines float64 // bytes, count
	fds             float64
}

func (s *steered) usage(t *testing.T) (u usage) {
	t.Helper()
	m := s.scrape(t)
	return usage{rss: m["process_resident_memory_bytes"], goroutines: m["go_goroutines"], fds: m["process_open_fds"]}
}

// greeting is a ClientHello of crypto/tls for name.
func greeting(t *testing.T, name string) []byte {
	t.Helper()
	here, there := net.Pipe()
	go func() { _ = tls.Client(here, &tls.Config{ServerName: name}).Handshake() }() // ends with the pipe
	buf := make([]byte, 16<<10)
	n, err := there.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	there.Close()
	here.Close()
	return buf[:n]
}

// wordServer answers the first bytes of every connection with a word of three letters, then sends back what comes.
func wordServer(t *testing.T, word string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				buf := make([]byte, 4<<10)
				if _, err := c.Read(buf); err != nil {
					return
				}
				if _, err := io.WriteString(c, word); err == nil {
					_, _ = io.Copy(c, c) // until the client ends
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return l.Addr().String()
}

// traffic is an open loop of connections: each sends a hello, reads a word and closes.
type traffic struct {
	addr  string
	hello []byte
	// allowed says whether a word is a right answer to a connection that was begun when before was noted.
	before  func() int64
	allowed func(before int64, word string) bool

	sent    atomic.Int64
	mu      sync.Mutex
	took    []time.Duration // in order of their ends
	failed  int
	failure string // the first one
}

// run makes rate connections a second until ctx is done, then waits for those under way.
func (f *traffic) run(ctx context.Context, rate int) {
	var under sync.WaitGroup
	began, tick := time.Now(), time.NewTicker(2*time.Millisecond)
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-ctx.Done():
			under.Wait()
			return
		case <-tick.C:
		}
		for due := int(time.Since(began).Seconds() * float64(rate)); n < due; n++ {
			under.Go(f.one)
		}
	}
}

func (f *traffic) one() {
	f.sent.Add(1)
	began, before := time.Now(), int64(0)
	if f.before != nil {
		before = f.before()
	}
	word, err := f.exchange()
	took := time.Since(began)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.took = append(f.took, took)
	if err == nil && f.allowed != nil && !f.allowed(before, word) {
		err = fmt.Errorf("%q answered a connection that began after revision %d was in force", word, before)
	}
	if err != nil {
		if f.failed++; f.failed == 1 {
			f.failure = err.Error()
		}
	}
}

func (f *traffic) exchange() (string, error) {
	// A hundred thousand connections leave as many ports in TIME_WAIT: those of 127.0.0.1 are for listeners.
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+f.sent.Load()%100))}
	c, err := (&net.Dialer{Timeout: patience, LocalAddr: from}).Dial("tcp", f.addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := c.Write(f.hello); err != nil {
		return "", err
	}
	word := make([]byte, 3)
	_, err = io.ReadFull(c, word)
	return string(word), err
}

// quantile is the latency that the share q of the connections took at most, from one to another in the order of their
// ends; to -1 is the last one.
func (f *traffic) quantile(q float64, from, to int) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if to < 0 {
		to = len(f.took)
	}
	d := slices.Sorted(slices.Values(f.took[from:to]))
	if len(d) == 0 {
		return 0
	}
	return d[min(int(q*float64(len(d))), len(d)-1)]
}

func (f *traffic) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.took)
}

// check wants no failure.
func (f *traffic) check(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed > 0 {
		t.Errorf("%d of %d connections failed; the first: %s", f.failed, len(f.took), f.failure)
	}
	if len(f.took) == 0 {
		t.Error("there was no traffic")
	}
}

// longLived opens n connections that stay.
func (s *steered) longLived(t *testing.T, n int, hello []byte, word string) (all []net.Conn) {
	t.Helper()
	for range n {
		c, err := net.Dial("tcp", s.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(10 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(hello); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(word))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != word {
			t.Fatalf("a connection that is to stay got %q, %v", got, err)
		}
		all = append(all, c)
	}
	return all
}

// alive wants every one of all to carry bytes both ways, and returns how many do not.
func alive(all []net.Conn) (broken int) {
	for i, c := range all {
		text := []byte("still here " + strconv.Itoa(i))
		got := make([]byte, len(text))
		if _, err := c.Write(text); err != nil {
			broken++
		} else if _, err := io.ReadFull(c, got); err != nil || string(got) != string(text) {
			broken++
		}
	}
	return broken
}
