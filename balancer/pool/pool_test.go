package pool

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// entry is the configuration of the i-th backend, 10.0.0.i:443.
func entry(i, weight int) BackendConfig {
	addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
	return BackendConfig{Addr: netip.AddrPortFrom(addr, 443), Weight: weight}
}

// entries makes one backend for each weight.
func entries(weights ...int) []BackendConfig {
	var all []BackendConfig
	for i, w := range weights {
		all = append(all, entry(i+1, w))
	}
	return all
}

// equal makes n backends of weight 1.
func equal(n int) []BackendConfig {
	weights := make([]int, n)
	for i := range weights {
		weights[i] = 1
	}
	return entries(weights...)
}

var balances = map[string]Balance{
	"round_robin": RoundRobin, "least_connections": LeastConnections, "random_two": RandomTwo,
	"maglev": Maglev, "first": First,
}

// request is the n-th of many clients.
func request(n int) *Request {
	return &Request{
		Client: netip.AddrFrom4([4]byte{192, byte(n >> 16), byte(n >> 8), byte(n)}),
		SNI:    fmt.Sprintf("host-%d.example.com", n),
		Draw:   scramble(uint64(n)),
	}
}

// mustPick picks and fails the test on a refusal.
func mustPick(t testing.TB, p *Pool, r *Request) *Backend {
	t.Helper()
	b, why := p.Pick(r)
	if why != NotRefused {
		t.Fatalf("Pick(%+v): refused: %d", r, why)
	}
	return b
}

// counts tells how often each backend, by its place in the file, was chosen for n clients; slots are given back at once.
func counts(t testing.TB, p *Pool, n int) []int {
	t.Helper()
	got := make([]int, len(p.Backends()))
	place := make(map[*Backend]int)
	for i, b := range p.Backends() {
		place[b] = i
	}
	for i := range n {
		b := mustPick(t, p, request(i))
		got[place[b]]++
		b.Release()
	}
	return got
}

func TestMembers(t *testing.T) {
	named := BackendConfig{Host: "web.example.com", Addr: netip.AddrPortFrom(netip.Addr{}, 8443), Weight: 2, MaxConnections: 1}
	p := New(Config{Name: "web", Backends: []BackendConfig{entry(1, 1), named, entry(2, 1)}})
	names := func(all []*Backend) (names []string) {
		for _, b := range all {
			names = append(names, b.Name)
		}
		return names
	}
	set := func(addrs ...string) []string {
		var list []netip.Addr
		for _, a := range addrs {
			list = append(list, netip.MustParseAddr(a))
		}
		return names(p.SetAddrs(1, list))
	}
	check := func(step string, got []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", step, diff)
		}
	}
	check("a name has no members before its addresses", names(p.Backends()), "10.0.0.1:443", "10.0.0.2:443")
	check("nothing left", set("10.1.0.2", "::ffff:10.1.0.1", "2001:db8::1", "10.1.0.2"))
	check("members are in file order, one name's sorted, unmapped and once each", names(p.Backends()),
		"10.0.0.1:443", "10.1.0.1:8443", "10.1.0.2:8443", "[2001:db8::1]:8443", "10.0.0.2:443")

	stays, leaves := p.Backends()[2], p.Backends()[1]
	stays.Total.Store(7)
	stays.SetState(StateDown)
	if !reserve(&leaves.Active, 1) {
		t.Fatal("no slot on a new backend")
	}
	p.shared.active.Add(1)
	check("those that left are told", set("10.1.0.2", "10.1.0.3"), "10.1.0.1:8443", "[2001:db8::1]:8443")
	if p.Backends()[1] != stays || stays.Total.Load() != 7 || stays.State() != StateDown {
		t.Errorf("the backend that stays did not keep its state: %+v", p.Backends()[1])
	}
	check("an address with connections left", set("10.1.0.1"), "10.1.0.2:8443", "10.1.0.3:8443")
	if p.Backends()[1] != leaves {
		t.Error("a backend that comes back while it has connections is not the same one")
	}
	set()
	leaves.Release()
	set("10.1.0.4")
	if len(p.shared.left) != 0 {
		t.Errorf("backends without connections are remembered: %v", p.shared.left)
	}
	if got := p.Active(); got != 0 || leaves.Active.Load() != 0 {
		t.Errorf("Active is %d in the pool and %d on the backend after the last release", got, leaves.Active.Load())
	}
	check("an entry given by address stays", names(p.SetAddrs(0, nil)))
	check("an entry that does not exist", names(p.SetAddrs(3, nil)))
	check("in the end", names(p.Backends()), "10.0.0.1:443", "10.1.0.4:8443", "10.0.0.2:443")
}

func TestMaxConnectionsOfARemovedBackendComeBack(t *testing.T) {
	named := BackendConfig{Host: "web.example.com", Addr: netip.AddrPortFrom(netip.Addr{}, 8443), Weight: 1}
	p := New(Config{MaxConnections: 1, Backends: []BackendConfig{named}})
	p.SetAddrs(0, []netip.Addr{netip.MustParseAddr("10.1.0.1")})
	b := mustPick(t, p, request(1))
	p.SetAddrs(0, []netip.Addr{netip.MustParseAddr("10.1.0.2")})
	if _, why := p.Pick(request(2)); why != PoolFull {
		t.Errorf("with its one connection on a backend that left, the pool answers %d, want PoolFull", why)
	}
	b.Release()
	if got := mustPick(t, p, request(3)); got.Name != "10.1.0.2:8443" {
		t.Errorf("picked %s", got.Name)
	}
}
