package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-23b4a313/switchyard/control"
)

// What is wrong is answered with its status and a word about it, and changes nothing.
func TestWrongRequestsChangeNothing(t *testing.T) {
	y := newYard(t)
	large := strings.Repeat(" ", maxBody+1)
	cases := []struct {
		name, method, path, body string
		code                     int
		want                     string // in the answer
	}{
		{"a parameter that is not known", "GET", "/v1/routes?nmae=www", "", 400, `there are: name, host, pool, limit, after`},
		{"a parameter where there are none", "GET", "/v1/config?x=1", "", 400, "there are no parameters here"},
		{"a parameter twice", "GET", "/v1/routes?pool=web&pool=other", "", 400, "parameter pool is there 2 times"},
		{"an empty parameter", "DELETE", "/v1/connections?pool=", "", 400, "parameter pool is empty"},
		{"a query that cannot be read", "GET", "/v1/routes?name=%zz", "", 400, "the query cannot be read"},
		{"a semicolon in the query", "GET", "/v1/routes?name=a;pool=b", "", 400, "the query cannot be read"},
		{"a limit of nothing", "GET", "/v1/routes?limit=0", "", 400, "limit is a whole number from 1"},
		{"a limit past the bound", "GET", "/v1/connections?limit=10001", "", 400, "limit is at most 10000"},
		{"a limit that is no number", "GET", "/v1/names?limit=many", "", 400, `not \"many\"`},
		{"a page after a route that is gone", "GET", "/v1/routes?after=gone", "", 404, "begin again without after"},
		{"a route that is not there", "GET", "/v1/routes/gone", "", 404, "there is no route"},
		{"a pool that is not there", "GET", "/v1/pools/gone", "", 404, "there is no pool"},
		{"a client that is no address", "GET", "/v1/connections?client=example.com", "", 400, "client is not an address or a network"},
		{"a network with bits of a host", "GET", "/v1/connections?client=10.1.2.3/8", "", 400, "client is not an address or a network"},
		{"an age without a unit", "GET", "/v1/connections?min_age=30", "", 400, "such as 30s or 5m"},
		{"all connections", "DELETE", "/v1/connections", "", 400, "a filter is required"},
		{"a connection that is not there", "DELETE", "/v1/connections/ff", "", 404, "there is no connection"},
		{"a name that no hello can have", "GET", "/v1/explain?sni=two%20words", "", 400, "refused before it is routed"},
		{"a listener that is not there", "GET", "/v1/explain?listener=nowhere", "", 400, "there are: public, inside"},
		{"a flag that is neither", "POST", "/v1/reload?dry_run=yes", "", 400, "dry_run is true or false"},
		{"a guard for ever", "POST", "/v1/reload?guard=2h", "", 400, "at most 1h0m0s"},
		{"a bound without a guard", "POST", "/v1/reload?guard_bound=0.1", "", 400, "says nothing without guard"},
		{"a bound of nothing", "POST", "/v1/reload?guard=1s&guard_bound=0", "", 400, "above 0 and at most 1"},
		{"a bound that is no number", "POST", "/v1/reload?guard=1s&guard_bound=NaN", "", 400, "above 0 and at most 1"},
		{"neither keep nor drop", "POST", "/v1/reload?overlay=maybe", "", 400, "overlay is keep or drop"},
		{"a reload with a body", "POST", "/v1/reload", "routes: []", 400, "there must be no body here"},
		{"another revision", "POST", "/v1/reload?if_revision=7", "", 409, `"revision": 1`},
		{"a revision that is not kept", "POST", "/v1/rollback?revision=7", "", 404, "there is no revision"},
		{"a revision that is no number", "POST", "/v1/rollback?revision=-1", "", 400, "revision is a whole number"},
		{"a route with a mistake", "PUT", "/v1/routes/a", `{hosts: [a.example.com], pol: web}`, 422, `unknown key \"pol\"`},
		{"a route of another name", "PUT", "/v1/routes/a", `{name: b, hosts: [b.example.com], pool: web}`, 422, `"line": 1`},
		{"a route whose host another has", "PUT", "/v1/routes/a", `{hosts: [www.example.com], pool: web}`, 422, "www.example.com"},
		{"a route without a body", "PUT", "/v1/routes/a", "", 422, `"mistakes"`},
		{"a route of bytes", "PUT", "/v1/routes/a", "\x00\xff\x16\x03", 422, `"mistakes"`},
		{"a route that is too large", "PUT", "/v1/routes/a", large, 413, "larger than 1 MiB"},
		{"deleting a route that is not there", "DELETE", "/v1/routes/a", "", 404, "there is no route"},
		{"a pool with a mistake", "PUT", "/v1/pools/p", `{backends: [nowhere]}`, 422, `"mistakes"`},
		{"deleting a pool that routes lead to", "DELETE", "/v1/pools/web", "", 422, "web"},
		{"deleting a pool that a listener leads to", "DELETE", "/v1/pools/other", "", 422, "other"},
		{"a backend that is not there", "PUT", "/v1/pools/web/backends/127.0.0.1:1", `{state: drain}`, 404, "pool web has 127.0.0.1:9101"},
		{"a backend of a pool that is not there", "PUT", "/v1/pools/gone/backends/127.0.0.1:9101", `{state: drain}`, 404, "there are web, other"},
		{"a state that is none", "PUT", "/v1/pools/web/backends/127.0.0.1:9101", `{state: off}`, 422, "off"},
		{"a weight below nothing", "PUT", "/v1/pools/web/backends/127.0.0.1:9101", `{weight: -1}`, 422, "out of range"},
		{"a transaction with one bad change", "POST", "/v1/transaction",
			`{changes: [{put_route: {name: a, hosts: [a.example.com], pool: web}}, {delete_route: gone}]}`, 422, "gone"},
		{"a transaction of nothing", "POST", "/v1/transaction", `{}`, 422, "changes"},
		{"a check of a file with mistakes", "POST", "/v1/check", "routes: 3", 422, `"mistakes"`},
		{"a check of nothing", "POST", "/v1/check", "", 422, `"mistakes"`},
	}
	before := y.fingerprint()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			code, answer := y.ask(c.method, c.path, c.body)
			if code != c.code || !strings.Contains(answer, c.want) {
				t.Errorf("%s %s is answered %d %s, want %d and %q", c.method, c.path, code, answer, c.code, c.want)
			}
			if after := y.fingerprint(); after != before {
				t.Fatalf("%s %s: what runs was %s and is %s", c.method, c.path, before, after)
			}
		})
	}
}

