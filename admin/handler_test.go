package admin

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestPathsAndMethods(t *testing.T) {
	s := newServer(t, busy())
	cases := []struct {
		name, method, path string
		tcp, unix          int
	}{
		{"page", "GET", "/", 200, 200},
		{"metrics", "GET", "/metrics", 200, 200},
		{"health", "GET", "/healthz", 200, 200},
		{"readiness", "GET", "/readyz", 200, 200},
		{"status is on the socket only", "GET", "/v1/status", 404, 200},
		{"HEAD", "HEAD", "/metrics", 200, 200},
		{"a query is ignored", "GET", "/healthz?verbose=1", 200, 200},
		{"unknown path", "GET", "/config", 404, 404},
		{"path with a slash at its end", "GET", "/metrics/", 404, 404},
		{"path that cleaning would change", "GET", "//metrics", 404, 404},
		{"path that goes up", "GET", "/x/../metrics", 404, 404},
		{"profiles are off", "GET", "/debug/pprof/", 404, 404},
		{"POST", "POST", "/metrics", 405, 405},
		{"PUT", "PUT", "/healthz", 405, 405},
		{"DELETE", "DELETE", "/v1/status", 405, 405},
		{"OPTIONS", "OPTIONS", "/", 405, 405},
		{"TRACE", "TRACE", "/", 405, 405},
		{"POST to a path that the socket alone has", "POST", "/v1/reload", 405, 503},
		{"POST to an unknown path", "POST", "/v1/relaod", 405, 404},
		{"GET of what is only written", "GET", "/v1/transaction", 404, 405},
		{"a verb while nothing is served yet", "GET", "/v1/routes", 404, 503},
		{"path with a value that is empty", "GET", "/v1/routes/", 404, 404},
		{"path with a slash inside its value", "GET", "/v1/routes/a%2Fb", 404, 503},
		{"path with an escaped word", "GET", "/v1/r%6futes", 404, 503},
		{"path that goes on", "GET", "/v1/routes/a/b", 404, 404},
		{"a method that is none", "get", "/", 405, 405},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for where, h := range map[string]struct {
				http.Handler
				want int
			}{"tcp": {s.tcp, c.tcp}, "unix": {s.unix, c.unix}} {
				res, body := ask(h, c.method, c.path)
				if res.StatusCode != h.want {
					t.Errorf("%s: %s %s answers %d, want %d", where, c.method, c.path, res.StatusCode, h.want)
				}
				if res.StatusCode >= 400 {
					checkError(t, res, body)
				}
			}
		})
	}
}

// checkError wants {"error": "…"}, and the methods that would do where one did not.
func checkError(t *testing.T, res *http.Response, body string) {
	t.Helper()
	var got struct{ Error string }
	if err := json.Unmarshal([]byte(body), &got); err != nil || got.Error == "" {
		t.Errorf("%d comes with %q, want a JSON error", res.StatusCode, body)
	}
	if allow := res.Header.Get("Allow"); (allow != "") != (res.StatusCode == 405) {
		t.Errorf("%d comes with Allow %q", res.StatusCode, allow)
	}
}

func TestAllowNamesTheMethodsOfThePath(t *testing.T) {
	s := newServer(t, busy())
	for _, c := range []struct{ name, method, path, tcp, unix string }{
		{"a page", "POST", "/metrics", "GET, HEAD", "GET, HEAD"},
		{"one that is read and written", "POST", "/v1/routes/a", "GET, HEAD", "DELETE, GET, HEAD, PUT"},
		{"one that is written only", "PUT", "/v1/reload", "GET, HEAD", "POST"},
		{"no path, and a method that nothing has", "TRACE", "/nowhere", "GET, HEAD", "DELETE, GET, HEAD, POST, PUT"},
	} {
		for where, h := range map[string]struct {
			http.Handler
			want string
		}{"tcp": {s.tcp, c.tcp}, "unix": {s.unix, c.unix}} {
			if res, _ := ask(h, c.method, c.path); res.Header.Get("Allow") != h.want {
				t.Errorf("%s: %s: %s %s: Allow is %q, want %q", c.name, where, c.method, c.path, res.Header.Get("Allow"), h.want)
			}
		}
	}
}

func TestReadinessFollowsTheBalancer(t *testing.T) {
	s := newServer(t, nil)
	check := func(code int, word string) {
		t.Helper()
		if res, body := ask(s.tcp, "GET", "/readyz"); res.StatusCode != code || body != word+"\n" {
			t.Errorf("/readyz answers %d %q, want %d %q", res.StatusCode, body, code, word)
		}
		if res, body := ask(s.tcp, "GET", "/healthz"); res.StatusCode != 200 || body != "ok\n" {
			t.Errorf("/healthz answers %d %q while %s", res.StatusCode, body, word)
		}
		if _, body := ask(s.unix, "GET", "/v1/status"); !strings.Contains(body, `"state": "`+word+`"`) {
			t.Errorf("/v1/status while %s:\n%s", word, body)
		}
		if res, body := ask(s.tcp, "GET", "/"); res.StatusCode != 200 || !strings.Contains(body, ">"+word+"<") {
			t.Errorf("the page while %s answers %d:\n%s", word, res.StatusCode, body)
		}
		ready := "switchyard_ready 0\n"
		if word == "ready" {
			ready = "switchyard_ready 1\n"
		}
		if _, body := ask(s.tcp, "GET", "/metrics"); !strings.Contains(body, ready) {
			t.Errorf("/metrics while %s has no %q", word, ready)
		}
	}
	check(503, "starting")
	s.SetSource(nil)
	check(503, "starting")
	src := busy()
	s.SetSource(src)
	check(200, "ready")
	src.draining.Store(true)
	check(503, "draining")
}

func TestNothingIsCachedOrSniffed(t *testing.T) {
	s := newServer(t, busy())
	for _, path := range []string{"/", "/metrics", "/healthz", "/readyz", "/nowhere"} {
		res, _ := ask(s.tcp, "GET", path)
		if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers are %v", path, res.Header)
		}
	}
}
