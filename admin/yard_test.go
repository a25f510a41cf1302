package admin

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/control"
)

// yard is a whole running balancer under control, with a Server that shows and changes it.
type yard struct {
	balancer *balancer.Server
	manager  *control.Manager
	admin    *Server
	file     string
	log      *bytes.Buffer // of the Server; read it when no request is under way
}

// yardFile is what a yard is started with. It listens on a port that the kernel chooses, and its backends are nobody.
const yardFile = `reload: {watch: false}
listeners:
  - {name: public, bind: ["127.0.0.1:0"]}
  - {name: inside, bind: ["127.0.0.1:0"], no_sni: {pool: other}}
routes:
  - {name: www, hosts: [www.example.com], pool: web}
  - {name: api, hosts: [api.example.com, "*.api.example.com"], alpn: [h2], clients: [10.0.0.0/8], listeners: [inside], pool: web}
  - {name: canary, hosts: ["*.example.com"], split: [{pool: web, weight: 9}, {pool: other}]}
  - {name: blocked, hosts: [blocked.example.com], reject: reset}
pools:
  - {name: web, balance: maglev, backends: ["127.0.0.1:9101", {address: "127.0.0.1:9102", weight: 3, backup: true}]}
  - {name: other, proxy_protocol: v2, source: 127.0.0.1, backends: ["127.0.0.1:9102"]}
`

// newYard starts one that ends with the test.
func newYard(t testing.TB) *yard {
	t.Helper()
	return newYardOf(t, yardFile)
}

// newYardOf starts one with another file.
func newYardOf(t testing.TB, text string) *yard {
	t.Helper()
	y := &yard{file: filepath.Join(t.TempDir(), "switchyard.yaml"), log: &bytes.Buffer{}}
	y.write(t, text)
	var err error
	if y.manager, err = control.Load(control.Options{Path: y.file}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(y.manager.Close)
	if y.balancer, err = balancer.New(&y.manager.Config().Balancer, balancer.Options{Loops: 1, Lookup: noNetwork}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		done, cancel := context.WithCancel(context.Background())
		cancel()
		y.balancer.Shutdown(done)
	})
	y.manager.Start(y.balancer)
	y.admin = New(Options{Version: "v1.2.3", Log: slog.New(slog.NewTextHandler(y.log, nil))})
	t.Cleanup(func() {
		if err := y.admin.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	y.admin.SetControl(y.balancer, y.manager)
	return y
}

// noNetwork has the same answer for every name, so that no test waits for a name server.
func noNetwork(context.Context, string) ([]netip.Addr, time.Duration, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.2")}, time.Hour, nil
}

func (y *yard) write(t testing.TB, text string) {
	t.Helper()
	if err := os.WriteFile(y.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// edit replaces text of the file.
func (y *yard) edit(t testing.TB, old, new string) {
	t.Helper()
	y.write(t, strings.ReplaceAll(yardFile, old, new))
}

// ask sends one request with a body to the unix socket's handler.
func (y *yard) ask(method, path, body string) (code int, answer string) {
	w := httptest.NewRecorder()
	y.admin.unix.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	b, _ := io.ReadAll(w.Result().Body)
	return w.Code, string(b)
}

// must wants 200.
func (y *yard) must(t testing.TB, method, path, body string) string {
	t.Helper()
	code, answer := y.ask(method, path, body)
	if code != http.StatusOK {
		t.Fatalf("%s %s is answered %d %s", method, path, code, answer)
	}
	return answer
}
