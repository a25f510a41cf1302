package configs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/route"
)

// Whatever the bytes: no panic; a mistake has a place in the file and shows nothing that could steer a terminal; and what is
// accepted is a table that can be served.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "../examples/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	dir := certificates(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := Parse("fuzz.yaml", data, dir)
		if err == nil {
			checkLoaded(t, cfg)
			checkErrors(t, data, cfg.Warnings)
			return
		}
		errs, ok := errors.AsType[Errors](err)
		if !ok || len(errs) == 0 || cfg != nil {
			t.Fatalf("Parse returned %v and the error %#v", cfg, err)
		}
		checkErrors(t, data, errs)
		checkWithin(t, data, errs)
	})
}

// anything is a Running that has whatever is asked for, so that a text is all that decides.
type anything struct{ ran }

func (anything) HasPool(string) bool  { return true }
func (anything) HasRoute(string) bool { return true }

// Whatever the bytes: no panic; a mistake has a place in the text and shows nothing that could steer a terminal; what is
// accepted has names, and its entries say the same as the edit.
func FuzzParseTransaction(f *testing.F) {
	for _, seed := range []string{
		"{if_revision: 12, on_reload: keep, changes: [{put_route: {name: shop, hosts: [shop.example.com, \"*.example.com\"], alpn: [h2], clients: [10.0.0.0/8], pool: web}}]}",
		"{\n\t\"changes\": [\n\t\t{\"put_pool\": {\"name\": \"w\\u0065b\", \"backends\": [\"192.0.2.7:443\", {\"address\": \"db.example.net:443\", \"weight\": 3}]}}\n\t]\n}",
		"changes:\n  - delete_route: www\n  - delete_pool: web\n  - backend: {pool: api, address: \"192.0.2.8:443\", state: drain, weight: null}\n",
		"changes:\n- put_route: # a\n    name: a\n    hosts: # b\n    - >-\n      a.example\n    - |-\n      ~^a$\n    split: [{pool: web, weight: 0}, {pool: api}] # c\n",
		"changes: [{put_route: {name: a, hosts: [&a a, *a], reject: reset}}]",
		"changes: [{put_route: {name: a, hosts: ['it''s', \"~^\\u00e9\\/\\x41\\U0001F600$\", ?, *]}}, {put_rout: 1}, {}, 7, {delete_pool: a, put_pool: {}}]",
		"changes: [{put_route: {name: t, hosts: [t.example.com], pool: web, terminate: {certificates: [{cert: certs/a.crt, key: certs/a.key}]}}}]",
		"changes: [{put_route: {name: t, hosts: [t.example.com], no_sni: true, pool: web, terminate: {certificates: [{cert: certs/a.crt, key: certs/a.key, default: true}]}}}, {put_pool: {name: a, tls: {}, backends: [192.0.2.7:443]}}]",
		"[[[[", "\ufeff{}", "", "\xff\xfe", "{}\n---\n{}", "!!map {changes: []}", "null",
	} {
		f.Add([]byte(seed))
	}
	dir, r := certificates(f), anything{running(f)}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseTransaction("fuzz.yaml", data, dir, r)
		if err != nil {
			errs, ok := errors.AsType[Errors](err)
			if !ok || len(errs) == 0 || c != nil {
				t.Fatalf("ParseTransaction returned %v and the error %#v", c, err)
			}
			checkErrors(t, data, errs)
			checkWithin(t, data, errs)
			return
		}
		checkErrors(t, data, c.Warnings)
		checkChange(t, c, dir, r)
	})
}

// checkWithin holds places to the lines that there are.
func checkWithin(t *testing.T, data []byte, errs []*Error) {
	lines := strings.Split(string(data), "\n")
	for i, e := range errs {
		if e.Line > len(lines) {
			t.Errorf("mistake %d of a text of %d lines is on line %d: %v", i, len(lines), e.Line, e)
		}
	}
}

func checkChange(t *testing.T, c *Change, dir string, r Running) {
	var routes []route.Route
	var pools []pool.Config
	for _, e := range c.Entries {
		if e.Name == "" || e.Origin == "" {
			t.Fatalf("an entry without a name: %+v", e)
		}
		var again *Change
		var err error
		switch {
		case e.Text == "":
			continue
		case e.Kind == "route":
			again, err = ParseRoute(e.Origin, e.Name, []byte(e.Text), dir, r)
		default:
			again, err = ParsePool(e.Origin, e.Name, []byte(e.Text), dir, r)
		}
		if err != nil {
			t.Fatalf("an entry of a sound transaction is refused: %v\n%s", err, e.Text)
		}
		routes, pools = append(routes, again.Edit.PutRoutes...), append(pools, again.Edit.PutPools...)
	}
	for i := range routes {
		routes[i].Index = i
	}
	if d := cmp.Diff(c.Edit.PutRoutes, routes, loaded, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("routes (-edit +entries):\n%s", d)
	}
	if d := cmp.Diff(c.Edit.PutPools, pools, loaded, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("pools (-edit +entries):\n%s", d)
	}
	for _, b := range c.Backends {
		if b.Pool == "" || b.Address == "" || b.State == "" && b.Weight == nil && !b.ResetWeight {
			t.Errorf("a change of a backend that says nothing: %+v", b)
		}
	}
}

func checkErrors(t *testing.T, data []byte, errs []*Error) {
	lines := strings.Count(string(data), "\n") + 1
	for i, e := range errs {
		if e.Line < 1 || e.Line > lines+1 || e.Col < 1 || e.Msg == "" || e.File != "fuzz.yaml" {
			t.Errorf("mistake %d of a file of %d lines: %+v", i, lines, e)
		}
		if i > 0 && (e.Line < errs[i-1].Line || e.Line == errs[i-1].Line && e.Col < errs[i-1].Col) {
			t.Errorf("mistake %d is out of order: %+v", i, e)
		}
		for _, r := range e.Error() {
			if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
				t.Errorf("mistake %d shows %U: %q", i, r, e.Error())
			}
		}
	}
}

func checkLoaded(t *testing.T, cfg *Config) {
	set := &route.Set{Routes: cfg.Balancer.Routes}
	for _, l := range cfg.Balancer.Listeners {
		set.Listeners = append(set.Listeners, route.Listener{Name: l.Name, NoSNI: l.NoSNI, UnknownSNI: l.UnknownSNI})
		if l.HelloTimeout <= 0 || l.HelloMaxSize < 512 || len(l.Bind) == 0 || l.NotTLS == route.RejectNone || l.NotTLS == route.RejectAlert {
			t.Errorf("a listener that cannot be served: %+v", l)
		}
		for _, p := range l.ProxyFrom {
			if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() {
				t.Errorf("listener %s trusts %v", l.Name, p)
			}
		}
	}
	for _, p := range cfg.Balancer.Pools {
		set.Pools = append(set.Pools, p.Name)
		if p.ConnectTimeout <= 0 || p.AnswerTimeout <= 0 || p.Attempts < 1 || len(p.Backends) == 0 {
			t.Errorf("a pool that cannot be served: %+v", p)
		}
		for _, b := range p.Backends {
			if (b.Addr.Port() == 0) != (b.Service != "") || (b.Named() == "") != b.Addr.Addr().IsValid() || b.Weight < 0 {
				t.Errorf("pool %s has the backend %+v", p.Name, b)
			}
		}
	}
	if _, err := route.NewTable(set); err != nil {
		t.Errorf("accepted, and refused by the table: %v", err)
	}
}
