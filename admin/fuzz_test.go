package admin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// requests is how many random requests the ordinary suite sends; R26 asks for a million.
var requests = flag.Int("requests", 5000, "random requests in TestRandomRequests")

// checkRequest parses raw as the server would and answers it. No request panics, changes anything or is answered with
// more than what its path stands for.
func checkRequest(t *testing.T, s *Server, raw []byte) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return // the server answers 400 without asking us
	}
	for _, h := range []http.Handler{s.tcp, s.unix} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		switch {
		case !reads && w.Code != http.StatusMethodNotAllowed:
			t.Fatalf("%q is answered %d", raw, w.Code)
		case w.Code == http.StatusOK && !isServed(r.URL.Path):
			t.Fatalf("%q is answered as if there were such a path", raw)
		case w.Code >= 400 && !json.Valid(w.Body.Bytes()):
			t.Fatalf("%q: error %d comes with %q", raw, w.Code, w.Body)
		}
	}
}

func isServed(path string) bool {
	switch path {
	case "/", "/metrics", "/healthz", "/readyz", "/v1/status":
		return true
	}
	return false
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
}

func FuzzRequest(f *testing.F) {
	s := New(Options{Source: busy(), Version: "v1"})
	for _, seed := range requestSeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { checkRequest(t, s, raw) })
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
	s := newServer(t, busy())
	for range n {
		raw := []byte(requestSeeds[r.IntN(len(requestSeeds))])
		if r.IntN(2) == 0 {
			raw = []byte(strings.Replace(string(raw), "/metrics", "/healthz", 1))
		}
		for range r.IntN(4) {
			raw[r.IntN(len(raw))] = byte(r.Uint32())
		}
		checkRequest(t, s, raw)
	}
}
