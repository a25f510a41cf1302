package peek

import (
	"slices"
	"testing"
)

func TestProtocolListContains(t *testing.T) {
	list := mustParse(t, wireOf(plainSpec(alpn("h2", "http/1.1")))).ALPN
	tests := []struct {
		proto string
		want  bool
	}{
		{"h2", true}, {"http/1.1", true}, {"http", false}, {"H2", false}, {"", false}, {"2", false}, {"h2\x08http/1.1", false},
	}
	for _, tt := range tests {
		if got := list.Contains(tt.proto); got != tt.want {
			t.Errorf("%q: got %t", tt.proto, got)
		}
	}
	if ProtocolList(nil).Contains("") {
		t.Error("an absent list contains something")
	}
}

func TestListsStopWhenAsked(t *testing.T) {
	n := 0
	for range Codes(codes(1, 2, 3)).All() {
		n++
		break
	}
	for range ProtocolList([]byte{1, 'a', 1, 'b'}).All() {
		n++
		break
	}
	for range ExtensionList(extBlock(ext{1, nil}, ext{2, nil})).All() {
		n++
		break
	}
	if n != 3 {
		t.Errorf("three first elements make %d", n)
	}
}

// Lists that nobody checked, cut anywhere, end where they do and go no further.
func TestUncheckedListsEnd(t *testing.T) {
	whole := extBlock(ext{29, []byte("key")}, ext{23, []byte("longer key")})
	for n := range len(whole) {
		for group, key := range KeyShareList(whole[:n]).All() {
			if group != 29 && group != 23 || len(key) > n {
				t.Errorf("cut at %d: %d, %q", n, group, key)
			}
		}
	}
	if got := slices.Collect(Codes([]byte{0, 1, 2}).All()); !slices.Equal(got, []uint16{1}) || Codes([]byte{0, 1, 2}).Len() != 1 {
		t.Errorf("half a code: %v", got)
	}
	if !Codes(codes(1, 2)).Contains(2) || Codes(codes(1, 2)).Contains(0x0200) || Codes(codes(1, 2)).Contains(0x0102) {
		t.Error("Contains looks at bytes and not at codes")
	}
}

func TestListsAllocateNothing(t *testing.T) {
	h := mustParse(t, postQuantumHello())
	found := 0
	got := testing.AllocsPerRun(20, func() {
		for v := range h.CipherSuites.All() {
			found += int(v)
		}
		for group, key := range h.KeyShares.All() {
			found += int(group) + len(key)
		}
		for typ := range h.Extensions.All() {
			found += int(typ)
		}
		if h.ALPN.Contains("acme-tls/1") || h.MaxVersion() == 0 {
			found++
		}
	})
	if got != 0 || found == 0 {
		t.Errorf("%v allocations", got)
	}
}