func TestRoutesAreFilteredAndPaged(t *testing.T) {
	y := newYard(t)
	cases := []struct {
		name, query string
		want        []string
		total       int
		next        string
	}{
		{"all, in file order", "", []string{"www", "api", "canary", "blocked"}, 4, ""},
		{"by name", "name=api", []string{"api"}, 1, ""},
		{"by a part of the name", "name=*a*", []string{"api", "canary"}, 2, ""},
		{"by a part that overlaps itself", "name=www*w", nil, 0, ""},
		{"by a part of a host, in any case", "host=API.", []string{"api"}, 1, ""},
		{"by pool, also of a split", "pool=other", []string{"canary"}, 1, ""},
		{"by all of these", "name=*&host=example&pool=web", []string{"www", "api", "canary"}, 3, ""},
		{"the first page", "limit=2", []string{"www", "api"}, 4, "api"},
		{"the last page", "limit=2&after=api", []string{"canary", "blocked"}, 4, ""},
		{"a page of a filter, after a route that it leaves out", "pool=web&limit=1&after=www", []string{"api"}, 3, "api"},
		{"after the last", "after=blocked", nil, 4, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got RouteList
			if err := json.Unmarshal([]byte(y.must(t, "GET", "/v1/routes?"+c.query, "")), &got); err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, r := range got.Routes {
				names = append(names, r.Name)
			}
			if diff := cmp.Diff(c.want, names); diff != "" || got.Total != c.total || got.Next != c.next {
				t.Errorf("%q: total %d, next %q, want %d, %q (-want +got):\n%s", c.query, got.Total, got.Next, c.total, c.next, diff)
			}
		})
	}
}

// What GET shows is what PUT takes: sent back, it changes nothing.
func TestWhatIsShownCanBeSentBack(t *testing.T) {
	y := newYard(t)
	notOfTheFile := []string{"origin", "terminates", "active", "dial", "members", "panic", "waiting", "handshakes"}
	for _, path := range []string{"/v1/routes/www", "/v1/routes/api", "/v1/routes/canary", "/v1/routes/blocked", "/v1/pools/web", "/v1/pools/other"} {
		shown := map[string]any{}
		if err := json.Unmarshal([]byte(y.must(t, "GET", path, "")), &shown); err != nil {
			t.Fatal(err)
		}
		for _, key := range notOfTheFile {
			delete(shown, key)
		}
		body, err := json.Marshal(shown)
		if err != nil {
			t.Fatal(err)
		}
		var res control.Result
		if err := json.Unmarshal([]byte(y.must(t, "PUT", path+"?dry_run=true", string(body))), &res); err != nil {
			t.Fatal(err)
		}
		if res.Diff != nil && !res.Diff.Empty() {
			t.Errorf("%s sent back changes %s", path, res.Summary)
		}
	}
}

