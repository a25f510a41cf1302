package pool

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// backendNames lists the members as "address weight".
func backendNames(list []*Backend) []string {
	names := []string{}
	for _, b := range list {
		names = append(names, b.Name)
	}
	return names
}

func noNames(*BackendConfig) []Member { return nil }

func TestNextKeepsWhatStays(t *testing.T) {
	p := New(Config{Name: "web", Backends: []BackendConfig{entry(1, 1), entry(2, 1)}})
	stays, leaves := p.Backends()[1], p.Backends()[0]
	stays.Total.Store(7)
	stays.SetState(StateDown)
	reserve(&stays.Active, unlimited)
	p.shared.active.Add(1)

	limited := entry(2, 5)
	limited.MaxConnections = 3
	n := p.Next(Config{Name: "web", Balance: Maglev, Backends: []BackendConfig{limited, entry(3, 1)}}, noNames)
	if stays.Config().MaxConnections != 0 || leaves.Gone() || len(p.Backends()) != 2 {
		t.Error("Next changed something before Take")
	}
	removed := n.Take(p)
	if diff := cmp.Diff([]string{"10.0.0.1:443"}, backendNames(removed)); diff != "" {
		t.Errorf("removed (-want +got)\n%s", diff)
	}
	if !leaves.Gone() || !leaves.Leaving() || stays.Gone() {
		t.Error("Gone does not tell who left")
	}
	if n.Backends()[0] != stays || stays.Total.Load() != 7 || stays.State() != StateDown || n.Active() != 1 {
		t.Errorf("the backend that stays did not keep its state: %+v", n.Backends()[0])
	}
	if c := stays.Config(); c.Weight != 5 || c.MaxConnections != 3 {
		t.Errorf("its new options are not in force: %+v", c)
	}
	stays.Release()
	if p.Active() != 0 || n.Active() != 0 {
		t.Error("both pools must count together")
	}
}

func TestWhoStillHoldsThePoolBeforeChoosesAsBefore(t *testing.T) {
	p := New(Config{Name: "web", Backends: []BackendConfig{entry(1, 1)}})
	n := p.Next(Config{Name: "web", Backends: []BackendConfig{entry(2, 1)}}, noNames)
	n.Take(p)
	for range 10 {
		if b := mustPick(t, p, request(1)); b.Name != "10.0.0.1:443" {
			t.Fatalf("the pool before chose %s", b.Name)
		}
		if b := mustPick(t, n, request(1)); b.Name != "10.0.0.2:443" {
			t.Fatalf("the pool after chose %s", b.Name)
		}
	}
}

func TestABackendThatReturnsIsTheSameWhileItHasConnections(t *testing.T) {
	both := Config{Name: "web", Backends: []BackendConfig{entry(1, 1), entry(2, 1)}}
	p := New(both)
	busy := p.Backends()[0]
	reserve(&busy.Active, unlimited)
	one := p.Next(Config{Name: "web", Backends: both.Backends[1:]}, noNames)
	one.Take(p)
	again := one.Next(both, noNames)
	again.Take(one)
	if again.Backends()[0] != busy || busy.Gone() {
		t.Error("a backend with connections came back as another one")
	}
	if again.Leave(); !busy.Gone() {
		t.Error("a pool that is no more still has members")
	}
	back := again.Next(both, noNames)
	back.Take(again)
	if back.Backends()[0] != busy || busy.Gone() {
		t.Error("a pool that comes back has other backends")
	}
}

func TestAnAddressThatIsInThePoolTwiceKeepsItsTwoBackends(t *testing.T) {
	named := BackendConfig{Host: "web.example.com", Addr: netip.AddrPortFrom(netip.Addr{}, 443), Weight: 1}
	addrs := []netip.Addr{netip.MustParseAddr("10.0.0.1")}
	p := New(Config{Name: "web", Backends: []BackendConfig{entry(1, 1), named}})
	p.SetAddrs(1, addrs)
	literal, byName := p.Backends()[0], p.Backends()[1]
	swapped := p.Next(Config{Name: "web", Backends: []BackendConfig{named, entry(1, 1)}},
		func(*BackendConfig) []Member { return MembersAt(addrs, 443) })
	if removed := swapped.Take(p); len(removed) != 0 {
		t.Errorf("%v were removed", backendNames(removed))
	}
	if swapped.Backends()[0] != byName || swapped.Backends()[1] != literal {
		t.Error("the two backends with one address were mixed up")
	}
}

