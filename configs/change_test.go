package configs

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/route"
)

// ran is a Running made of a file. It counts how often it lists names.
type ran struct {
	*Config
	lists *int
}

func (r ran) Listeners() []balancer.ListenerConfig { return r.Balancer.Listeners }
func (r ran) AdminListen() netip.AddrPort          { return r.Admin.Listen }
func (r ran) HasPool(name string) bool             { return indexOf(r.poolNames(), name) >= 0 }
func (r ran) HasRoute(name string) bool            { return indexOf(r.routeNames(), name) >= 0 }

func (r ran) AsksForName(name string) bool {
	return slices.ContainsFunc(r.Balancer.Pools, func(p pool.Config) bool {
		t, ok := p.TLS.(*terminate.BackendTLS)
		return ok && p.Name == name && !t.Insecure && t.SNI == ""
	})
}

func (r ran) NamelessRoutes(name string) (all []string) {
	for _, x := range r.Balancer.Routes {
		if x.Terminate != nil && slices.Contains(x.Hosts, route.NoName) &&
			slices.ContainsFunc(x.Action.Targets, func(t route.Target) bool { return t.Pool == name }) {
			all = append(all, x.Name)
		}
	}
	return all
}

func (r ran) PoolNames() []string {
	*r.lists++
	return r.poolNames()
}

func (r ran) RouteNames() []string {
	*r.lists++
	return r.routeNames()
}

func (r ran) poolNames() (all []string) {
	for _, p := range r.Balancer.Pools {
		all = append(all, p.Name)
	}
	return all
}

func (r ran) routeNames() (all []string) {
	for _, x := range r.Balancer.Routes {
		all = append(all, x.Name)
	}
	return all
}

func indexOf(words []string, word string) int {
	for i, w := range words {
		if w == word {
			return i
		}
	}
	return -1
}

const served = `admin: {listen: "127.0.0.1:9901"}
listeners:
  - name: public
    bind: ["127.0.0.1:8443", "192.0.2.1:443"]
    unknown_sni: {pool: web}
routes:
  - {name: www, hosts: [www.example.com], pool: web}
  - {name: api, hosts: [api.example.com], pool: api}
  - {name: old, hosts: [old.example.com], pool: spare}
pools:
  - {name: web, backends: ["192.0.2.7:443"]}
  - {name: api, backends: ["192.0.2.8:443", "db.example.net:443"]}
  - {name: spare, backends: ["192.0.2.9:443"]}
`

func running(t testing.TB) ran {
	t.Helper()
	cfg, err := Parse("served.yaml", []byte(served), ".")
	if err != nil {
		t.Fatal(err)
	}
	return ran{cfg, new(int)}
}

