package admin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// requests is how many random requests the ordinary suite sends; R26 asks for a million.
var requests = flag.Int("requests", 5000, "random requests in TestRandomRequests")

// checkRequest parses raw as the server would and has it answered on both sockets of y. No request panics, is answered
// with more than what its path stands for, or changes anything unless it is answered 200.
func checkRequest(t *testing.T, y *yard, raw []byte) {
	t.Helper()
	for where, h := range map[string]http.Handler{"tcp": y.admin.tcp, "unix": y.admin.unix} {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return // the server answers 400 without asking us
		}
		before := y.fingerprint()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		changed := y.fingerprint() != before
		switch {
		case changed && (reads || where == "tcp" || w.Code != http.StatusOK):
			t.Fatalf("%s: %q changes something and is answered %d %s", where, raw, w.Code, w.Body)
		case where == "tcp" && !reads && w.Code != http.StatusMethodNotAllowed:
			t.Fatalf("%s: %q is answered %d", where, raw, w.Code)
		case w.Code == http.StatusOK && !isServed(r.URL.EscapedPath(), where):
			t.Fatalf("%s: %q is answered as if there were such a path", where, raw)
		case w.Code >= 400 && !json.Valid(w.Body.Bytes()):
			t.Fatalf("%s: %q: error %d comes with %q", where, raw, w.Code, w.Body)
		case w.Code == http.StatusInternalServerError:
			t.Fatalf("%s: %q is answered 500 %s", where, raw, w.Body)
		}
	}
}

// fingerprint is what requests must not change: what runs, and what lies on it.
func (y *yard) fingerprint() string {
	st := y.manager.Status()
	return fmt.Sprint(st.Revision, st.Overlay, len(y.balancer.Settings()))
}

// isServed compares with paths by a rule of its own: the first two words of a path decide.
func isServed(path, where string) bool {
	if slices.Contains([]string{"/", "/metrics", "/healthz", "/readyz"}, path) {
		return true
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ { // what is escaped in the words may be any letter
		var c byte
		if n, _ := fmt.Sscanf(path[i:min(len(path), i+3)], "%%%02x", &c); n == 1 {
			b.WriteByte(c)
			i += 2
			continue
		}
		b.WriteByte(path[i])
	}
	words := strings.Split(b.String(), "/")
	known := []string{
		"status", "config", "routes", "pools", "connections", "certificates", "names", "explain", "reload", "check", "rollback", "transaction", "overlay",
	}
	return where == "unix" && len(words) > 2 && words[1] == "v1" && slices.Contains(known, words[2])
}

var requestSeeds = []string{
	"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: zstd, gzip;q=0\r\nAccept: application/openmetrics-text; version=1.0.0; escaping=values\r\n\r\n",
	"GET /metrics?name[]=a&name[]=%00 HTTP/1.1\r\nHost: x\r\nAccept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited\r\n\r\n",
	"GET /v1/status HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\n\r\n",
	"HEAD / HTTP/1.0\r\n\r\n",
	"GET /%2e%2e/metrics HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET http://other/readyz#x HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
	"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	"GET /v1/config HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /v1/routes?name=w*&host=example&pool=web&limit=2&after=www HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /v1/pools?backend=127.0.0.1%3A9101 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /v1/connections?client=10.0.0.0/8&min_age=1m&sni=*.example.com&limit=3 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /v1/certificates?route=w*&limit=3&after=route/www/0 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /v1/certificates?sni=www.example.com&alpn=h2&client=10.1.2.3&listener=public HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /v1/names?limit=5 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /v1/explain?sni=api.example.com&alpn=h2,http/1.1&client=10.1.2.3&listener=public HTTP/1.1\r\nHost: x\r\n\r\n",
	"DELETE /v1/connections?sni=x.example.com HTTP/1.1\r\nHost: x\r\n\r\n",
	"DELETE /v1/connections/00112233445566778899aabbccddeeff HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /v1/reload?dry_run=true&overlay=keep HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /v1/reload?if_revision=9999999 HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /v1/rollback?revision=1 HTTP/1.1\r\nHost: x\r\n\r\n",
	"DELETE /v1/overlay?dry_run=1 HTTP/1.1\r\nHost: x\r\n\r\n",
	withBody("PUT", "/v1/routes/extra", `{"hosts": ["extra.example.com"], "pool": "web"}`),
	withBody("PUT", "/v1/pools/extra?on_reload=drop", "backends: [127.0.0.1:9105]\n"),
	withBody("PUT", "/v1/pools/web/backends/127.0.0.1:9101", `{"state": "drain", "weight": null}`),
	withBody("POST", "/v1/transaction", `{"changes": [{"put_route": {"name": "t", "hosts": ["~^t[0-9]+$"], "reject": "close"}}, {"delete_route": "www"}]}`),
	withBody("POST", "/v1/check?name=x.yaml", yardFile),
	"DELETE /v1/routes/extra?if_revision=1 HTTP/1.1\r\nHost: x\r\n\r\n",
	"DELETE /v1/pools/extra?dry_run=false HTTP/1.1\r\nHost: x\r\n\r\n",
}

func withBody(method, path, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
}

func FuzzRequest(f *testing.F) {
	y := newYard(f)
	for _, seed := range requestSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { checkRequest(t, y, raw) })
}

// TestRandomRequests mutates the seeds; go test ./admin -run RandomRequests -requests 1000000 is the long form.
func TestRandomRequests(t *testing.T) {
	n := *requests
	if testing.Short() {
		n = min(n, 500)
	}
	seed := rand.Uint64()
	t.Logf("seed %d, %d requests", seed, n)
	r := rand.New(rand.NewPCG(seed, 0))
	y := newYard(t)
	for range n {
		raw := []byte(requestSeeds[r.IntN(len(requestSeeds))])
		if r.IntN(2) == 0 {
			raw = []byte(strings.Replace(string(raw), "/metrics", "/healthz", 1))
		}
		for range r.IntN(4) {
			raw[r.IntN(len(raw))] = byte(r.Uint32())
		}
		checkRequest(t, y, raw)
	}
}