func TestOriginTellsTheOverlayFromTheFile(t *testing.T) {
	y := newYard(t)
	origin := func(path string) string {
		var shown struct{ Origin string }
		if err := json.Unmarshal([]byte(y.must(t, "GET", path, "")), &shown); err != nil {
			t.Fatal(err)
		}
		return shown.Origin
	}
	y.must(t, "PUT", "/v1/routes/www", `{hosts: [www.example.com], pool: other}`)
	y.must(t, "PUT", "/v1/pools/extra", `{backends: ["127.0.0.1:9105"]}`)
	for path, want := range map[string]string{
		"/v1/routes/www": "overlay", "/v1/routes/api": "file", "/v1/pools/extra": "overlay", "/v1/pools/web": "file",
	} {
		if got := origin(path); got != want {
			t.Errorf("origin of %s is %s, want %s", path, got, want)
		}
	}
	y.must(t, "DELETE", "/v1/overlay", "")
	if got := origin("/v1/routes/www"); got != "file" {
		t.Errorf("origin after the overlay was dropped is %s", got)
	}
}

func TestBackendIsDrainedAndReadyAgain(t *testing.T) {
	y := newYard(t)
	const path = "/v1/pools/web/backends/127.0.0.1:9102"
	member := func() BackendStatus {
		t.Helper()
		var p PoolList
		if err := json.Unmarshal([]byte(y.must(t, "GET", "/v1/pools?name=web&backend=127.0.0.1:9102", "")), &p); err != nil {
			t.Fatal(err)
		}
		if len(p.Pools) != 1 || len(p.Pools[0].Members) != 1 || len(p.Pools[0].Backends) != 1 {
			t.Fatalf("pools are %+v", p)
		}
		return p.Pools[0].Members[0]
	}
	for _, c := range []struct {
		name, body, state, reason string
		up                        bool
		weight                    int
	}{
		{"drained", `{state: drain}`, "drain", "override", false, 3},
		{"with another weight", `{weight: 7}`, "drain", "override", false, 7},
		{"out of use", `{"state": "maint"}`, "maint", "override", false, 7},
		{"ready again, with that weight", `{state: ready}`, "unknown", "", true, 7},
		{"as the file has it", `{weight: null}`, "unknown", "", true, 3},
	} {
		y.must(t, "PUT", path, c.body)
		want := BackendStatus{Address: "127.0.0.1:9102", Up: c.up, State: c.state, Reason: c.reason, Weight: c.weight, Backup: true}
		if diff := cmp.Diff(want, member(), cmpopts.IgnoreFields(BackendStatus{}, "Since")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	if n := len(y.manager.Status().Overlay); n != 0 {
		t.Errorf("%d entries are left in the overlay", n)
	}
}

func TestReloadTakesTheFile(t *testing.T) {
	y := newYard(t)
	y.edit(t, "blocked.example.com", "closed.example.com")
	if answer := y.must(t, "POST", "/v1/reload?dry_run=true", ""); !strings.Contains(answer, `"blocked"`) || !strings.Contains(answer, `"effects"`) {
		t.Errorf("dry run answers %s", answer)
	}
	if r := y.manager.Status().Revision; r != 1 {
		t.Errorf("revision after a dry run is %d", r)
	}
	if answer := y.must(t, "POST", "/v1/reload?if_revision=1", ""); !strings.Contains(answer, `"revision": 2`) {
		t.Errorf("reload answers %s", answer)
	}
	y.edit(t, "pool: web", "pool: wbe")
	if code, answer := y.ask("POST", "/v1/reload", ""); code != 422 || !strings.Contains(answer, `did you mean \"web\"?`) {
		t.Errorf("reload of a bad file answers %d %s", code, answer)
	}
	if st := y.manager.Status(); st.Revision != 2 || st.LastReload.OK {
		t.Errorf("after a bad file: revision %d, last reload %+v", st.Revision, st.LastReload)
	}
	if answer := y.must(t, "POST", "/v1/rollback", ""); !strings.Contains(answer, `"revision": 3`) {
		t.Errorf("rollback answers %s", answer)
	}
}

func TestConnectionsAreListedAndKilled(t *testing.T) {
	backend := listenAndAnswer(t)
	y := newYardOf(t, strings.NewReplacer("127.0.0.1:9101", backend, "split: [{pool: web, weight: 9}, {pool: other}]", "pool: web").Replace(yardFile))
	hold(t, y, "www.example.com")
	api := hold(t, y, "v1.example.com")
	var list ConnectionList
	get := func(query string) {
		t.Helper()
		list = ConnectionList{}
		if err := json.Unmarshal([]byte(y.must(t, "GET", "/v1/connections?"+query, "")), &list); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]int{
		"limit=1": 2, "sni=www.example.com": 1, "sni=*.example.com": 2, "client=127.0.0.1": 2, "client=192.0.2.0/24": 0,
		"route=canary&backend=" + backend: 1, "listener=inside": 0, "min_age=1h": 0,
	} {
		if get(query); list.Total != want || len(list.Connections) > want {
			t.Errorf("%s: %d listed of %d, want %d", query, len(list.Connections), list.Total, want)
		}
	}
	get("sni=v1.example.com")
	if answer := y.must(t, "DELETE", "/v1/connections/"+list.Connections[0].ID, ""); !strings.Contains(answer, `"killed": 1`) {
		t.Errorf("kill answers %s", answer)
	}
	if n, err := api.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the killed connection reads %d bytes, %v", n, err)
	}
	if answer := y.must(t, "DELETE", "/v1/connections?id="+list.Connections[0].ID, ""); !strings.Contains(answer, `"killed": 0`) {
		t.Errorf("a second kill answers %s", answer)
	}
}

func TestEveryErrorHasItsStatus(t *testing.T) {
	refusal := &control.RefusedError{Err: errors.New("x"), Mistakes: []control.Mistake{{Message: "bad", Text: "bad"}}, Hint: "mend it"}
	for _, c := range []struct {
		err  error
		want APIError
	}{
		{refusal, APIError{Status: 422, Message: "bad", Hint: "mend it", Mistakes: refusal.Mistakes}},
		{&control.ConflictError{Revision: 3, Why: "no"}, APIError{Status: 409, Message: "no", Revision: 3, Hint: "look at what is in force now, and ask again with its revision"}},
		{&control.NotFoundError{Kind: "pool", Name: "a", Hint: "b"}, APIError{Status: 404, Message: `there is no pool "a"`, Hint: "b"}},
		{&control.BusyError{Revision: 3, Left: time.Second}, APIError{Status: 409, Message: "a guard watches revision 3 for another 1s", Hint: (&control.BusyError{}).Hint()}},
		{&control.SaveError{Path: "/s", Err: os.ErrPermission}, APIError{Status: 507, Message: "state file /s: permission denied: nothing was changed"}},
		{fmt.Errorf("wrapped: %w", control.ErrStopping), APIError{Status: 503, Message: "wrapped: control: stopping: nothing can be changed any more"}},
		{control.ErrStarting, APIError{Status: 503, Message: "still starting: nothing can be changed yet"}},
		{context.DeadlineExceeded, APIError{Status: 503, Message: "context deadline exceeded"}},
		{errors.New("odd"), APIError{Status: 500, Message: "odd"}},
	} {
		if diff := cmp.Diff(&c.want, problem(c.err)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.err, diff)
		}
	}
}