func TestARouteIsReadAsTheFileReadsIt(t *testing.T) {
	t.Parallel()
	want := route.Route{
		Name: "shop", Hosts: []string{"shop.example.com", "é"}, ALPN: []string{"h2"}, Listeners: []string{"public"},
		Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Action:  route.Action{Targets: []route.Target{{Pool: "web", Weight: 9}, {Pool: "api", Weight: 1}}},
	}
	want.Hosts = want.Hosts[:1]
	for name, text := range map[string]string{
		"YAML": `
hosts: [shop.example.com] # comments
alpn: [h2]
clients:
  - 10.0.0.0/8
listeners: [public]
split:
  - {pool: web, weight: 9}
  - pool: api
`,
		"YAML with the name":         "name: shop\nhosts: [shop.example.com]\nalpn: [h2]\nclients: [10.0.0.0/8]\nlisteners: [public]\nsplit: [{pool: web, weight: 9}, {pool: api}]",
		"JSON":                       `{"name":"shop","hosts":["shop.example.com"],"alpn":["h2"],"clients":["10.0.0.0/8"],"listeners":["public"],"split":[{"pool":"web","weight":9},{"pool":"api"}]}`,
		"JSON indented with tabs":    "{\n\t\"hosts\": [\n\t\t\"shop.example.com\"\n\t],\n\t\"alpn\":\t[\"h2\"],\n\t\"clients\": [\"10.0.0.0\\/8\"],\n\t\"listeners\": [\"public\"],\n\t\"split\": [\n\t\t{\n\t\t\t\"pool\": \"web\",\n\t\t\t\"weight\": 9\n\t\t},\n\t\t{\"pool\": \"api\"}\n\t]\n}\n",
		"JSON with Unicode escapes":  `{"hosts":["\u0073hop.example.com"],"alpn":["h\u0032"],"clients":["10.0.0.0\/8"],"listeners":["public"],"split":[{"pool":"web","weight":9},{"pool":"api"}]}`,
		"a byte order mark and CRLF": "\ufeff{\"hosts\":[\"shop.example.com\"],\r\n\"alpn\":[\"h2\"],\"clients\":[\"10.0.0.0/8\"],\r\n\"listeners\":[\"public\"],\"split\":[{\"pool\":\"web\",\"weight\":9},{\"pool\":\"api\"}]}\r\n",
	} {
		r := running(t)
		c, err := ParseRoute("PUT /v1/routes/shop", "shop", []byte(text), ".", r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(balancer.Edit{PutRoutes: []route.Route{want}}, c.Edit, loaded, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		entries := []Entry{{Kind: "route", Name: "shop", Text: text, Origin: "PUT /v1/routes/shop"}}
		if d := cmp.Diff(entries, c.Entries); d != "" {
			t.Errorf("%s: entries (-want +got):\n%s", name, d)
		}
		if *r.lists != 0 {
			t.Errorf("%s: a sound route asked %d times for all names: its cost grows with their number", name, *r.lists)
		}
	}
}

func TestARouteThatIsWrongIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, put, text, want string }{
		{"no pool of that name", "shop", "hosts: [a.example.com]\npool: wep\n", `origin:2:7: there is no pool "wep"
pool: wep
      ^
hint: did you mean "web"?`},
		{"no listener of that name", "shop", "{hosts: [a.example.com], pool: web, listeners: [private]}", `origin:1:49: there is no listener "private"
{hosts: [a.example.com], pool: web, listeners: [private]}
                                                ^
hint: the only listener is public`},
		{"another name", "shop", "{name: store, hosts: [a.example.com], pool: web}", `origin:1:8: this is the route "shop", not "store"
{name: store, hosts: [a.example.com], pool: web}
       ^
hint: leave the name out here`},
		{"a name that is none", "my shop", "{hosts: [a.example.com], pool: web}", `origin:1:1: the name of the route: "my shop" is no name: letters, digits, "_", "." and "-" are allowed
{hosts: [a.example.com], pool: web}
^
hint: did you mean "my-shop"?`},
		{"no name", "", "{hosts: [a.example.com], pool: web}", `origin:1:1: the name of the route: it is empty
{hosts: [a.example.com], pool: web}
^`},
		{"an unknown key", "shop", "{hosts: [a.example.com], pol: web}", `origin:1:26: unknown key "pol" in the route
{hosts: [a.example.com], pol: web}
                         ^
hint: did you mean "pool"?`},
		{"a repeated key", "shop", "{\"hosts\": [\"a.example.com\"],\n \"pool\": \"web\", \"pool\": \"api\"}", `origin:2:17: key "pool" is repeated; it is already on line 2
 "pool": "web", "pool": "api"}
                ^`},
		{"a missing key", "shop", "pool: web", `origin:1:1: the route needs the key "hosts"
pool: web
^
hint: for example ` + "`hosts: [\"*.example.com\"]`"},
		{"a wrong type", "shop", `{"hosts": "a.example.com", "pool": 7}`, `origin:1:11: hosts must be a list, not the text "a.example.com"
{"hosts": "a.example.com", "pool": 7}
          ^
hint: write it as ["a.example.com"]
origin:1:36: pool must be text, not the number 7
{"hosts": "a.example.com", "pool": 7}
                                   ^
hint: write it in quotes: "7"`},
		{"null", "shop", `{"hosts": ["a.example.com"], "pool": null}`, `origin:1:38: pool has no value
{"hosts": ["a.example.com"], "pool": null}
                                     ^
hint: remove the key, or give it a value`},
		{"a bad host", "shop", "{hosts: [a.example.com, \"*a.example.com\"], pool: web}", `origin:1:25: route "shop": host *a.example.com: "*" may only be the whole first label, as in *.example.com, or stand alone
{hosts: [a.example.com, "*a.example.com"], pool: web}
                        ^`},
		{"a host twice", "shop", "hosts:\n  - a.example.com\n  - A.example.com\npool: web", `origin:3:5: route "shop": host A.example.com is listed twice
  - A.example.com
    ^`},
		{"a list", "shop", "[]", `origin:1:1: the route must be a mapping of keys, not a list
[]
^
hint: keys are name, hosts, no_sni, alpn, clients, listeners, pool, split, reject, terminate`},
		{"nothing", "shop", "", `origin:1:1: the route is empty
hint: send its keys as YAML or JSON`},
		{"null alone", "shop", "null", `origin:1:1: the route is empty
null
^
hint: send its keys as YAML or JSON`},
		{"no document", "shop", "\n---", `origin:1:1: the route is empty
hint: send its keys as YAML or JSON`},
		{"two documents", "shop", "pool: web\n---\npool: api\n", `origin:2:1: a second document
---
^
hint: a route is one document: remove "---"`},
		{"an alias", "shop", "{hosts: [&a a.example.com, *a], pool: web}", `origin:1:28: hosts[1]: aliases are for files
{hosts: [&a a.example.com, *a], pool: web}
                           ^
hint: write the value out; text that starts with "*" needs quotes`},
		{"half of JSON", "shop", `{"hosts": ["a.example.com"`, `origin:1:11: not YAML: while parsing a flow sequence: did not find expected ',' or ']'
{"hosts": ["a.example.com"
          ^
hint: check the indentation, and for a missing quote, comma or bracket`},
		{"a surrogate pair", "shop", `{"hosts": ["\ud83d\ude00"], "pool": "web"}`, `origin:1:15: not YAML: while scanning a quoted scalar: found invalid Unicode character escape code
{"hosts": ["\ud83d\ude00"], "pool": "web"}
              ^
hint: write the character itself, in UTF-8: YAML reads no \u surrogates`},
		{"both terminate and reject", "shop", "{hosts: [a.example.com], reject: alert, terminate: {certificates: [{cert: certs/a.crt, key: certs/a.key}]}}", `origin:1:41: route "shop" has both terminate and reject
{hosts: [a.example.com], reject: alert, terminate: {certificates: [{cert: certs/a.crt, key: certs/a.key}]}}
                                        ^
hint: remove one of them`},
	} {
		_, err := ParseRoute("origin", c.put, []byte(c.text), certificates(t), running(t))
		if err == nil {
			t.Errorf("%s is accepted", c.name)
		} else if d := cmp.Diff(c.want, err.Error()); d != "" {
			t.Errorf("%s (-want +got):\n%s\n%v", c.name, d, err)
		}
	}
}

