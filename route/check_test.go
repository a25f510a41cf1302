package route

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// checked is what the tests below compare of a Conflict: Where is the node it points at.
type checked struct{ Kind, Where, Other, Msg string }

func checkedOf(conflicts []Conflict) (out []checked) {
	for _, c := range conflicts {
		where := fmt.Sprintf("routes[%d]", c.Route)
		switch {
		case c.Listener >= 0:
			where = fmt.Sprintf("listeners[%d]", c.Listener)
		case c.Route < 0:
			where = "set"
		}
		if c.Field != "" {
			where += "." + c.Field
		}
		if c.Item >= 0 {
			where += fmt.Sprintf("[%d]", c.Item)
		}
		other := ""
		if c.Other >= 0 {
			other = fmt.Sprint(c.Other)
		}
		if c.OtherHost >= 0 {
			other += fmt.Sprintf(".hosts[%d]", c.OtherHost)
		}
		out = append(out, checked{c.Kind, where, other, c.Msg})
	}
	return out
}

func setOf(routes ...Route) *Set {
	for i := range routes {
		if routes[i].Name == "" {
			routes[i].Name = string(rune('a' + i))
		}
		if routes[i].Action.isZero() && routes[i].Action.Targets == nil {
			routes[i].Action = toPool("web")
		}
	}
	return &Set{
		Listeners: []Listener{{Name: "public"}, {Name: "inside"}},
		Pools:     []string{"web", "db"},
		Routes:    routes,
	}
}

