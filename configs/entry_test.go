package configs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEntriesLieOnTopOfTheFile(t *testing.T) {
	t.Parallel()
	put := func(kind, name, text string) Entry {
		return Entry{Kind: kind, Name: name, Text: text, Origin: "PUT /v1/" + kind + "s/" + name}
	}
	gone := func(kind, name string) Entry {
		return Entry{Kind: kind, Name: name, Origin: "DELETE /v1/" + kind + "s/" + name}
	}
	shop := "{hosts: [shop.example.com], pool: web}"
	for _, c := range []struct {
		name          string
		entries       []Entry
		routes, pools string // name:pool and name:backends
	}{
		{"nothing", nil, "www:web api:api old:spare", "web:1 api:2 spare:1"},
		{"a route that is new comes last", []Entry{put("route", "shop", shop)}, "www:web api:api old:spare shop:web", "web:1 api:2 spare:1"},
		{"a route that is there stays in its place", []Entry{put("route", "api", "{hosts: [a.example.com], pool: web}")}, "www:web api:web old:spare", "web:1 api:2 spare:1"},
		{"a route is deleted", []Entry{gone("route", "api")}, "www:web old:spare", "web:1 api:2 spare:1"},
		{"a route that is not there is deleted", []Entry{gone("route", "apy"), gone("pool", "apy")}, "www:web api:api old:spare", "web:1 api:2 spare:1"},
		{"a route is deleted and put again", []Entry{gone("route", "www"), put("route", "www", shop)}, "api:api old:spare www:web", "web:1 api:2 spare:1"},
		{"a route is put, put again and deleted", []Entry{put("route", "shop", shop), put("route", "shop", "{hosts: [s.example.com], pool: api}"), gone("route", "shop")}, "www:web api:api old:spare", "web:1 api:2 spare:1"},
		{"a route and its pool", []Entry{put("route", "shop", "{hosts: [shop.example.com], pool: shop}"), put("pool", "shop", `{"backends": ["192.0.2.1:1", "192.0.2.2:1"]}`)}, "www:web api:api old:spare shop:shop", "web:1 api:2 spare:1 shop:2"},
		{"a pool in the place of another", []Entry{put("pool", "web", "name: web\nbackends: [192.0.2.1:1, 192.0.2.2:1]")}, "www:web api:api old:spare", "web:2 api:2 spare:1"},
		{"a pool and its only route", []Entry{gone("pool", "spare"), gone("route", "old")}, "www:web api:api", "web:1 api:2"},
	} {
		cfg, err := ParseWith("served.yaml", []byte(served), ".", c.entries)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var routes, pools []string
		for i, r := range cfg.Balancer.Routes {
			routes = append(routes, r.Name+":"+r.Action.Targets[0].Pool)
			if r.Index != i {
				t.Errorf("%s: route %d has the index %d", c.name, i, r.Index)
			}
		}
		for _, p := range cfg.Balancer.Pools {
			pools = append(pools, fmt.Sprintf("%s:%d", p.Name, len(p.Backends)))
		}
		if got := strings.Join(routes, " "); got != c.routes {
			t.Errorf("%s: routes %s; want %s", c.name, got, c.routes)
		}
		if got := strings.Join(pools, " "); got != c.pools {
			t.Errorf("%s: pools %s; want %s", c.name, got, c.pools)
		}
		alone, _ := Parse("served.yaml", []byte(served), ".")
		if cfg.Digest != alone.Digest {
			t.Errorf("%s: the digest is not that of the file", c.name)
		}
	}
}