func TestAPoolIsReadAsTheFileReadsIt(t *testing.T) {
	t.Parallel()
	r := running(t)
	text := `{"backends": ["192.0.2.7:443", {"address": "cache.example.net:443", "weight": 2}], "health": {"type": "tls"}, "tls": {}}`
	c, err := ParsePool("PUT /v1/pools/cache", "cache", []byte(text), ".", r)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := Parse("a.yaml", []byte(strings.Replace(served, "pools:\n", "pools:\n  - "+strings.Replace(text, "{", `{"name": "cache", `, 1)+"\n", 1)), ".")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(cfg.Balancer.Pools[:1], c.Edit.PutPools, loaded); d != "" {
		t.Errorf("the pool (-file +request):\n%s", d)
	}
	if len(c.Warnings) != 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
	if d := cmp.Diff([]Entry{{Kind: "pool", Name: "cache", Text: text, Origin: "PUT /v1/pools/cache"}}, c.Entries); d != "" {
		t.Errorf("entries (-want +got):\n%s", d)
	}
}

// R23: what a request says becomes no target that the file could not say, and never this process itself.
func TestABackendThatIsThisProcessIsRefused(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:8443", "localhost:8443", "192.0.2.1:443", "127.0.0.1:9901", "169.254.169.254:80", "0.0.0.0:1"} {
		text := fmt.Sprintf("{backends: [\"%s\"]}", address)
		if _, err := ParsePool("origin", "web", []byte(text), ".", running(t)); err == nil {
			t.Errorf("the backend %s is accepted", address)
		}
		text = fmt.Sprintf("{changes: [{put_pool: {name: web, backends: [\"%s\"]}}]}", address)
		if _, err := ParseTransaction("origin", []byte(text), ".", running(t)); err == nil {
			t.Errorf("the backend %s is accepted in a transaction", address)
		}
	}
	if _, err := ParsePool("origin", "web", []byte(`{backends: ["127.0.0.1:8444"]}`), ".", running(t)); err != nil {
		t.Errorf("a port that nobody listens on: %v", err)
	}
}

