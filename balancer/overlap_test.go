package balancer

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/route"
)

func TestOverlapsOfCertificates(t *testing.T) {
	to := func(name, pool string, hosts ...string) route.Route {
		return route.Route{Name: name, Hosts: hosts, Action: toPool(pool)}
	}
	on := func(r route.Route, listeners ...string) route.Route { r.Listeners = listeners; return r }
	two := []route.Route{to("www", "web", "www.example.com"), to("api", "api", "api.example.com")}
	tests := []struct {
		name         string
		routes       []route.Route
		certificates map[string][]string
		want         []string // listener, route and pool, name, host, other route and pool
	}{
		{"each for its own host", two, map[string][]string{"web": {"www.example.com"}, "api": {"api.example.com"}}, nil},
		{"both for both", two, map[string][]string{"web": {"www.example.com", "api.example.com"}, "api": {"API.example.com", "www.example.com"}},
			[]string{"public: www web, api.example.com covers api.example.com of api api", "public: api api, www.example.com covers www.example.com of www web"}},
		{"a wildcard for one side", two, map[string][]string{"web": {"*.example.com"}, "api": {"api.example.com"}},
			[]string{"public: www web, *.example.com covers api.example.com of api api"}},
		{"a wildcard covers one label", []route.Route{two[0], to("deep", "api", "a.b.example.com", "example.com")},
			map[string][]string{"web": {"*.example.com"}}, nil},
		{"routes by wildcard", []route.Route{two[0], to("rest", "api", "*.example.com")}, map[string][]string{"web": {"*.example.com"}},
			[]string{"public: www web, *.example.com covers *.example.com of rest api"}},
		{"a name that a wildcard route takes", []route.Route{two[0], to("rest", "api", "*.example.com")},
			map[string][]string{"web": {"www.example.com", "shop.example.com"}},
			[]string{"public: www web, shop.example.com covers shop.example.com of rest api"}},
		{"one pool behind two routes", []route.Route{two[0], to("api", "web", "api.example.com")}, map[string][]string{"web": {"*.example.com"}}, nil},
		{"on two listeners", []route.Route{on(two[0], "public"), on(two[1], "inside")}, map[string][]string{"web": {"*.example.com"}}, nil},
		{"the other host is refused", []route.Route{two[0], {Name: "no", Hosts: []string{"api.example.com"}, Action: reject(route.RejectAlert)}},
			map[string][]string{"web": {"*.example.com"}}, nil},
		{"an address is no name of a route", two, map[string][]string{"web": {"192.0.2.1", "2001:db8::1"}}, nil},
		{"a pool that no route leads to", two, map[string][]string{"spare": {"*.example.com"}}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			table, err := route.NewTable(&route.Set{
				Listeners: []route.Listener{{Name: "public"}, {Name: "inside"}}, Pools: []string{"web", "api", "spare"}, Routes: test.routes,
			})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			found := findOverlaps(table.Snapshot(), []string{"public", "inside"}, test.certificates)
			for _, o := range found.First {
				if o.Listener == "inside" && len(test.routes[0].Listeners) == 0 {
					continue // the same as on the other one
				}
				got = append(got, o.Listener+": "+o.Route+" "+o.Pool+", "+o.Name+" covers "+o.Host+" of "+o.OtherRoute+" "+o.OtherPool)
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// From handshake to warning: two pools, whose checks see one certificate for both names.
func TestOverlapsAreFoundByChecks(t *testing.T) {
	t.Parallel()
	one, _ := tlsEcho(t, "a.example.com", "b.example.com")
	two, _ := tlsEcho(t, "b.example.com")
	check := quickCheck()
	check.Type, check.SNI = pool.CheckTLS, "a.example.com"
	p := testPool("pool", one)
	p.Health = check
	cfg := oneHost("a.example.com", p)
	q := testPool("other", two, refusing(t))
	q.Health = check
	cfg.Pools = append(cfg.Pools, q)
	cfg.Routes = append(cfg.Routes, route.Route{Name: "b", Hosts: []string{"b.example.com"}, Action: toPool("other")})
	want := Overlaps{1, []Overlap{{"public", "host", "pool", "b.example.com", "b.example.com", "b", "other"}}}
	s := serve(t, cfg)
	eventually(t, func() bool { return cmp.Equal(want, s.Stats().Overlaps) }, func() string { return "the overlap" })
	eventually(t, func() bool { return strings.Contains(s.log.String(), "is good for hosts of another") }, func() string { return "the warning" })

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	probed, overlaps, err := Probe(ctx, cfg)
	if err != nil || !cmp.Equal(want, overlaps) {
		t.Errorf("probed: %+v, %v, want %+v", overlaps, err, want)
	}
	var got []string
	for _, p := range probed {
		text := p.Pool
		if p.Error != "" {
			text += " failed"
		}
		if !p.NotAfter.IsZero() {
			text += " with a certificate"
		}
		got = append(got, text)
	}
	if d := cmp.Diff([]string{"pool with a certificate", "other with a certificate", "other failed"}, got); d != "" {
		t.Errorf("probed (-want +got):\n%s", d)
	}
}
