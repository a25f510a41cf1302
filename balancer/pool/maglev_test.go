package pool

import (
	"fmt"
	"hash/fnv"
	"math"
	"net/netip"
	"slices"
	"testing"
)

// TestSipHash checks the vectors of the authors' reference implementation: key 00 01 … 0f, input 00 01 … of n bytes.
func TestSipHash(t *testing.T) {
	key := sipKey{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	input := make([]byte, 16)
	for i := range input {
		input[i] = byte(i)
	}
	for n, want := range map[int]uint64{
		0: 0x726fdb47dd0e0e31, 1: 0x74f839c593dc67fd, 7: 0xab0200f58b01d137, 8: 0x93f5f5799a932462, 15: 0xa129ca6149be45e5,
	} {
		if got := sipHash(key, input[:n]); got != want {
			t.Errorf("sipHash of %d bytes = %#x, want %#x", n, got, want)
		}
		if got := sipHash(key, string(input[:n])); got != want {
			t.Errorf("sipHash of a string of %d bytes = %#x, want %#x", n, got, want)
		}
	}
}

// digest is a fingerprint of which member, by name, has which slot.
func digest(p *Pool) string {
	g := &p.members.Load().primary
	h := fnv.New64a()
	for _, i := range g.table {
		h.Write([]byte(g.members[i].Name))
		h.Write([]byte{0})
	}
	return fmt.Sprintf("%d slots %016x", len(g.table), h.Sum64())
}

// These tables must never change: a client that comes back, after an upgrade or through another machine, is to
// find the same backend.
func TestMaglevTableIsTheSameForever(t *testing.T) {
	tests := []struct {
		name    string
		members []BackendConfig
		want    string
	}{
		{"three equal members", entries(1, 1, 1), "65537 slots 97894031e1c89248"},
		{"weights", entries(1, 3, 5, 100), "65537 slots b0b75552c2370e04"},
		{"a thousand members", equal(1000), "131071 slots 0571c8938d888f3d"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := digest(New(Config{Balance: Maglev, Backends: test.members})); got != test.want {
				t.Errorf("table %s, want %s", got, test.want)
			}
			slices.Reverse(test.members)
			if got := digest(New(Config{Balance: Maglev, Backends: test.members})); got != test.want {
				t.Errorf("table of the reversed file %s, want %s", got, test.want)
			}
		})
	}
}

func TestMaglevKeysAreTheSameForever(t *testing.T) {
	client := func(s string) *Request { return &Request{Client: netip.MustParseAddr(s), SNI: "a.example.com"} }
	tests := []struct {
		name string
		by   HashKey
		r    *Request
		want uint64
	}{
		{"IPv4", HashClientIP, client("192.0.2.1"), 0xffa8db490df04dd7},
		{"the same, 4-in-6", HashClientIP, client("::ffff:192.0.2.1"), 0xffa8db490df04dd7},
		{"IPv6", HashClientIP, client("2001:db8::1"), 0x29c3118edfcc19cf},
		{"the same with a zone", HashClientIP, client("2001:db8::1%eth0"), 0x29c3118edfcc19cf},
		{"SNI", HashSNI, client("192.0.2.1"), 0xee7ae7b75f420f98},
		{"without SNI the address", HashSNI, &Request{Client: netip.MustParseAddr("192.0.2.1")}, 0xffa8db490df04dd7},
		{"neither", HashClientIP, &Request{}, 0xfe592382b4d95eaa},
	}
	for _, test := range tests {
		if got := keyOf(test.by, test.r); got != test.want {
			t.Errorf("%s: %#x, want %#x", test.name, got, test.want)
		}
	}
}

func TestMaglevSlotsFollowWeights(t *testing.T) {
	for name, members := range map[string][]BackendConfig{
		"equal": equal(50), "three": entries(1, 1, 1), "weighted": entries(1, 2, 3, 10), "extreme": entries(1, 500), "one": entries(9),
		"many": equal(700),
	} {
		g := &New(Config{Balance: Maglev, Backends: members}).members.Load().primary
		slots := make([]int, len(g.members))
		for _, i := range g.table {
			slots[i]++
		}
		for i, n := range slots {
			share := float64(g.weights[i]) / float64(g.total) * float64(len(g.table))
			if math.Abs(float64(n)-share) > share/100+1 {
				t.Errorf("%s: member %d has %d slots, its weight says %.1f", name, i, n, share)
			}
		}
	}
}