func TestFilesOfARequestLieBesideTheConfiguration(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	text := []byte("{hosts: [a.example.com], pool: web, terminate: {certificates: [{cert: certs/a.crt, key: certs/a.key}]}}")
	if _, err := ParseRoute("origin", "a", text, dir, running(t)); err != nil {
		t.Error(err)
	}
	_, err := ParseRoute("origin", "a", text, filepath.Join(dir, "elsewhere"), running(t))
	if err == nil || !strings.Contains(err.Error(), "relative paths start at") {
		t.Errorf("files that are not there: %v", err)
	}
}

func TestABackendIsToldItsStateAndWeight(t *testing.T) {
	t.Parallel()
	three := 3
	for _, c := range []struct {
		pool, address, text string
		want                BackendChange
		msg                 string
	}{
		{"api", "192.0.2.8:443", "{state: drain}", BackendChange{Pool: "api", Address: "192.0.2.8:443", State: "drain"}, ""},
		{"api", "192.0.2.8:443", `{"state": "maint", "weight": 3}`, BackendChange{Pool: "api", Address: "192.0.2.8:443", State: "maint", Weight: &three}, ""},
		{"api", "DB.example.net.:443", "{weight: null}", BackendChange{Pool: "api", Address: "db.example.net:443", ResetWeight: true}, ""},
		{"api", "db.example.net:443", "weight:\nstate: ready", BackendChange{Pool: "api", Address: "db.example.net:443", State: "ready", ResetWeight: true}, ""},
		{"api", "[::ffff:192.0.2.8]:443", "{pool: api, address: \"192.0.2.8:443\", weight: 3}", BackendChange{Pool: "api", Address: "192.0.2.8:443", Weight: &three}, ""},
		{"apy", "192.0.2.8:443", "{state: drain}", BackendChange{}, `there is no pool "apy"`},
		{"api", "192.0.2.8", "{state: drain}", BackendChange{}, `the address of the backend: "192.0.2.8" has no port`},
		{"api", "", "{state: drain}", BackendChange{}, `the address of the backend: it is empty`},
		{"api", "192.0.2.8:443", "{}", BackendChange{}, "the backend needs one of state and weight"},
		{"api", "192.0.2.8:443", "{state: up}", BackendChange{}, `state: "up" is not one of ready, drain, maint`},
		{"api", "192.0.2.8:443", "{state: null}", BackendChange{}, "state has no value"},
		{"api", "192.0.2.8:443", "{weight: -1}", BackendChange{}, "weight: -1 is out of range: it takes 0 to 65535"},
		{"api", "192.0.2.8:443", "{weight: \"3\"}", BackendChange{}, `weight must be a whole number, not the text "3"`},
		{"api", "192.0.2.8:443", "{wait: 3}", BackendChange{}, `unknown key "wait" in the backend`},
		{"api", "192.0.2.8:443", "{pool: web, state: drain}", BackendChange{}, `this is the pool "api", not "web"`},
		{"api", "192.0.2.8:443", "{address: \"192.0.2.9:443\", state: drain}", BackendChange{}, "this is the backend 192.0.2.8:443, not 192.0.2.9:443"},
		{"api", "192.0.2.8:443", "drain", BackendChange{}, `the backend must be a mapping of keys, not the text "drain"`},
	} {
		got, err := ParseBackend("origin", c.pool, c.address, []byte(c.text), running(t))
		if c.msg != "" {
			if errs, _ := errors.AsType[Errors](err); len(errs) != 1 || errs[0].Msg != c.msg {
				t.Errorf("%s %s %s: %v; want %s", c.pool, c.address, c.text, err, c.msg)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s %s: %v", c.pool, c.address, c.text, err)
		} else if d := cmp.Diff([]BackendChange{c.want}, got.Backends); d != "" || len(got.Entries) != 0 {
			t.Errorf("%s %s %s (-want +got):\n%s", c.pool, c.address, c.text, d)
		}
	}
}

func TestConflictsOfTheTableArePlacedInTheRequest(t *testing.T) {
	t.Parallel()
	r := running(t)
	table, err := route.NewTable(r.Balancer.RouteSet())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"a host that a route outside has", `changes:
  - put_route: {name: shop, hosts: [shop.example.com], pool: web}
  - put_route:
      name: store
      hosts: [store.example.com, WWW.example.com]
      pool: api
`, "origin:5:34: route \"store\": host WWW.example.com can never match: "},
		{"a pool that is in use", "{changes: [{delete_route: www}, {delete_pool: api}]}", `origin:1:47: pool "api": route "api" sends connections there; change it first
{changes: [{delete_route: www}, {delete_pool: api}]}
                                              ^`},
		{"a pool that a listener falls back to", "{changes: [{delete_route: www}, {delete_pool: web}]}", `origin:1:47: pool "web": listener "public" sends connections there, by no_sni or unknown_sni; change it first
{changes: [{delete_route: www}, {delete_pool: web}]}
                                              ^`},
		{"nothing", "{changes: [{delete_route: old}, {delete_pool: spare}]}", ""},
	} {
		x, err := ParseTransaction("origin", []byte(c.text), ".", r)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		e := &route.Edit{PutRoutes: x.Edit.PutRoutes, DeleteRoutes: x.Edit.DeleteRoutes, DeletePools: x.Edit.DeletePools}
		p, err := table.PrepareEdit(e)
		if err == nil {
			p.Abort()
		}
		got := ""
		if err = RouteErrors("origin", x, err); err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
	one := route.Conflict{Route: 7, Listener: -1, Host: -1, Other: -1, Msg: "somewhere else"}
	other := errors.New("no more descriptors")
	if got := RouteErrors("origin", nil, fmt.Errorf("refused: %w", errors.Join(one, other))).Error(); got != "origin:1:1: somewhere else\norigin:1:1: no more descriptors" {
		t.Errorf("without a place: %s", got)
	}
	if got := RouteErrors("origin", nil, other); got != other {
		t.Errorf("an error that is no conflict becomes %v", got)
	}
	if got := RouteErrors("origin", nil, nil); got != nil {
		t.Errorf("no error becomes %v", got)
	}
}

