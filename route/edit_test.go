package route

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// editable is the table that the edits below are tried on.
func editable() *Set {
	s := setOf(
		Route{Name: "api", Hosts: []string{"api.example.com", "*.api.example.com"}},
		Route{Name: "h2", Hosts: []string{"h2.example.com"}, ALPN: []string{"h2"}},
		Route{Name: "split", Hosts: []string{"split.example.com"}, Action: Action{Targets: []Target{{"web", 1}, {"used", 1}, {"used", 2}}}},
		Route{Name: "used", Hosts: []string{"used.example.com"}, Action: toPool("used")},
		Route{Name: "databases", Hosts: []string{`~^db-[0-9]+\.example\.net$`}},
	)
	s.Pools = append(s.Pools, "used", "once", "fallback", "spare")
	s.Routes[4].Action = toPool("once")
	s.Listeners[1].UnknownSNI = toPool("fallback")
	return s
}

func conflictsIn(t *testing.T, err error) (out []Conflict) {
	t.Helper()
	var list interface{ Unwrap() []error }
	if !errors.As(err, &list) {
		t.Fatalf("%v joins nothing", err)
	}
	for _, err := range list.Unwrap() {
		c, ok := err.(Conflict)
		if !ok {
			t.Fatalf("%#v is no Conflict", err)
		}
		out = append(out, c)
	}
	return out
}