func TestSettingsOfAnOperator(t *testing.T) {
	named := BackendConfig{Host: "web.example.com", Addr: netip.AddrPortFrom(netip.Addr{}, 443), Weight: 2}
	zero, three := 0, 3
	p := New(Config{Name: "web", Backends: []BackendConfig{entry(1, 1), named}})
	p.SetAddrs(1, []netip.Addr{netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.1.0.2")})
	for _, c := range []struct {
		name    string
		address string
		set     Setting
		matched []string
		states  string // of all members
		weights []int
	}{
		{"one address", "10.0.0.1:443", Setting{State: OverrideDrain}, []string{"10.0.0.1:443"}, "drain unknown unknown ", []int{1, 2, 2}},
		{"a name is all its addresses", "web.example.com:443", Setting{State: OverrideMaint, Weight: &three},
			[]string{"10.1.0.1:443", "10.1.0.2:443"}, "drain maint maint ", []int{1, 3, 3}},
		{"an address counts before its name", "10.1.0.2:443", Setting{Weight: &zero}, []string{"10.1.0.2:443"}, "drain maint unknown ", []int{1, 3, 0}},
		{"taken back", "10.0.0.1:443", Setting{}, []string{"10.0.0.1:443"}, "unknown maint unknown ", []int{1, 3, 0}},
		{"the name taken back", "web.example.com:443", Setting{}, []string{"10.1.0.1:443", "10.1.0.2:443"}, "unknown unknown unknown ", []int{1, 2, 0}},
		{"nobody's address", "10.9.9.9:443", Setting{State: OverrideDrain}, []string{}, "unknown unknown unknown ", []int{1, 2, 0}},
	} {
		if diff := cmp.Diff(c.matched, backendNames(p.Set(c.address, c.set))); diff != "" {
			t.Errorf("%s: matched (-want +got)\n%s", c.name, diff)
		}
		states, weights := "", []int{}
		for _, b := range p.Backends() {
			states += b.State().String() + " "
			weights = append(weights, b.Config().Weight)
		}
		if states != c.states || !cmp.Equal(weights, c.weights) {
			t.Errorf("%s: states %s weights %v, want %s %v", c.name, states, weights, c.states, c.weights)
		}
	}
	p.SetAddrs(1, []netip.Addr{netip.MustParseAddr("10.9.9.9")})
	if b := p.Backends()[1]; b.State() != StateDrain {
		t.Errorf("what was said of an address that joins later is not in force: %v", b.State())
	}
}

func TestAnOverrideDecidesOverWhatChecksFind(t *testing.T) {
	p := New(Config{Name: "web", Backends: []BackendConfig{entry(1, 1)}})
	b := p.Backends()[0]
	b.SetState(StateUp)
	p.Set(b.Name, Setting{State: OverrideDrain})
	if old := b.SetState(StateDown); old != StateUp || b.State() != StateDrain || b.Override() != OverrideDrain {
		t.Errorf("found before: %v, state %v, override %v", old, b.State(), b.Override())
	}
	if got, why := p.Pick(request(1)); got != nil || why != NoBackend {
		t.Errorf("a draining backend was chosen: %v, %v", got, why)
	}
	p.Set(b.Name, Setting{})
	if b.State() != StateDown {
		t.Errorf("after the override the state is %v", b.State())
	}
}

func TestParseOverride(t *testing.T) {
	for _, o := range []Override{OverrideNone, OverrideDrain, OverrideMaint} {
		if got, ok := ParseOverride(o.String()); !ok || got != o {
			t.Errorf("%v is read as %v, %v", o, got, ok)
		}
	}
	if _, ok := ParseOverride("gone"); ok {
		t.Error("gone is a word")
	}
}