func TestMaglevSharesOfClients(t *testing.T) {
	const clients = 40_000
	for name, weights := range map[string][]int{"equal": {1, 1, 1, 1, 1}, "weighted": {1, 2, 3, 4}} {
		for _, by := range []HashKey{HashClientIP, HashSNI} {
			p := New(Config{Balance: Maglev, Hash: by, Backends: entries(weights...)})
			sum := 0
			for _, w := range weights {
				sum += w
			}
			for i, n := range counts(t, p, clients) {
				if share := float64(n) / clients; math.Abs(share-float64(weights[i])/float64(sum)) > 0.01 {
					t.Errorf("%s by %d: member %d of weights %d has a share of %.3f", name, by, i, weights, share)
				}
			}
		}
	}
}

// choices says whom each of n clients gets, by name.
func choices(t *testing.T, p *Pool, n int) []string {
	names := make([]string, n)
	for i := range names {
		b := mustPick(t, p, request(i))
		b.Release()
		names[i] = b.Name
	}
	return names
}

// moved is the share of choices that differ.
func moved(a, b []string) float64 {
	n := 0
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return float64(n) / float64(len(a))
}

func TestMaglevDisruptionIsMinimal(t *testing.T) {
	for _, n := range []int{3, 10, 100, 600} {
		all := equal(n)
		before := choices(t, New(Config{Balance: Maglev, Backends: all}), 20_000)
		after := choices(t, New(Config{Balance: Maglev, Backends: slices.Delete(slices.Clone(all), n/2, n/2+1)}), 20_000)
		if got, bound := moved(before, after), 1/float64(n)+0.01; got > bound {
			t.Errorf("without one of %d members %.2f %% of the clients move, want at most %.2f %%", n, 100*got, 100*bound)
		}
	}
}

// Keys whose member is out walk; all others stay where they are, and all return when it does.
func TestMaglevWalksAroundAMemberThatIsOut(t *testing.T) {
	p := New(Config{Balance: Maglev, Backends: equal(5)})
	before := choices(t, p, 50_000)
	out := p.Backends()[2]
	out.SetState(StateEjected)
	during := choices(t, p, 50_000)
	if got := moved(during, choices(t, p, 50_000)); got != 0 {
		t.Errorf("the second time %.2f %% of the clients go elsewhere", 100*got)
	}
	heirs := make(map[string]int)
	for i := range before {
		switch {
		case before[i] == out.Name:
			heirs[during[i]]++
		case before[i] != during[i]:
			t.Fatalf("client %d moved from %s to %s, though only %s is out", i, before[i], during[i], out.Name)
		}
	}
	if len(heirs) != 4 || heirs[out.Name] != 0 {
		t.Errorf("clients went to %v, want all four others", heirs)
	}
	for name, n := range heirs {
		if n < 2250 || n > 2750 {
			t.Errorf("%s took over %d clients of 10000, want a quarter", name, n)
		}
	}
	out.SetState(StateUp)
	if got := moved(before, choices(t, p, 50_000)); got != 0 {
		t.Errorf("%.2f %% of the clients did not return", 100*got)
	}
}

// Where nearly all members are out the walk ends and a draw by the key decides: still the same for the same key.
func TestMaglevWithFewMembersLeft(t *testing.T) {
	p := New(Config{Balance: Maglev, Backends: equal(600)})
	for i, b := range p.Backends() {
		if i%200 != 0 {
			b.SetState(StateDown)
		}
	}
	first := choices(t, p, 3000)
	if got := moved(first, choices(t, p, 3000)); got != 0 {
		t.Errorf("the second time %.2f %% of the clients go elsewhere", 100*got)
	}
	seen := make(map[string]int)
	for _, name := range first {
		seen[name]++
	}
	for name, n := range seen {
		if n < 900 || n > 1100 {
			t.Errorf("%s has %d of 3000 clients, want a third", name, n)
		}
	}
	if len(seen) != 3 {
		t.Errorf("clients went to %v, want three members", seen)
	}
}

func TestTableSizesArePrime(t *testing.T) {
	for _, n := range tableSizes {
		for d := 2; d*d <= n; d++ {
			if n%d == 0 {
				t.Errorf("%d is divided by %d", n, d)
			}
		}
	}
	if !slices.IsSorted(tableSizes) {
		t.Error("not sorted")
	}
}