func TestAMistakeInAnEntryIsShownInItsText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		entries []Entry
		want    string
	}{
		{"a pool that the file has lost", []Entry{
			{Kind: "route", Name: "one", Text: "{hosts: [one.example.com], pool: web}", Origin: "first"},
			{Kind: "route", Name: "two", Text: "hosts: [two.example.com]\npool: wep\n", Origin: "second"},
		}, `second:2:7: there is no pool "wep"
pool: wep
      ^
hint: did you mean "web"?`},
		{"a pool that an entry deletes", []Entry{{Kind: "pool", Name: "api", Origin: "DELETE /v1/pools/api"}}, `served.yaml:8:49: there is no pool "api"
  - {name: api, hosts: [api.example.com], pool: api}
                                                ^
hint: DELETE /v1/pools/api deletes it`},
		{"a host that the file has", []Entry{{Kind: "route", Name: "shop", Text: "pool: web\nhosts: [API.example.com]", Origin: "origin"}},
			`origin:2:9: route "shop": host API.example.com can never match: route "api" has the same host and conditions, and comes first
hosts: [API.example.com]
        ^
hint: the other one is on line 8 of served.yaml`},
		{"mistakes in the file and in two entries", []Entry{
			{Kind: "route", Name: "api", Text: "{hosts: [api.example.com], pool: gone}", Origin: "first"},
			{Kind: "pool", Name: "web", Text: "{backends: [\"127.0.0.1:8443\"]}", Origin: "second"},
			{Kind: "pool", Name: "gone", Origin: "third"},
			{Kind: "pool", Name: "spare", Origin: "fourth"},
		}, `served.yaml:9:49: there is no pool "spare"
  - {name: old, hosts: [old.example.com], pool: spare}
                                                ^
hint: fourth deletes it
first:1:34: there is no pool "gone"
{hosts: [api.example.com], pool: gone}
                                 ^
second:1:13: pool "web": the backend 127.0.0.1:8443 is listener "public" itself: it would connect to itself without end
{backends: ["127.0.0.1:8443"]}
            ^`},
		{"a text that is no YAML", []Entry{{Kind: "pool", Name: "web", Text: "backends: [", Origin: "origin"}}, `origin:1:11: not YAML: while parsing a flow node: did not find expected node content
backends: [
          ^
hint: check the indentation, and for a missing quote, comma or bracket`},
		{"a kind that there is not", []Entry{{Kind: "listener", Name: "public", Origin: "state.json"}}, `state.json:1:1: "listener" is no kind of entry
hint: it is route or pool`},
		{"a name that is none", []Entry{{Kind: "route", Name: "a b", Text: "{hosts: [a.example.com], pool: web}", Origin: "state.json"}}, `state.json:1:1: the name of the route: "a b" is no name: letters, digits, "_", "." and "-" are allowed
{hosts: [a.example.com], pool: web}
^
hint: did you mean "a-b"?`},
	} {
		cfg, err := ParseWith("served.yaml", []byte(served), ".", c.entries)
		if err == nil || cfg != nil {
			t.Errorf("%s is accepted", c.name)
		} else if d := cmp.Diff(c.want, err.Error()); d != "" {
			t.Errorf("%s (-want +got):\n%s\n%v", c.name, d, err)
		}
	}
}

// A file that names a route twice stays refused, whatever lies on it: otherwise it would fail when the entry is dropped.
func TestEntriesHideNoRepeatedName(t *testing.T) {
	t.Parallel()
	twice := strings.Replace(served, "name: old", "name: api", 1)
	for _, e := range []Entry{{Kind: "route", Name: "api", Origin: "origin"}, {Kind: "route", Name: "api", Text: "{hosts: [a.example.com], pool: web}", Origin: "origin"}} {
		_, err := ParseWith("served.yaml", []byte(twice), ".", []Entry{e})
		if err == nil || !strings.Contains(err.Error(), `a second route is named "api"`) {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

func TestWarningsAboutEntriesNameThem(t *testing.T) {
	t.Parallel()
	cfg, err := ParseWith("served.yaml", []byte(served), ".", []Entry{{Kind: "pool", Name: "shop", Text: "{backends: [192.0.2.1:1]}", Origin: "origin"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Warnings) != 1 || !strings.HasPrefix(cfg.Warnings[0].Error(), `origin:1:1: pool "shop" is not used`) {
		t.Errorf("warnings: %v", cfg.Warnings)
	}
}

func TestWhatTheFileHasByItself(t *testing.T) {
	t.Parallel()
	text := "listeners: [{name: public, bind: [\"127.0.0.1:0\"]}]\n" +
		"routes: [{name: www, hosts: [www.example.com], pool: web}]\n" +
		"pools: [{name: web, backends: [\"10.0.0.1:443\"]}]\n"
	entries := []Entry{
		{Kind: "route", Name: "www", Text: "{hosts: [www.example.com], pool: web}"},
		{Kind: "route", Name: "api", Text: "{hosts: [api.example.com], pool: web}"},
		{Kind: "route", Name: "gone"},
		{Kind: "pool", Name: "web", Text: "{backends: [\"10.0.0.2:443\"]}"},
		{Kind: "pool", Name: "www"},
	}
	cfg, err := ParseWith("switchyard.yaml", []byte(text), t.TempDir(), entries)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]bool{true, false, false, true, false}, cfg.InFile); diff != "" {
		t.Errorf("InFile (-want +got)\n%s", diff)
	}
}