func TestEditRefused(t *testing.T) {
	t.Parallel()
	put := func(routes ...Route) *Edit { return &Edit{PutRoutes: setOf(routes...).Routes} }
	for _, tt := range []struct {
		what string
		edit *Edit
		want []checked
	}{
		{"a host that a route outside has", put(Route{Name: "new", Hosts: []string{"x.com", "API.example.com"}}),
			[]checked{{"duplicate", "routes[0].hosts[1]", ".hosts[0]",
				`route "new": host API.example.com can never match: route "api" has the same host and conditions, and comes first`}}},
		{"a route outside loses a host to one that is tried before it", put(Route{Name: "api", Hosts: []string{"h2.example.com"}, ALPN: []string{"h2", "h3"}}),
			[]checked{{"unreachable", "set.hosts[0]", "0.hosts[0]",
				`route "h2": host h2.example.com can never match: route "api" has the same host, is tried first, and its conditions hold whenever these do`}}},
		{"a new expression below a suffix outside", put(Route{Name: "new", Hosts: []string{`~^v[0-9]\.api\.example\.com$`}}),
			[]checked{{"unreachable", "routes[0].hosts[0]", ".hosts[1]",
				`route "new": host ~^v[0-9]\.api\.example\.com$ can never match: names that end so belong to *.api.example.com of route "api", which is tried before any regexp`}}},
		{"a new suffix above an expression outside", put(Route{Name: "new", Hosts: []string{"*.net"}}),
			[]checked{{"unreachable", "set.hosts[0]", "0.hosts[0]",
				`route "databases": host ~^db-[0-9]+\.example\.net$ can never match: names that end so belong to *.net of route "new", which is tried before any regexp`}}},
		{"the same name twice", put(Route{Name: "new", Hosts: []string{"a.com"}}, Route{Name: "new", Hosts: []string{"b.com"}}),
			[]checked{{"duplicate", "routes[1].name", "0", `route "new": routes[0] has this name already`}}},
		{"no name", &Edit{PutRoutes: []Route{{Hosts: []string{"a.com"}, Action: toPool("web")}}},
			[]checked{{"missing", "routes[0].name", "", `routes[0]: has no name`}}},
		{"everything that a file is checked for", put(Route{Name: "new", Hosts: []string{"a..b"}, ALPN: []string{""}, Listeners: []string{"publik"}, Action: toPool("wbe")}),
			[]checked{
				{"bad host", "routes[0].hosts[0]", "", `route "new": host a..b: a label is empty or longer than 63 bytes`},
				{"bad alpn", "routes[0].alpn[0]", "", `route "new": alpn "": a protocol name has 1 to 255 bytes`},
				{"unknown listener", "routes[0].listeners[0]", "", `route "new": unknown listener "publik"`},
				{"unknown pool", "routes[0].pool", "", `route "new": unknown pool "wbe"`},
			}},
		{"routes that cannot be deleted", &Edit{
			PutRoutes:    setOf(Route{Name: "new", Hosts: []string{"a.com"}}).Routes,
			DeleteRoutes: []string{"ipa", "api", "api", "new"}},
			[]checked{
				{"unknown route", "set.delete_routes[0]", "", `route "ipa": not there, so it cannot be deleted`},
				{"duplicate", "set.delete_routes[2]", "", `route "api": deleted twice`},
				{"duplicate", "set.delete_routes[3]", "0", `route "new": put and deleted at once`},
			}},
		{"pools that cannot be deleted", &Edit{
			PutPools:    []string{"new", "", "new"},
			DeletePools: []string{"nope", "used", "once", "fallback", "spare", "spare", "new"}},
			[]checked{
				{"missing", "set.pools[1]", "", `pools[1]: has no name`},
				{"duplicate", "set.pools[2]", "0", `pool "new": pools[0] has this name already`},
				{"unknown pool", "set.delete_pools[0]", "", `pool "nope": not there, so it cannot be deleted`},
				{"pool in use", "set.delete_pools[1]", "", `pool "used": route "split" and 1 more send connections there; change them first`},
				{"pool in use", "set.delete_pools[2]", "", `pool "once": route "databases" sends connections there; change it first`},
				{"pool in use", "set.delete_pools[3]", "", `pool "fallback": listener "inside" sends connections there, by no_sni or unknown_sni; change it first`},
				{"duplicate", "set.delete_pools[5]", "", `pool "spare": deleted twice`},
				{"duplicate", "set.delete_pools[6]", "", `pool "new": put and deleted at once`},
			}},
		{"a pool is deleted that the same edit routes to", &Edit{
			PutRoutes:   setOf(Route{Name: "new", Hosts: []string{"a.com"}, Action: toPool("spare")}).Routes,
			DeletePools: []string{"spare"}},
			[]checked{{"unknown pool", "routes[0].pool", "", `route "new": unknown pool "spare"`}}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			table := mustTable(t, editable())
			before := table.Snapshot()
			p, err := table.PrepareEdit(tt.edit)
			if err == nil {
				t.Fatalf("taken: %+v", p.Changes())
			}
			if diff := cmp.Diff(tt.want, checkedOf(conflictsIn(t, err))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if table.Snapshot() != before {
				t.Error("the table has changed")
			}
			if err := table.Replace(editable()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestEditTaken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what    string
		edit    *Edit
		written int
		want    Changes
		order   []string
	}{
		{"nothing", &Edit{}, 0, Changes{}, []string{"api", "h2", "split", "used", "databases"}},
		{"what is there already", &Edit{PutRoutes: editable().Routes, PutPools: editable().Pools}, 0, Changes{},
			[]string{"api", "h2", "split", "used", "databases"}},
		{"a replaced route keeps its place, new ones come last",
			&Edit{PutRoutes: setOf(
				Route{Name: "z", Hosts: []string{"z.com"}},
				Route{Name: "used", Hosts: []string{"used.example.com"}},
				Route{Name: "h2", Hosts: []string{"h2.example.com"}},
				Route{Name: "a", Hosts: []string{"a.com"}, Action: toPool("new")}).Routes, PutPools: []string{"web", "new"}},
			9, Changes{Added: []string{"z", "a"}, Changed: []string{"h2", "used"}},
			[]string{"api", "h2", "split", "used", "databases", "z", "a"}},
		{"a deleted route makes room for its host, and a pool goes with its last users",
			&Edit{
				PutRoutes:    setOf(Route{Name: "new", Hosts: []string{"used.example.com"}}, Route{Name: "split", Hosts: []string{"split.example.com"}}).Routes,
				DeleteRoutes: []string{"used", "api"},
				DeletePools:  []string{"used"},
			},
			9, Changes{Added: []string{"new"}, Removed: []string{"api", "used"}, Changed: []string{"split"}},
			[]string{"h2", "split", "databases", "new"}},
		{"two routes exchange their hosts",
			&Edit{PutRoutes: setOf(
				Route{Name: "api", Hosts: []string{`~^db-[0-9]+\.example\.net$`}},
				Route{Name: "databases", Hosts: []string{"api.example.com", "*.api.example.com"}}).Routes},
			6, Changes{Changed: []string{"api", "databases"}}, []string{"api", "h2", "split", "used", "databases"}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			table := mustTable(t, editable())
			p, err := table.PrepareEdit(tt.edit)
			if err != nil {
				t.Fatal(err)
			}
			p.Commit()
			if diff := cmp.Diff(tt.want, p.Changes()); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.order, namesOf(table.Snapshot().Routes())); diff != "" {
				t.Errorf("routes (-want +got):\n%s", diff)
			}
			if p.written != tt.written {
				t.Errorf("wrote %d rows, want %d", p.written, tt.written)
			}
		})
	}
}

// R21 holds for a table that is filled one route at a time.
func TestEditKeepsTheBudgetOfExpressions(t *testing.T) {
	t.Parallel()
	table := mustTable(t, expressionSet(maxExpressions))
	one := func(name, host string) Route { return Route{Name: name, Hosts: []string{host}, Action: toPool("db")} }
	for _, tt := range []struct {
		what string
		edit Edit
		ok   bool
	}{
		{"one more", Edit{PutRoutes: []Route{one("new", "~^new$")}}, false},
		{"one that is there, in another route and spelling", Edit{PutRoutes: []Route{{Name: "new", Hosts: []string{`~^([A-Z0-9-]+\.)*DB-?1\.[a-z]+$`}, ALPN: []string{"h2"}, Action: toPool("db")}}}, true},
		{"another in the place of one", Edit{PutRoutes: []Route{one("db-7", "~^new$")}}, true},
		{"one in a route that stands before them", Edit{PutRoutes: []Route{{Name: "db-0", Hosts: []string{expressionSet(1).Routes[0].Hosts[0], "~^more$"}, Action: toPool("db")}}}, false},
		{"one for one that goes", Edit{PutRoutes: []Route{one("newer", "~^newer$")}, DeleteRoutes: []string{"db-8"}}, true},
		{"two for one that goes", Edit{PutRoutes: []Route{one("a", "~^a$"), one("b", "~^b$")}, DeleteRoutes: []string{"db-9"}}, false},
	} {
		p, err := table.PrepareEdit(&tt.edit)
		if (err == nil) != tt.ok {
			t.Errorf("%s: got %v", tt.what, err)
		}
		if err == nil {
			p.Commit()
			continue
		}
		c := conflictsIn(t, err)
		if len(c) != 1 || c[0].Kind != "bad host" || c[0].Route != len(tt.edit.PutRoutes)-1 {
			t.Errorf("%s: got %+v, want one conflict about the last route that is put", tt.what, c)
		}
	}
}

// What an edit does must not grow with the table: allocations are counted, because time is not the same twice.
func TestEditCostsTheSameInALargeTable(t *testing.T) {
	cost := func(routes int) float64 {
		table := mustTable(t, tenants(routes))
		route := tenants(routes).Routes[routes/2]
		pools := []string{"web", "db"}
		return testing.AllocsPerRun(20, func() {
			pools[0], pools[1] = pools[1], pools[0]
			route.Action = toPool(pools[0])
			p, err := table.PrepareEdit(&Edit{PutRoutes: []Route{route}})
			if err != nil {
				t.Fatal(err)
			}
			p.Commit()
		})
	}
	if small, large := cost(100), cost(20_000); large > 1.5*small {
		t.Errorf("%v allocations at 20 000 routes, %v at 100", large, small)
	}
}
