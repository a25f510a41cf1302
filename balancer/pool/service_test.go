package pool

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// at is a member at port n of one address.
func at(n uint16, weight int, backup bool) Member {
	return Member{netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), n), weight, backup}
}

func TestMembersOfAService(t *testing.T) {
	p := New(Config{Name: "web", Backends: []BackendConfig{{Service: "_https._tcp.example.net", Weight: 2}}})
	show := func() (list []string) {
		for _, b := range p.Backends() {
			cfg := b.Config()
			list = append(list, fmt.Sprintf("%s weight %d backup %v", b.Name, cfg.Weight, cfg.Backup))
		}
		return list
	}
	want := func(name string, want ...string) {
		t.Helper()
		if d := cmp.Diff(want, show()); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	want("nothing is known")
	p.SetMembers(0, []Member{at(8443, 10, false), at(443, 20, false), at(9443, 1, true)})
	want("the weight is the entry's times the record's", "10.0.0.1:443 weight 40 backup false",
		"10.0.0.1:8443 weight 20 backup false", "10.0.0.1:9443 weight 2 backup true")
	first := p.Backends()[0]
	first.SetState(StateDown)
	if left := p.SetMembers(0, []Member{at(443, 5, true), at(8443, 10, false)}); len(left) != 1 || left[0].Addr.Port() != 9443 {
		t.Errorf("%v left, want the one at port 9443", left)
	}
	want("what changes is in force at once", "10.0.0.1:443 weight 10 backup true", "10.0.0.1:8443 weight 20 backup false")
	if p.Backends()[0] != first || first.State() != StateDown {
		t.Error("the same address is another backend")
	}
	weight := 7
	p.Set("srv:_https._tcp.example.net", Setting{Weight: &weight})
	want("an operator's weight counts", "10.0.0.1:443 weight 7 backup true", "10.0.0.1:8443 weight 7 backup false")
	n := p.Next(Config{Name: "web", Backends: []BackendConfig{{Service: "_https._tcp.example.net", Weight: 1}, entry(3, 1)}},
		func(*BackendConfig) []Member { return []Member{at(443, 5, false)} })
	n.Take(p)
	if n.Backends()[0] != first {
		t.Error("a reload has made another backend of the same address")
	}
}

// Membership changes are small diffs: of a maglev pool no more clients move than had a member that left, or get one that
// came, and 1 %.
func TestMembershipChangesMoveFewClients(t *testing.T) {
	named := BackendConfig{Host: "web.example.net", Addr: netip.AddrPortFrom(netip.Addr{}, 443), Weight: 1}
	addrs := func(from, to int) (list []netip.Addr) {
		for i := from; i < to; i++ {
			list = append(list, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
		}
		return list
	}
	const clients = 20_000
	p := New(Config{Balance: Maglev, Backends: []BackendConfig{named}})
	p.SetAddrs(0, addrs(0, 20))
	before := choices(t, p, clients)
	for _, c := range []struct {
		name     string
		from, to int
		share    float64
	}{
		{"one more", 0, 21, 1. / 21},
		{"that one less", 0, 20, 1. / 21},
		{"one replaced", 1, 21, 2. / 20},
		{"five less", 6, 21, 5. / 20},
	} {
		p.SetAddrs(0, addrs(c.from, c.to))
		after := choices(t, p, clients)
		if got := moved(before, after); got > c.share+0.01 {
			t.Errorf("%s: %.2f %% of the clients moved, want at most %.2f %%", c.name, 100*got, 100*(c.share+0.01))
		}
		before = after
	}
}
