package configs

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a transaction changes, and what its entries make of the file afterwards, are the same.
func TestATransactionIsTheSameAsItsEntries(t *testing.T) {
	t.Parallel()
	text := `# a comment
if_revision: 12
on_reload: drop
changes:
  - put_route:
      name: shop # another one
      hosts: [shop.example.com, "~^db-[0-9]+\\.example\\.net$"]
      pool: shop
  - delete_route: old
  - put_pool: {"name": "shop", "backends": ["192.0.2.1:1", {"address": "` + strings.Repeat("long-", 11) + `name.example.net:1", "weight": 7}]}
  - put_route: {name: api, hosts: ["*.example.com"], split: [{pool: api, weight: 3}, {pool: shop}]}
  - delete_pool: spare
  - backend: {pool: shop, address: "192.0.2.1:1", state: drain, weight: 0}
  - backend: {pool: api, address: "192.0.2.8:443", weight: null}
`
	r := running(t)
	c, err := ParseTransaction("POST /v1/transaction", []byte(text), ".", r)
	if err != nil {
		t.Fatal(err)
	}
	if c.IfRevision != 12 || c.OnReload != "drop" || len(c.Entries) != 5 || *r.lists != 0 {
		t.Errorf("revision %d, on reload %q, %d entries, %d lists of names", c.IfRevision, c.OnReload, len(c.Entries), *r.lists)
	}
	zero := 0
	want := []BackendChange{{Pool: "shop", Address: "192.0.2.1:1", State: "drain", Weight: &zero}, {Pool: "api", Address: "192.0.2.8:443", ResetWeight: true}}
	if d := cmp.Diff(want, c.Backends); d != "" {
		t.Errorf("backends (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"old"}, c.Edit.DeleteRoutes); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"spare"}, c.Edit.DeletePools); d != "" {
		t.Error(d)
	}
	cfg, err := ParseWith("served.yaml", []byte(served), ".", c.Entries)
	if err != nil {
		t.Fatal(err)
	}
	for _, put := range c.Edit.PutRoutes {
		i := indexOf(ran{Config: cfg}.routeNames(), put.Name)
		if i < 0 {
			t.Fatalf("the entries put no route %s", put.Name)
		}
		put.Index = i
		if d := cmp.Diff(put, cfg.Balancer.Routes[i], loaded); d != "" {
			t.Errorf("route %s (-edit +entry):\n%s", put.Name, d)
		}
	}
	if d := cmp.Diff(c.Edit.PutPools[0], cfg.Balancer.Pools[2], loaded); d != "" {
		t.Errorf("pool shop (-edit +entry):\n%s", d)
	}
	if i := indexOf(ran{Config: cfg}.routeNames(), "old"); i >= 0 {
		t.Error("the entries leave the route that is deleted")
	}
}

func TestATransactionThatIsWrongIsRefusedWithEveryPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"many mistakes", `{"changes": [
	{"put_route": {"name": "shop", "hosts": ["shop.example.com"], "pool": "api"}},
	{"delete_pool": "api"},
	{"delete_route": "ald"},
	{"delete_route": "www", "put_pool": {"name": "web", "backends": ["192.0.2.1:1"]}},
	{"put_route": {"name": "shop", "hosts": ["store.example.com"], "pool": "web"}},
	{"drop_route": "www"},
	{},
	{"put_pool": {"backends": ["192.0.2.1:1"]}},
	{"backend": {"pool": "api", "address": "192.0.2.8:443", "state": "drain"}},
	{"backend": {"pool": "web", "address": "192.0.2.7:443"}},
	7
]}`, `origin:2:72: there is no pool "api"
	{"put_route": {"name": "shop", "hosts": ["shop.example.com"], "pool": "api"}},
	                                                                      ^
hint: changes[1] deletes it
origin:4:19: there is no route "ald"
	{"delete_route": "ald"},
	                 ^
hint: did you mean "old"?
origin:5:2: changes[3] has both delete_route and put_pool
	{"delete_route": "www", "put_pool": {"name": "web", "backends": ["192.0.2.1:1"]}},
	^
hint: make two changes of them
origin:6:25: route "shop" is in the transaction twice; the first is on line 2
	{"put_route": {"name": "shop", "hosts": ["store.example.com"], "pool": "web"}},
	                       ^
hint: say all of it in one change
origin:7:3: unknown key "drop_route" in changes[5]
	{"drop_route": "www"},
	 ^
hint: keys are put_route, delete_route, put_pool, delete_pool, backend
origin:8:2: changes[6] needs one of put_route, delete_route, put_pool, delete_pool and backend
	{},
	^
origin:9:3: changes[7].put_pool needs the key "name"
	{"put_pool": {"backends": ["192.0.2.1:1"]}},
	 ^
hint: for example ` + "`name: api`" + `
origin:10:23: there is no pool "api"
	{"backend": {"pool": "api", "address": "192.0.2.8:443", "state": "drain"}},
	                     ^
hint: changes[1] deletes it
origin:11:3: the backend needs one of state and weight
	{"backend": {"pool": "web", "address": "192.0.2.7:443"}},
	 ^
hint: for example ` + "`state: drain`" + `
origin:12:2: changes[10] must be a mapping of keys, not the number 7
	7
	^
hint: keys are put_route, delete_route, put_pool, delete_pool, backend`},
		{"a name twice, in every way", `changes:
  - delete_route: www
  - put_route: {name: www, hosts: [www.example.com], pool: web}
  - put_pool: {name: web, backends: ["192.0.2.1:1"]}
  - delete_pool: web
  - backend: {pool: api, address: "db.example.net:443", state: drain}
  - backend: {pool: api, address: "DB.example.net.:443", weight: 3}
`, `origin:3:23: route "www" is in the transaction twice; the first is on line 2
  - put_route: {name: www, hosts: [www.example.com], pool: web}
                      ^
hint: say all of it in one change
origin:5:18: pool "web" is in the transaction twice; the first is on line 4
  - delete_pool: web
                 ^
hint: say all of it in one change
origin:7:35: backend db.example.net:443 of pool "api" is in the transaction twice; the first is on line 6
  - backend: {pool: api, address: "DB.example.net.:443", weight: 3}
                                  ^
hint: say all of it in one change`},
		{"a host twice", `changes:
  - put_route: {name: one, hosts: [a.example.com], pool: web}
  - put_route: {name: two, hosts: [a.example.com], pool: web}
`, `origin:3:36: route "two": host a.example.com can never match: route "one" has the same host and conditions, and comes first
  - put_route: {name: two, hosts: [a.example.com], pool: web}
                                   ^
hint: the other one is on line 2`},
		{"no changes", "{changes: []}", `origin:1:11: changes has no items; it takes 1 to 10000
{changes: []}
          ^`},
		{"no list of changes", "{}", `origin:1:1: the transaction needs the key "changes"
{}
^
hint: for example ` + "`changes: [{delete_route: www}]`"},
		{"a revision that is none", "{if_revision: 0, on_reload: forget, changes: [{delete_route: www}]}", `origin:1:15: if_revision: 0 is out of range: it takes 1 to 1000000000000000
{if_revision: 0, on_reload: forget, changes: [{delete_route: www}]}
              ^
origin:1:29: on_reload: "forget" is not one of keep, drop
{if_revision: 0, on_reload: forget, changes: [{delete_route: www}]}
                            ^`},
		{"an anchor that is used", "changes: [{delete_route: &a www}, {delete_route: *a}]", `origin:1:50: delete_route: aliases are for files
changes: [{delete_route: &a www}, {delete_route: *a}]
                                                 ^
hint: write the value out; text that starts with "*" needs quotes`},
	} {
		_, err := ParseTransaction("origin", []byte(c.text), ".", running(t))
		if err == nil {
			t.Errorf("%s is accepted", c.name)
		} else if d := cmp.Diff(c.want, err.Error()); d != "" {
			t.Errorf("%s (-want +got):\n%s\n%v", c.name, d, err)
		}
	}
}

func TestDeepNestingInARequestIsRefused(t *testing.T) {
	t.Parallel()
	for _, open := range []string{"[", `{"changes":`, "- ", "? ", "{a: ", "!a ", "&a "} {
		_, err := ParseTransaction("origin", []byte(strings.Repeat(open, (1<<20)/len(open))), ".", running(t))
		errs, _ := errors.AsType[Errors](err)
		if len(errs) == 0 || errs[0].Line != 1 {
			t.Errorf("1 MiB of %q: %.200v", open, err)
		}
	}
}
