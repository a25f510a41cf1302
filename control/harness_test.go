package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/route"
)

func TestMain(m *testing.M) {
	if os.Getenv(smallDisk) != "" {
		fillDisk()
		return
	}
	goleak.VerifyTestMain(m)
}

// yard is a Manager under test, with the balancer that it controls and the directory of its file.
type yard struct {
	*Manager
	server *balancer.Server
	dir    string
	path   string
	log    *lockedBuffer
	counts func() balancer.Stats // what guards see; nil: the balancer's own
	apart  time.Duration         // how long a text may be read; 0: as usual
}

// quick is the pace of the watcher in tests.
var quick = pace{quiet: 20 * time.Millisecond, most: 200 * time.Millisecond, poll: 50 * time.Millisecond}

// still keeps the watcher from loading anything.
const still = "reload: {watch: false}\n"

// base is a file with two routes and three pools; its first line is free for what a test adds.
const base = `listeners:
  - {name: public, bind: ["127.0.0.1:0"]}
routes:
  - {name: www, hosts: [www.example.com], pool: web}
  - {name: api, hosts: [api.example.com], pool: api}
pools:
  - {name: web, backends: ["127.0.0.1:9101", "127.0.0.1:9102"]}
  - {name: api, backends: ["127.0.0.1:9103"]}
  - {name: spare, backends: ["127.0.0.1:9104"]}
`

// start serves text from a file in a directory of its own, until the test ends.
func start(t testing.TB, text string) *yard {
	t.Helper()
	y := &yard{dir: t.TempDir()}
	y.path = filepath.Join(y.dir, "switchyard.yaml")
	y.write(t, text)
	y.run(t)
	return y
}

// run loads and starts what is in y.dir.
func (y *yard) run(t testing.TB) {
	t.Helper()
	y.log = &lockedBuffer{}
	m, err := Load(Options{Path: y.path, Log: logTo(y.log), Level: new(slog.LevelVar)})
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	m.pace, m.sampler.stats = quick, y.counts
	if y.apart > 0 {
		m.apart.patience, m.apart.stopPatience = y.apart, y.apart
	}
	y.Manager = m
	y.server = serve(t, m)
	m.Start(y.server)
	t.Cleanup(y.stop)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", y.log)
		}
	})
}

// serve starts the balancer of m. The caller shuts it down.
func serve(t testing.TB, m *Manager) *balancer.Server {
	t.Helper()
	s, err := newServer(m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newServer(m *Manager) (*balancer.Server, error) {
	return balancer.New(&m.Config().Balancer, balancer.Options{Log: m.log, Loops: 1})
}

// logTo writes everything to b, as JSON.
func logTo(b *lockedBuffer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// stop ends the Manager and the balancer. A second call does nothing.
func (y *yard) stop() {
	y.Close()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	y.server.Shutdown(now)
}

// write puts text into the file, in place.
func (y *yard) write(t testing.TB, text string) {
	t.Helper()
	if err := os.WriteFile(y.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace puts text in the place of the file in one step: a file that is written in place is empty for a moment, which a
// watcher may see on a busy machine.
func (y *yard) replace(t testing.TB, text string) {
	t.Helper()
	next := y.path + ".next"
	if err := errors.Join(os.WriteFile(next, []byte(text), 0o600), os.Rename(next, y.path)); err != nil {
		t.Fatal(err)
	}
}

// goes is where a name is sent: the pool, or "reject".
func (y *yard) goes(t testing.TB, name string) string {
	t.Helper()
	n, err := route.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	d := y.server.Routes().Match(&route.Query{Name: n, Listener: "public", Client: netip.MustParseAddr("192.0.2.1")})
	if d.Pool == "" {
		return "reject"
	}
	return d.Pool
}

// want fails the test unless a name goes to the pool.
func (y *yard) want(t testing.TB, name, pool string) {
	t.Helper()
	if got := y.goes(t, name); got != pool {
		t.Errorf("%s goes to %s; want %s", name, got, pool)
	}
}

// line returns the fields of the lines of the log with that message.
func (y *yard) lines(t testing.TB, msg string) (found []map[string]any) {
	t.Helper()
	for line := range strings.Lines(y.log.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		if fields["msg"] == msg {
			found = append(found, fields)
		}
	}
	return found
}

// The lines that tests count.
const (
	msgChanged = "configuration changed"
	msgRefused = "reload refused: nothing was changed"
)

// reload reloads, which has to succeed.
func (y *yard) reload(t testing.TB, req ReloadRequest) *Result {
	t.Helper()
	return must(t)(y.Reload(t.Context(), req))
}

// must returns a function that passes the result of a change on, and fails the test if it was refused.
func must(t testing.TB) func(*Result, error) *Result {
	return func(r *Result, err error) *Result {
		t.Helper()
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		return r
	}
}

// refusal returns the error of a change, which has to be of type E.
func refusal[E error](t testing.TB, r *Result, err error) E {
	t.Helper()
	e, ok := errors.AsType[E](err)
	if !ok || r != nil {
		t.Fatalf("the answer is %+v and the error %T: %v", r, err, err)
	}
	return e
}

// eventually waits until ok; the bound is for a broken program, not for a slow machine.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 30s for: %s", what)
		}
	}
}

// as is how a client of the API asks.
func as(origin string) ChangeOptions { return ChangeOptions{Origin: origin} }

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