// What a change may do to a route or a pool that runs is what a file may: the entry lies on the file from then on.
func TestAChangeLeavesClientsWithoutANameSomethingToVerify(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	const running = `listeners: [{name: public, bind: ["127.0.0.1:8443"]}]
routes:
  - {name: bare, hosts: [bare.example.com], no_sni: true, pool: named, terminate: {certificates: [{cert: certs/a.crt, key: certs/a.key, default: true}]}}
  - {name: asking, hosts: [asking.example.com], pool: asking, terminate: {certificates: [{cert: certs/a.crt, key: certs/a.key}]}}
pools:
  - {name: named, tls: {sni: x.example.com}, backends: ["127.0.0.1:9101"]}
  - {name: asking, tls: {}, backends: ["127.0.0.1:9102"]}
`
	cfg, err := Parse("a.yaml", []byte(running), dir)
	if err != nil {
		t.Fatal(err)
	}
	const (
		bare  = `put_route: {name: bare, hosts: [bare.example.com], no_sni: true, pool: asking, terminate: {certificates: [{cert: certs/a.crt, key: certs/a.key, default: true}]}}`
		named = `put_pool: {name: named, tls: {}, backends: ["127.0.0.1:9101"]}`
	)
	for _, c := range []struct{ name, changes, want string }{
		{"a route to a pool that runs", bare, "have none that backends of pool \"asking\" could be verified by"},
		{"a route to a pool that is changed with it", bare + "}, {" + `put_pool: {name: asking, tls: {sni: x.example.com}, backends: ["127.0.0.1:9102"]}`, ""},
		{"a pool of a route that runs", named, "clients of route \"bare\" without a server name have none"},
		{"a pool of a route that is deleted with it", named + "}, {delete_route: bare", ""},
		{"a pool whose backends are not verified", `put_pool: {name: named, tls: {verify: false}, backends: ["127.0.0.1:9101"]}`, ""},
	} {
		lists := 0
		_, err := ParseTransaction("tx", []byte("changes: [{"+c.changes+"}]"), dir, ran{cfg, &lists})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
