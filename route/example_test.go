package route_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"

	"github.com/seed-23b4a313/switchyard/route"
)

// shop is a small table: a name with a way aside for certificate challenges, a wildcard that is split, databases for a
// few clients, and a host that nobody gets to.
func shop() *route.Set {
	to := func(pool string) route.Action {
		return route.Action{Targets: []route.Target{{Pool: pool, Weight: 1}}}
	}
	return &route.Set{
		Listeners: []route.Listener{{Name: "public", NoSNI: to("legacy"), UnknownSNI: route.Action{Reject: route.RejectAlert}}},
		Pools:     []string{"api", "acme", "web", "web-canary", "legacy"},
		Routes: []route.Route{
			{Name: "api", Hosts: []string{"api.example.com"}, Action: to("api")},
			{Name: "api-acme", Hosts: []string{"api.example.com"}, ALPN: []string{"acme-tls/1"}, Action: to("acme")},
			{Name: "tenants", Hosts: []string{"*.example.com", "example.com"}, Action: route.Action{
				Targets: []route.Target{{Pool: "web", Weight: 90}, {Pool: "web-canary", Weight: 10}},
			}},
			{
				Name: "databases", Hosts: []string{`~^db-[0-9]+\.example\.net$`},
				Clients: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Action: to("legacy"),
			},
			{Name: "blocked", Hosts: []string{"blocked.example.com"}, Action: route.Action{Reject: route.RejectReset}},
		},
	}
}

func ExampleParseName() {
	name, err := route.ParseName("API.Example.com.")
	fmt.Println(name, err)
	_, err = route.ParseName([]byte("api.example.com\x00.evil.org"))
	fmt.Println(err)
	// Output:
	// api.example.com <nil>
	// route: host name: only letters, digits, '-', '_' and '.' are allowed
}

func ExampleSnapshot_Match() {
	table, err := route.NewTable(shop())
	if err != nil {
		fmt.Println(err)
		return
	}
	snapshot := table.Snapshot()
	for _, host := range []string{"api.example.com", "a.b.example.com", "blocked.example.com", "example.org"} {
		name, _ := route.ParseName(host)
		d := snapshot.Match(&route.Query{Name: name, ALPN: route.ProtocolList{"h2"}, Listener: "public", Draw: 42})
		fmt.Printf("%s: by %s, pool %q, reject %s\n", name, d.Verdict, d.Pool, d.Reject)
	}
	// Output:
	// api.example.com: by route, pool "api", reject none
	// a.b.example.com: by route, pool "web", reject none
	// blocked.example.com: by route, pool "", reject reset
	// example.org: by unknown_sni, pool "", reject alert
}

func ExampleTable_Replace() {
	table, _ := route.NewTable(shop())
	before := table.Snapshot()

	next := shop()
	next.Routes[0].Action.Targets[0].Pool = "web"
	fmt.Println("replaced:", table.Replace(next))

	name, _ := route.ParseName("api.example.com")
	q := &route.Query{Name: name}
	fmt.Println("before:", before.Match(q).Pool)
	fmt.Println("after: ", table.Snapshot().Match(q).Pool)
	// Output:
	// replaced: <nil>
	// before: api
	// after:  web
}

func ExampleCheck() {
	set := shop()
	set.Routes = append(set.Routes, route.Route{Name: "late", Hosts: []string{"API.example.com"}, Action: set.Routes[0].Action})
	for _, c := range route.Check(set) {
		fmt.Printf("routes[%d].%s[%d]: %s: %s\n", c.Route, c.Field, c.Item, c.Kind, c.Msg)
	}
	// Output:
	// routes[5].hosts[0]: duplicate: route "late": host API.example.com can never match: route "api" has the same host and conditions, and comes first
}

func ExampleExplanation_WriteText() {
	table, _ := route.NewTable(shop())
	for _, host := range []string{"api.example.com", "a.example.com", "db-7.example.net"} {
		name, _ := route.ParseName(host)
		e := table.Snapshot().Explain(&route.Query{
			Name:     name,
			ALPN:     route.ProtocolList{"h2", "http/1.1"},
			Client:   netip.MustParseAddr("192.0.2.7"),
			Listener: "public",
		})
		_ = e.WriteText(os.Stdout)
	}
	// Output:
	// api.example.com: route api, pool api
	//   1. api.example.com  route api-acme  no   alpn: wants acme-tls/1; the client offers h2, http/1.1
	//   2. api.example.com  route api       yes  the host matches; no conditions
	// a.example.com: route tenants, split web 90 %, web-canary 10 %
	//   1. *.example.com  route tenants  yes  the host matches; no conditions
	// db-7.example.net: reject alert
	//   1. ~^db-[0-9]+\.example\.net$  route databases  no   clients: wants 127.0.0.0/8; the client is 192.0.2.7
	//   2. -                           listener public  yes  no route takes this name: unknown_sni of the listener
}

func ExampleExplanation_MarshalJSON() {
	table, _ := route.NewTable(shop())
	name, _ := route.ParseName("a.example.com")
	text, _ := json.MarshalIndent(table.Snapshot().Explain(&route.Query{Name: name, Listener: "public"}), "", "  ")
	fmt.Println(string(text))
	// Output:
	// {
	//   "name": "a.example.com",
	//   "verdict": "route",
	//   "route": "tenants",
	//   "action": "split",
	//   "pool": "web",
	//   "reject": null,
	//   "targets": [
	//     {
	//       "pool": "web",
	//       "weight": 90,
	//       "percent": 90
	//     },
	//     {
	//       "pool": "web-canary",
	//       "weight": 10,
	//       "percent": 10
	//     }
	//   ],
	//   "steps": [
	//     {
	//       "host": "*.example.com",
	//       "route": "tenants",
	//       "won": true,
	//       "reason": "the host matches; no conditions"
	//     }
	//   ]
	// }
}

func ExampleTable_PrepareEdit() {
	table, err := route.NewTable(shop())
	if err != nil {
		panic(err)
	}
	pending, err := table.PrepareEdit(&route.Edit{
		PutPools: []string{"docs"},
		PutRoutes: []route.Route{{
			Name: "docs", Hosts: []string{"docs.example.com"},
			Action: route.Action{Targets: []route.Target{{Pool: "docs", Weight: 1}}},
		}},
		DeleteRoutes: []string{"blocked"},
	})
	if err != nil {
		panic(err) // joins all that is wrong, each a Conflict
	}
	name, err := route.ParseName("docs.example.com")
	if err != nil {
		panic(err)
	}
	q := &route.Query{Name: name, Listener: "public"}
	fmt.Printf("%+v\n", pending.Changes())
	fmt.Println("now:", table.Snapshot().Match(q).Route.Name, "then:", pending.Snapshot().Match(q).Route.Name)
	pending.Commit() // or Abort
	fmt.Println("now:", table.Snapshot().Match(q).Route.Name)
	// Output:
	// {Added:[docs] Removed:[blocked] Changed:[] Reordered:false}
	// now: tenants then: docs
	// now: docs
}