// One line says who did what; nothing of a body is in it, and names that a client chose are escaped and cut.
func TestWritesAreLogged(t *testing.T) {
	y := newYard(t)
	lines := func() []string { return strings.Split(strings.TrimSuffix(y.log.String(), "\n"), "\n") }
	y.must(t, "GET", "/v1/routes", "")
	y.must(t, "POST", "/v1/check", yardFile)
	if y.log.Len() > 0 {
		t.Errorf("reading is logged:\n%s", y.log)
	}
	y.must(t, "PUT", "/v1/routes/extra", `{hosts: [secret.example.com], pool: web}`)
	y.ask("PUT", "/v1/routes/"+strings.Repeat("%0A", 1000), `{secret: 1}`)
	y.ask("DELETE", "/v1/connections?pool=web", "")
	y.ask("DELETE", "/v1/connections", "")
	want := []string{
		`level=INFO msg="admin request" verb="PUT /v1/routes/extra" revision=2 summary="1 route added" status=200`,
		`%0A`, `verb="DELETE /v1/connections" killed=0 status=200`, `error="say which connections: a filter is required" status=400`,
	}
	got := lines()
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(got), len(want), y.log)
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) || strings.Contains(got[i], "secret") || len(got[i]) > 1000 {
			t.Errorf("line %d is %s, want one with %s", i, got[i], want[i])
		}
	}
}

func TestMatchStars(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"a", "a", true}, {"a", "ab", false}, {"*", "", true}, {"*", "x", true}, {"a*", "a", true}, {"a*a", "a", false},
		{"a*b*c", "a--b--c", true}, {"a*b*c", "abc", true}, {"a*b*c", "acb", false}, {"**", "x", true}, {"*b*b*", "b", false},
	} {
		if got := matchStars(c.pattern, c.s); got != c.want {
			t.Errorf("matchStars(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}
