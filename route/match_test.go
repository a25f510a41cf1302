package route

import (
	"net/netip"
	"testing"
)

// contractRoutes are the rules of the file format in one table.
func contractRoutes() *Set {
	return &Set{
		Listeners: []Listener{
			{Name: "public", NoSNI: toPool("legacy"), UnknownSNI: Action{Reject: RejectClose}},
			{Name: "inside", NoSNI: Action{Reject: RejectReset}, UnknownSNI: toPool("legacy")},
			{Name: "silent"},
			{Name: "old", NoSNI: toPool("legacy")},
		},
		Pools: []string{"api", "acme", "web", "legacy", "db", "deep", "any"},
		Routes: []Route{
			{Name: "api", Hosts: []string{"api.example.com"}, Action: toPool("api")},
			{Name: "api-acme", Hosts: []string{"api.example.com"}, ALPN: []string{"acme-tls/1"}, Action: toPool("acme")},
			{Name: "tenants", Hosts: []string{"*.example.com", "example.com"}, Action: toPool("web")},
			{Name: "deep", Hosts: []string{"*.b.example.com"}, Action: toPool("deep")},
			{Name: "databases", Hosts: []string{`~^db-[0-9]+\.example\.net$`}, Clients: parsePrefixes([]string{"127.0.0.0/8", "::1/128"}), Action: toPool("db")},
			{Name: "net", Hosts: []string{`~^[a-z0-9-]+\.example\.net$`}, Action: toPool("legacy")},
			{Name: "blocked", Hosts: []string{"blocked.example.com"}, Action: Action{Reject: RejectReset}},
			{Name: "inner", Hosts: []string{"only.inside.org"}, Listeners: []string{"inside"}, Action: toPool("web")},
			{Name: "h2-org", Hosts: []string{"*.inside.org"}, ALPN: []string{"h2"}, Action: toPool("deep")},
			{Name: "any-h3", Hosts: []string{"*"}, ALPN: []string{"h3"}, Action: toPool("any")},
			{Name: "nameless", Hosts: []string{"*.nameless.org", NoName}, Listeners: []string{"old"}, Action: toPool("web")},
		},
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	snap := mustTable(t, contractRoutes()).Snapshot()
	local := netip.MustParseAddr("127.0.0.1")
	for _, tt := range []struct {
		what  string
		name  string
		query Query
		want  string // route, or verdict
		pool  string
	}{
		{"exact", "api.example.com", Query{}, "api", "api"},
		{"exact in another spelling", "API.Example.COM.", Query{}, "api", "api"},
		{"more conditions come first though later in the file", "api.example.com", Query{ALPN: ProtocolList{"acme-tls/1"}}, "api-acme", "acme"},
		{"conditions that fail leave the host to its other route", "api.example.com", Query{ALPN: ProtocolList{"h2"}}, "api", "api"},
		{"a suffix, one label", "x.example.com", Query{}, "tenants", "web"},
		{"a suffix, two labels", "x.y.example.com", Query{}, "tenants", "web"},
		{"the longest suffix", "x.b.example.com", Query{}, "deep", "deep"},
		{"a suffix is not its own base", "b.example.com", Query{}, "tenants", "web"},
		{"the base has an entry of its own", "example.com", Query{}, "tenants", "web"},
		{"exact before suffix", "blocked.example.com", Query{}, "blocked", ""},
		{"a regexp whose condition holds", "db-7.example.net", Query{Client: local}, "databases", "db"},
		{"a client mapped into IPv6", "db-7.example.net", Query{Client: netip.MustParseAddr("::ffff:127.9.9.9")}, "databases", "db"},
		{"a client with a zone", "db-7.example.net", Query{Client: netip.MustParseAddr("::1%lo")}, "databases", "db"},
		{"a regexp whose condition fails leaves the name to the next regexp", "db-7.example.net", Query{Client: netip.MustParseAddr("192.0.2.1")}, "net", "legacy"},
		{"an unknown client fulfils no condition", "db-7.example.net", Query{}, "net", "legacy"},
		{"the right listener", "only.inside.org", Query{Listener: "inside"}, "inner", "web"},
		{"backtracking from exact to suffix", "only.inside.org", Query{Listener: "public", ALPN: ProtocolList{"h2"}}, "h2-org", "deep"}, // Envoy #3471
		{"backtracking from exact over suffix to any", "only.inside.org", Query{ALPN: ProtocolList{"h3"}}, "any-h3", "any"},
		{"backtracking to nothing", "only.inside.org", Query{Listener: "public"}, "unknown_sni", ""},
		{"unknown_sni of another listener", "x.inside.org", Query{Listener: "inside"}, "unknown_sni", "legacy"},
		{"an unknown name", "example.org", Query{Listener: "public"}, "unknown_sni", ""},
		{"no name", "", Query{Listener: "public"}, "no_sni", "legacy"},
		{"no name never reaches a route for any name", "", Query{Listener: "public", ALPN: ProtocolList{"h3"}}, "no_sni", "legacy"},
		{"no name on a listener that says nothing", "", Query{Listener: "silent"}, "no_sni", ""},
		{"no name, and a route that is for it", "", Query{Listener: "old"}, "nameless", "web"},
		{"a name never reaches a route for no name", "example.org", Query{Listener: "old"}, "unknown_sni", ""},
		{"an unknown name on a listener that nobody knows", "example.org", Query{Listener: "?"}, "unknown_sni", ""},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			if tt.name != "" {
				tt.query.Name = mustName(t, tt.name)
			}
			d := snap.Match(&tt.query)
			got := d.Verdict.String()
			if d.Route != nil {
				got = d.Route.Name
			}
			if got != tt.want || d.Pool != tt.pool || (d.Pool == "") == (d.Reject == RejectNone) {
				t.Errorf("%q: got %s to pool %q or %v; want %s to %q", tt.name, got, d.Pool, d.Reject, tt.want, tt.pool)
			}
		})
	}
}

func TestFallbackRejects(t *testing.T) {
	t.Parallel()
	snap := mustTable(t, contractRoutes()).Snapshot()
	unknown := mustName(t, "example.org")
	for _, tt := range []struct {
		listener string
		name     Name
		want     Reject
	}{
		{"public", unknown, RejectClose},
		{"inside", Name{}, RejectReset},
		{"silent", unknown, RejectAlert},
		{"silent", Name{}, RejectAlert},
		{"", unknown, RejectAlert},
	} {
		if d := snap.Match(&Query{Name: tt.name, Listener: tt.listener}); d.Reject != tt.want {
			t.Errorf("listener %q, name %q: got %v, want %v", tt.listener, tt.name, d.Reject, tt.want)
		}
	}
}

// What a match allocates is memdb's: 2 allocations for each look into the tree.
func TestMatchAllocatesNothingOfItsOwn(t *testing.T) {
	snap := mustTable(t, contractRoutes()).Snapshot()
	for _, tt := range []struct {
		name string
		want float64
	}{
		{"api.example.com", 2},  // found at once
		{"x.y.example.com", 2},  // likewise: exact and suffix are one tree
		{"db-7.example.net", 2}, // "*" is found, and kept until the regexps are through
		{"x.inside.org", 4},     // backtracks once, to "*.inside.org" and to "*" …
		{"only.inside.org", 6},  // … and twice
	} {
		q := Query{Name: mustName(t, tt.name), Listener: "public", ALPN: ProtocolList{"h3"}}
		if got := testing.AllocsPerRun(100, func() { snap.Match(&q) }); got > tt.want {
			t.Errorf("%s: got %v allocations, want at most %v", tt.name, got, tt.want)
		}
	}
}
