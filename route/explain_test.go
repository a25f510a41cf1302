package route

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// told is a value of Terminate that can tell of itself.
type told struct{}

func (told) Describe(name Name) []string {
	return []string{"policy 1", "a certificate for " + name.String()}
}

func (told) Foresee(q *Query) (cause, why string) {
	if q.Dot {
		return "handshake_fail", "the name ends with a dot"
	}
	return "", ""
}

func explainSet() *Set {
	s := contractRoutes()
	s.Routes = append(s.Routes,
		Route{Name: "secure", Hosts: []string{"secure.example.com"}, Action: toPool("web"), Terminate: told{}},
		Route{Name: "secure-split", Hosts: []string{"split.example.com"}, Terminate: "tls", Action: Action{Targets: []Target{{"web", 1}, {"api", 2}}}},
		Route{Name: "picky", Hosts: []string{"*.picky.org"}, ALPN: []string{"h2"}, Clients: parsePrefixes([]string{"10.0.0.0/8", "fd00::/8"}), Listeners: []string{"public", "inside"}, Action: toPool("api")},
	)
	return s
}

func TestExplainText(t *testing.T) {
	t.Parallel()
	snap := mustTable(t, explainSet()).Snapshot()
	for _, tt := range []struct {
		what, name string
		query      Query
		want       string
	}{
		{"all the way back", "only.inside.org", Query{Listener: "public", ALPN: ProtocolList{"http/1.1"}}, `
only.inside.org: reject close
  1. only.inside.org  route inner      no   listeners: wants inside; the listener is public
  2. *.inside.org     route h2-org     no   alpn: wants h2; the client offers http/1.1
  3. *                route any-h3     no   alpn: wants h3; the client offers http/1.1
  4. -                listener public  yes  no route takes this name: unknown_sni of the listener
`},
		{"every condition that fails is named", "a.picky.org", Query{}, `
a.picky.org: reject alert
  1. *.picky.org  route picky   no   alpn: wants h2; the client offers none; clients: wants 10.0.0.0/8, fd00::/8; the client is not known; listeners: wants public, inside; the listener is not known
  2. *            route any-h3  no   alpn: wants h3; the client offers none
  3. -            listener      yes  no route takes this name, and the listener is not known: alert
`},
		{"every condition that holds is named", "a.picky.org", Query{Listener: "inside", ALPN: ProtocolList{"h3", "h2"}, Client: netip.MustParseAddr("::ffff:10.1.1.1")}, `
a.picky.org: route picky, pool api
  1. *.picky.org  route picky  yes  the host matches; alpn: the client offers h2; clients: 10.1.1.1 is in 10.0.0.0/8; listeners: on inside
`},
		{"regexps one after the other", "db-1.example.net", Query{Client: netip.MustParseAddr("192.0.2.1")}, `
db-1.example.net: route net, pool legacy
  1. ~^db-[0-9]+\.example\.net$   route databases  no   clients: wants 127.0.0.0/8, ::1/128; the client is 192.0.2.1
  2. ~^[a-z0-9-]+\.example\.net$  route net        yes  the host matches; no conditions
`},
		{"what a client offers cannot forge a line", "only.inside.org", Query{Listener: "public", ALPN: ProtocolList{"h2\n  9. x", "\x1b[2J"}}, `
only.inside.org: reject close
  1. only.inside.org  route inner      no   listeners: wants inside; the listener is public
  2. *.inside.org     route h2-org     no   alpn: wants h2; the client offers "h2\n  9. x", "\x1b[2J"
  3. *                route any-h3     no   alpn: wants h3; the client offers "h2\n  9. x", "\x1b[2J"
  4. -                listener public  yes  no route takes this name: unknown_sni of the listener
`},
		{"a list that cannot be listed", "x.inside.org", Query{Listener: "public", ALPN: opaque{}}, `
x.inside.org: reject close
  1. *.inside.org  route h2-org     no   alpn: wants h2; the client offers none of them
  2. *             route any-h3     no   alpn: wants h3; the client offers none of them
  3. -             listener public  yes  no route takes this name: unknown_sni of the listener
`},
		{"reject by a route", "blocked.example.com", Query{}, `
blocked.example.com: route blocked, reject reset
  1. blocked.example.com  route blocked  yes  the host matches; no conditions
`},
		{"terminate", "secure.example.com", Query{}, `
secure.example.com: route secure, terminate TLS, then pool web
  1. secure.example.com  route secure  yes  the host matches; no conditions
  TLS: policy 1
  TLS: a certificate for secure.example.com
`},
		{"terminate, and a refusal", "secure.example.com", Query{Dot: true}, `
secure.example.com: route secure, terminate TLS, and refuse the client: handshake_fail
  1. secure.example.com  route secure  yes  the host matches; no conditions
  refused: the name ends with a dot
  TLS: policy 1
  TLS: a certificate for secure.example.com
`},
		{"terminate and split", "split.example.com", Query{}, `
split.example.com: route secure-split, terminate TLS, then split web 33.33 %, api 66.67 %
  1. split.example.com  route secure-split  yes  the host matches; no conditions
`},
		{"no name", "", Query{Listener: "public"}, `
(no server name): pool legacy
  1. (no server name)  route nameless   no   listeners: wants old; the listener is public
  2. -                 listener public  yes  the client sends no server name: no_sni of the listener
`},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			if tt.name != "" {
				tt.query.Name = mustName(t, tt.name)
			}
			if diff := cmp.Diff(tt.want, "\n"+snap.Explain(&tt.query).String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// opaque offers nothing, and cannot say so.
type opaque struct{}

func (opaque) Contains(string) bool { return false }

func TestExplainJSON(t *testing.T) {
	t.Parallel()
	snap := mustTable(t, explainSet()).Snapshot()
	for _, tt := range []struct{ name, want string }{
		{"api.example.com", `{"name":"api.example.com","verdict":"route","route":"api","action":"pool","pool":"api","reject":null,` +
			`"targets":[{"pool":"api","weight":1,"percent":100}],"steps":[` +
			`{"host":"api.example.com","route":"api-acme","won":false,"reason":"alpn: wants acme-tls/1; the client offers none"},` +
			`{"host":"api.example.com","route":"api","won":true,"reason":"the host matches; no conditions"}]}`},
		{"secure.example.com", `{"name":"secure.example.com","verdict":"route","route":"secure","action":"terminate","pool":"web","reject":null,` +
			`"targets":[{"pool":"web","weight":1,"percent":100}],"steps":[` +
			`{"host":"secure.example.com","route":"secure","won":true,"reason":"the host matches; no conditions"}],"tls":["policy 1","a certificate for secure.example.com"]}`},
		{"secure.example.com.", `{"name":"secure.example.com","verdict":"route","route":"secure","action":"terminate","pool":"web","reject":null,` +
			`"targets":[{"pool":"web","weight":1,"percent":100}],"steps":[` +
			`{"host":"secure.example.com","route":"secure","won":true,"reason":"the host matches; no conditions"}],` +
			`"refused":{"cause":"handshake_fail","why":"the name ends with a dot"},"tls":["policy 1","a certificate for secure.example.com"]}`},
		{"blocked.example.com", `{"name":"blocked.example.com","verdict":"route","route":"blocked","action":"reject","pool":null,"reject":"reset",` +
			`"targets":[],"steps":[{"host":"blocked.example.com","route":"blocked","won":true,"reason":"the host matches; no conditions"}]}`},
		{"", `{"name":"","verdict":"no_sni","route":null,"action":"pool","pool":"legacy","reject":null,` +
			`"targets":[{"pool":"legacy","weight":1,"percent":100}],"steps":[` +
			`{"host":"(no server name)","route":"nameless","won":false,"reason":"listeners: wants old; the listener is public"},` +
			`{"host":"","listener":"public","won":true,"reason":"the client sends no server name: no_sni of the listener"}]}`},
	} {
		q := Query{Listener: "public"}
		if tt.name != "" {
			q.Name, q.Dot = mustName(t, tt.name), strings.HasSuffix(tt.name, ".")
		}
		got, err := json.Marshal(snap.Explain(&q))
		if diff := cmp.Diff(tt.want, string(got)); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", tt.name, err, diff)
		}
	}
}

func TestWriteTextReturnsTheWriterError(t *testing.T) {
	t.Parallel()
	e := mustTable(t, explainSet()).Snapshot().Explain(&Query{Listener: "public"})
	for left := range 2 {
		if err := e.WriteText(&brokenWriter{left}); !errors.Is(err, errBroken) {
			t.Errorf("after %d writes: got %v, want %v", left, err, errBroken)
		}
	}
}

var errBroken = errors.New("broken pipe")

// brokenWriter takes so many writes, and no more.
type brokenWriter struct{ left int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}