func TestCheckReachability(t *testing.T) {
	t.Parallel()
	hosts := func(h ...string) []string { return h }
	for _, tt := range []struct {
		what   string
		routes []Route
		want   []checked
	}{
		{
			"different hosts do not meet",
			[]Route{{Hosts: hosts("a.com", "*.a.com", "*", "~^a.*$")}, {Hosts: hosts("b.com", "*.b.com", "~^b.*$")}},
			nil,
		},
		{
			"the same host without conditions is there twice",
			[]Route{{Hosts: hosts("api.example.com")}, {Hosts: hosts("x.com", "API.Example.com.")}},
			[]checked{{"duplicate", "routes[1].hosts[1]", "0.hosts[0]",
				`route "b": host API.Example.com. can never match: route "a" has the same host and conditions, and comes first`}},
		},
		{
			"a host is listed twice in one route",
			[]Route{{Hosts: hosts("*.a.com", "*.A.com"), ALPN: []string{"h2"}}},
			[]checked{{"duplicate", "routes[0].hosts[1]", "0.hosts[0]", `route "a": host *.A.com is listed twice`}},
		},
		{
			"the same conditions in another order and notation",
			[]Route{
				{Hosts: hosts("*"), ALPN: []string{"h2", "h3"}, Clients: parsePrefixes([]string{"10.0.0.0/9", "10.128.0.0/9"})},
				{Hosts: hosts("*"), ALPN: []string{"h3", "h2", "h3"}, Clients: parsePrefixes([]string{"10.1.2.3/8"})},
			},
			[]checked{{"duplicate", "routes[1].hosts[0]", "0.hosts[0]",
				`route "b": host * can never match: route "a" has the same host and conditions, and comes first`}},
		},
		{
			"more conditions come first wherever they stand, so nothing is lost",
			[]Route{{Hosts: hosts("a.com")}, {Hosts: hosts("a.com"), ALPN: []string{"h2"}}, {Hosts: hosts("a.com"), ALPN: []string{"h2"}, Listeners: []string{"public"}}},
			nil,
		},
		{
			"an ALPN subset after its superset",
			[]Route{{Hosts: hosts("a.com"), ALPN: []string{"h2", "http/1.1"}}, {Hosts: hosts("a.com"), ALPN: []string{"http/1.1"}}},
			[]checked{{"unreachable", "routes[1].hosts[0]", "0.hosts[0]",
				`route "b": host a.com can never match: route "a" has the same host, is tried first, and its conditions hold whenever these do`}},
		},
		{
			"an ALPN superset after its subset can match",
			[]Route{{Hosts: hosts("a.com"), ALPN: []string{"h2"}}, {Hosts: hosts("a.com"), ALPN: []string{"h2", "http/1.1"}}},
			nil,
		},
		{
			"a client prefix inside another",
			[]Route{{Hosts: hosts("~^a$"), Clients: parsePrefixes([]string{"192.0.2.0/24", "10.0.0.0/8"})}, {Hosts: hosts("~^a$"), Clients: parsePrefixes([]string{"10.1.0.0/16"})}},
			[]checked{{"unreachable", "routes[1].hosts[0]", "0.hosts[0]",
				`route "b": host ~^a$ can never match: route "a" has the same host, is tried first, and its conditions hold whenever these do`}},
		},
		{
			"a client prefix inside the union of two",
			[]Route{{Hosts: hosts("*"), Clients: parsePrefixes([]string{"10.128.0.0/9", "10.0.0.0/9"})}, {Hosts: hosts("*"), Clients: parsePrefixes([]string{"10.64.0.0/10", "10.192.0.0/10"})}},
			[]checked{{"unreachable", "routes[1].hosts[0]", "0.hosts[0]",
				`route "b": host * can never match: route "a" has the same host, is tried first, and its conditions hold whenever these do`}},
		},
		{
			"a wider client prefix after a narrower one can match, and so can the other family",
			[]Route{
				{Hosts: hosts("*"), Clients: parsePrefixes([]string{"10.1.0.0/16"})},
				{Hosts: hosts("*"), Clients: parsePrefixes([]string{"10.0.0.0/8"})},
				{Hosts: hosts("*"), Clients: parsePrefixes([]string{"::/0"})},
			},
			nil,
		},
		{
			"a listener subset",
			[]Route{{Hosts: hosts("*"), Listeners: []string{"public", "inside"}}, {Hosts: hosts("*"), Listeners: []string{"inside"}}},
			[]checked{{"unreachable", "routes[1].hosts[0]", "0.hosts[0]",
				`route "b": host * can never match: route "a" has the same host, is tried first, and its conditions hold whenever these do`}},
		},
		{
			"one kind wider and another narrower can both match",
			[]Route{
				{Hosts: hosts("*"), ALPN: []string{"h2", "h3"}, Listeners: []string{"public"}},
				{Hosts: hosts("*"), ALPN: []string{"h2"}, Listeners: []string{"public", "inside"}},
			},
			nil,
		},
		{
			"a regexp after an identical one, however it is spelt",
			[]Route{{Hosts: hosts(`~^db-[0-9]\.net$`)}, {Hosts: hosts(`~^DB-\d\.net$`)}},
			[]checked{{"duplicate", "routes[1].hosts[0]", "0.hosts[0]",
				`route "b": host ~^DB-\d\.net$ can never match: route "a" has the same host and conditions, and comes first`}},
		},
		{
			"a regexp whose names a wildcard takes first",
			[]Route{{Hosts: hosts(`~^db-[0-9]+\.example\.net$`)}, {Hosts: hosts("x.com", "*.Example.net")}},
			[]checked{{"unreachable", "routes[0].hosts[0]", "1.hosts[1]",
				`route "a": host ~^db-[0-9]+\.example\.net$ can never match: names that end so belong to *.Example.net of route "b", which is tried before any regexp`}},
		},
		{
			"a regexp below a wildcard with conditions can match",
			[]Route{{Hosts: hosts(`~^db-[0-9]+\.example\.net$`)}, {Hosts: hosts("*.example.net"), ALPN: []string{"h2"}}},
			nil,
		},
		{
			"a regexp with the conditions of the wildcard above it cannot",
			[]Route{{Hosts: hosts(`~^db-[0-9]+\.example\.net$`), ALPN: []string{"h2"}}, {Hosts: hosts("*.net"), ALPN: []string{"h2", "h3"}}},
			[]checked{{"unreachable", "routes[0].hosts[0]", "1.hosts[0]",
				`route "a": host ~^db-[0-9]+\.example\.net$ can never match: names that end so belong to *.net of route "b", which is tried before any regexp`}},
		},
		{
			"a regexp that also matches the wildcard's own base can match",
			[]Route{{Hosts: hosts(`~^(db-[0-9]+\.)?example\.net$`)}, {Hosts: hosts("*.example.net")}},
			nil,
		},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, checkedOf(Check(setOf(tt.routes...)))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckRoutesOneByOne(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what  string
		route Route
		want  checked
	}{
		{"no hosts", Route{},
			checked{"missing", "routes[0].hosts", "", `route "r": no hosts; "*" matches any name`}},
		{"a bad host", Route{Hosts: []string{"ok.com", "a b"}},
			checked{"bad host", "routes[0].hosts[1]", "", `route "r": host "a b": ' ' is not allowed; only letters, digits, '-', '_' and '.' are`}},
		{"a host that could forge a line", Route{Hosts: []string{"a\nb"}},
			checked{"bad host", "routes[0].hosts[0]", "", `route "r": host "a\nb": '\n' is not allowed; only letters, digits, '-', '_' and '.' are`}},
		{"an empty protocol", Route{ALPN: []string{"h2", ""}},
			checked{"bad alpn", "routes[0].alpn[1]", "", `route "r": alpn "": a protocol name has 1 to 255 bytes`}},
		{"a prefix that is none", Route{Clients: []netip.Prefix{{}}},
			checked{"bad client", "routes[0].clients[0]", "", `route "r": clients[0]: not a prefix`}},
		{"a mapped prefix that would hold all of IPv4", Route{Clients: parsePrefixes([]string{"10.0.0.0/8", "::ffff:10.0.0.0/8"})}, // CVE-2026-90711
			checked{"bad client", "routes[0].clients[1]", "", `route "r": client ::ffff:10.0.0.0/8: an IPv4 address mapped into IPv6; write 10.0.0.0/8`}},
		{"a mapped prefix that would hold nothing", Route{Clients: parsePrefixes([]string{"::ffff:10.0.0.0/104"})}, // CVE-2026-92395
			checked{"bad client", "routes[0].clients[0]", "", `route "r": client ::ffff:10.0.0.0/104: an IPv4 address mapped into IPv6; write 10.0.0.0/8`}},
		{"a listener that is not there", Route{Listeners: []string{"public", "publik"}},
			checked{"unknown listener", "routes[0].listeners[1]", "", `route "r": unknown listener "publik"`}},
		{"a pool that is not there", Route{Action: toPool("wbe")},
			checked{"unknown pool", "routes[0].pool", "", `route "r": unknown pool "wbe"`}},
		{"a pool of a split that is not there", Route{Action: Action{Targets: []Target{{"web", 1}, {"wbe", 1}}}},
			checked{"unknown pool", "routes[0].split[1]", "", `route "r": unknown pool "wbe"`}},
		{"nothing to do", Route{Action: Action{Targets: []Target{}}},
			checked{"bad action", "routes[0]", "", `route "r": says nothing to do; give it a pool, a split or a reject`}},
		{"two things to do", Route{Action: Action{Targets: []Target{{"web", 1}}, Reject: RejectAlert}},
			checked{"bad action", "routes[0].reject", "", `route "r": a pool and a reject exclude each other`}},
		{"an unknown way to reject", Route{Action: Action{Reject: 9}},
			checked{"bad action", "routes[0].reject", "", `route "r": Reject(9) is no way to reject`}},
		{"terminate and reject", Route{Action: Action{Reject: RejectAlert}, Terminate: "tls"},
			checked{"bad action", "routes[0].terminate", "", `route "r": terminate and reject exclude each other`}},
		{"a negative weight", Route{Action: Action{Targets: []Target{{"web", 1}, {"db", -1}}}},
			checked{"bad action", "routes[0].split[1]", "", `route "r": pool "db": weight -1 is not in 0 to 1000000`}},
		{"a weight beyond all measure", Route{Action: Action{Targets: []Target{{"web", 1_000_001}, {"db", 1}}}},
			checked{"bad action", "routes[0].split[0]", "", `route "r": pool "web": weight 1000001 is not in 0 to 1000000`}},
		{"weights that give nobody a share", Route{Action: Action{Targets: []Target{{"web", 0}, {"db", 0}}}},
			checked{"bad action", "routes[0].split", "", `route "r": no pool has a weight above 0`}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			tt.route.Name = "r"
			if tt.route.Hosts == nil && tt.want.Kind != "missing" {
				tt.route.Hosts = []string{"*"}
			}
			if diff := cmp.Diff([]checked{tt.want}, checkedOf(Check(setOf(tt.route)))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckReportsEverythingInFileOrder(t *testing.T) {
	t.Parallel()
	s := &Set{
		Listeners: []Listener{
			{Name: "public", NoSNI: toPool("nowhere"), UnknownSNI: Action{Targets: []Target{{"web", 0}}}},
			{Name: "public"},
			{UnknownSNI: Action{Targets: []Target{{"web", 1}, {"elsewhere", 1}}}},
		},
		Pools: []string{"web", "web", ""},
		Routes: []Route{
			{Name: "a", Hosts: []string{"*"}, Listeners: []string{"x"}, ALPN: []string{""}, Action: toPool("nowhere")},
			{Name: "a", Hosts: []string{"a.com", "b b"}, Action: toPool("web")},
			{Hosts: []string{"c.com", "a.com"}, Action: toPool("web")},
		},
	}
	want := []checked{
		{"unknown pool", "listeners[0].no_sni", "", `listener "public": no_sni: unknown pool "nowhere"`},
		{"bad action", "listeners[0].unknown_sni", "", `listener "public": unknown_sni: no pool has a weight above 0`},
		{"duplicate", "listeners[1].name", "0", `listener "public": listeners[0] has this name already`},
		{"missing", "listeners[2].name", "", `listeners[2]: has no name`},
		{"unknown pool", "listeners[2].unknown_sni[1]", "", `listeners[2]: unknown_sni: unknown pool "elsewhere"`},
		{"duplicate", "set.pools[1]", "0", `pool "web": pools[0] has this name already`},
		{"missing", "set.pools[2]", "", `pools[2]: has no name`},
		{"bad alpn", "routes[0].alpn[0]", "", `route "a": alpn "": a protocol name has 1 to 255 bytes`},
		{"unknown listener", "routes[0].listeners[0]", "", `route "a": unknown listener "x"`},
		{"unknown pool", "routes[0].pool", "", `route "a": unknown pool "nowhere"`},
		{"duplicate", "routes[1].name", "0", `route "a": routes[0] has this name already`},
		{"bad host", "routes[1].hosts[1]", "", `route "a": host "b b": ' ' is not allowed; only letters, digits, '-', '_' and '.' are`},
		{"missing", "routes[2].name", "", `routes[2]: has no name`},
		{"duplicate", "routes[2].hosts[1]", "1.hosts[0]", `routes[2]: host a.com can never match: route "a" has the same host and conditions, and comes first`},
	}
	got := Check(s)
	if diff := cmp.Diff(want, checkedOf(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	_, err := NewTable(s)
	if conflict, ok := errors.AsType[Conflict](err); !ok || conflict != got[0] {
		t.Errorf("NewTable: got %v; want it to hold the first conflict", err)
	}
	lines := strings.Split(fmt.Sprint(err), "\n")
	if len(lines) != len(want) || !slices.ContainsFunc(lines, func(l string) bool { return l == want[5].Msg }) {
		t.Errorf("NewTable: got %d lines, want one for each of %d conflicts: %v", len(lines), len(want), err)
	}
}

// One host that very many routes share is not checked pair by pair: that would be 200 million comparisons, which
// nobody waits for.
func TestCheckScalesOnOneHost(t *testing.T) {
	t.Parallel()
	const n = 20_000
	s := setOf()
	for i := range n {
		s.Routes = append(s.Routes, Route{
			Name:    fmt.Sprint(i),
			Hosts:   []string{"*"},
			Clients: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)},
			Action:  toPool("web"),
		})
	}
	start := time.Now()
	if c := Check(s); c != nil {
		t.Fatal(c[0])
	}
	t.Logf("%d routes on one host checked in %v", n, time.Since(start))

	s.Routes[n-1].Clients = parsePrefixes([]string{"10.0.0.1/32"})
	if c := Check(s); len(c) != 1 || c[0].Route != n-1 || c[0].Other != 1 {
		t.Errorf("got %v; want the last route to be a duplicate of the second", c)
	}
}
