package peek

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wireOf is the hello of a spec in one record, or in as many as it takes.
func wireOf(s spec) []byte { return records(s.message(), maxRecordSize) }

// TestHelloFields reads everything there is to read.
func TestHelloFields(t *testing.T) {
	outer := slices.Concat([]byte{0, 0, 1, 0, 3, 9}, vec16(make([]byte, 32)), vec16(make([]byte, 300)))
	s := plainSpec(
		ext{0x1a1a, nil},
		sni("a.example.com"),
		alpn("h2", "http/1.1"),
		ext{extSupportedVersions, vec8(codes(0x2a2a, VersionTLS13, VersionTLS12))},
		ext{extSupportedGroups, vec16(codes(0x11ec, 29))},
		ext{extSignatureAlgorithms, vec16(codes(0x0403, 0x0804))},
		ext{extKeyShare, vec16(extBlock(ext{0x11ec, []byte("long key")}, ext{29, []byte("key")}))},
		ext{extSessionTicket, []byte("ticket")},
		ext{extECH, outer},
		ext{extEarlyData, nil},
		psk(),
	)
	h := mustParse(t, wireOf(s))
	type summary struct {
		Name, ALPN, Ticket                                  string
		Version, Max                                        uint16
		Suites, Versions, Groups, Schemes, Order, KeyGroups []uint16
		Keys                                                []string
		Session, Random, Compression                        int
		PSK, EarlyData                                      bool
		ECH                                                 ECH
	}
	got := summary{Name: string(h.ServerName), ALPN: strings.Join(protocolsOf(h), " "), Ticket: string(h.SessionTicket),
		Version: h.Version, Max: h.MaxVersion(), Suites: slices.Collect(h.CipherSuites.All()),
		Versions: slices.Collect(h.Versions.All()), Groups: slices.Collect(h.Groups.All()),
		Schemes: slices.Collect(h.SignatureAlgorithms.All()), Session: len(h.SessionID), Random: len(h.Random),
		Compression: len(h.Compression), PSK: h.PSK, EarlyData: h.EarlyData, ECH: h.ECH}
	for typ := range h.Extensions.All() {
		got.Order = append(got.Order, typ)
	}
	for group, key := range h.KeyShares.All() {
		got.KeyGroups, got.Keys = append(got.KeyGroups, group), append(got.Keys, string(key))
	}
	want := summary{Name: "a.example.com", ALPN: "h2 http/1.1", Ticket: "ticket", Version: VersionTLS12, Max: VersionTLS13,
		Suites: []uint16{0x1301, 0xc02f}, Versions: []uint16{0x2a2a, VersionTLS13, VersionTLS12}, Groups: []uint16{0x11ec, 29},
		Schemes: []uint16{0x0403, 0x0804}, Session: 32, Random: 32, Compression: 1, PSK: true, EarlyData: true, ECH: ECHOuter,
		Order:     []uint16{0x1a1a, 0, 16, 43, 10, 13, 51, 35, extECH, 42, 41},
		KeyGroups: []uint16{0x11ec, 29}, Keys: []string{"long key", "key"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !bytes.Equal(h.Raw, s.message()) {
		t.Error("Raw is not the message")
	}
}

func TestAbsentIsNotEmpty(t *testing.T) {
	s := plainSpec()
	s.noExts = true
	h := mustParse(t, wireOf(s))
	if h.ServerName != nil || h.ALPN != nil || h.Extensions != nil || h.Versions != nil || h.SessionTicket != nil ||
		h.KeyShares != nil || h.ECH != ECHNone || h.PSK || h.EarlyData {
		t.Errorf("a hello without extensions has some: %+v", h)
	}
	if h.MaxVersion() != VersionTLS12 {
		t.Errorf("MaxVersion %s, want legacy_version", VersionName(h.MaxVersion()))
	}
	h = mustParse(t, wireOf(plainSpec(ext{extSessionTicket, nil}, ext{extKeyShare, []byte{0, 0}})))
	if h.SessionTicket == nil || h.KeyShares == nil || h.Extensions == nil {
		t.Errorf("an empty ticket and an empty key_share count as absent: %+v", h)
	}
}

func TestMaxVersion(t *testing.T) {
	versions := func(vs ...uint16) ext { return ext{extSupportedVersions, vec8(codes(vs...))} }
	tests := []struct {
		name   string
		legacy uint16
		exts   []ext
		want   uint16
	}{
		{"legacy_version without the extension", VersionTLS11, nil, VersionTLS11},
		{"but no more than TLS 1.2", VersionTLS13, nil, VersionTLS12},
		{"the highest of the list", VersionTLS12, []ext{versions(VersionTLS11, VersionTLS13, VersionTLS12)}, VersionTLS13},
		{"and GREASE is not high", VersionTLS12, []ext{versions(0xfafa, VersionTLS12)}, VersionTLS12},
		{"nothing but GREASE", VersionTLS12, []ext{versions(0xfafa)}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := plainSpec(tt.exts...)
			s.version = tt.legacy
			if got := mustParse(t, wireOf(s)).MaxVersion(); got != tt.want {
				t.Errorf("got %s, want %s", VersionName(got), VersionName(tt.want))
			}
		})
	}
}

// TestServerNames: which names are names. crypto/tls says yes to most of the others.
func TestServerNames(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	name255 := label63 + "." + label63 + "." + label63 + "." + label63
	tests := []struct {
		name  string
		given string
		want  string // what is wrong with it
	}{
		{"a host", "a.example.com", ""},
		{"a single label", "localhost", ""},
		{"upper case stays as sent", "A.Example.COM", ""},
		{"an A-label", "xn--bcher-kva.example", ""},
		{"an underscore is accepted", "_sip._tcp.my_host.example.com", ""},
		{"a hyphen is accepted anywhere", "-a.b-.example.com", ""},
		{"digits only are accepted", "123.456", ""},
		{"an IPv4 address is accepted", "192.0.2.1", ""},
		{"one trailing dot is accepted", "a.example.com.", ""}, // GHSA-hrhx-6h34-j5hc
		{"a label of 63 bytes", label63 + ".example", ""},
		{"a name of 255 bytes", name255, ""},
		{"an empty name", "", "empty server name"},
		{"a lone dot", ".", "empty label in the server name"},
		{"two trailing dots", "a.example.com..", "empty label in the server name"},
		{"a leading dot", ".example.com", "empty label in the server name"},
		{"two dots", "a..example.com", "empty label in the server name"},
		{"a label of 64 bytes", "a" + label63 + ".example", "label of the server name longer than 63 bytes"},
		{"a name of 256 bytes", name255 + ".", "server name longer than 255 bytes"},
		{"an IPv6 address", "2001:db8::1", "server name holds a byte that no host name has"},
		{"an IPv6 address in brackets", "[2001:db8::1]", "server name holds a byte that no host name has"},
		{"a port", "example.com:443", "server name holds a byte that no host name has"},
		{"a wildcard", "*.example.com", "server name holds a byte that no host name has"},
		{"a NUL", "a.example.com\x00.evil.example", "server name holds a byte that no host name has"},
		{"a NUL at the end", "a.example.com\x00", "server name holds a byte that no host name has"},
		{"a newline", "a.example.com\n", "server name holds a byte that no host name has"},
		{"a space", "a b", "server name holds a byte that no host name has"},
		{"a slash", "a/../b", "server name holds a byte that no host name has"},
		{"UTF-8", "bücher.example", "server name holds a byte that no host name has"},
		{"a byte over 127", "\xff.example", "server name holds a byte that no host name has"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, err := ParseClientHello(wireOf(plainSpec(sni(tt.given))))
			if err == nil && (tt.want != "" || string(h.ServerName) != tt.given) {
				t.Errorf("%q: accepted as %q, want %q", tt.given, h.ServerName, tt.want)
			}
			if err != nil && cause(err) != tt.want {
				t.Errorf("%q: got %v, want %q", tt.given, err, tt.want)
			}
		})
	}
}

// CVE-2023-25076: a name of any length is a name of at most 255 bytes or none, and costs
// no memory.
func TestServerNameOfAnyLength(t *testing.T) {
	var h Hello
	var p Parser
	for n := 0; n < 1<<16-100; n += 1 + n/10 {
		wire := wireOf(plainSpec(sni(strings.Repeat("a.", n/2) + strings.Repeat("a", n%2))))
		err := p.Parse(wire, &h)
		if ok := n > 0 && n <= maxName; ok != (err == nil) || len(h.ServerName) > maxName {
			t.Errorf("%d bytes: %v, name of %d bytes", n, err, len(h.ServerName))
		}
		if len(wire) > maxRecordSize {
			continue // one copy, see TestAllocations
		}
		if got := testing.AllocsPerRun(5, func() { _ = p.Parse(wire, &h) }); got != 0 {
			t.Errorf("%d bytes: %v allocations", n, got)
		}
	}
}

// TestStrictness: what is refused in a message, and the decisions beside it that let
// something pass. The table in docs/peek.md names these rows.
func TestStrictness(t *testing.T) {
	with := func(exts ...ext) spec { return plainSpec(exts...) }
	change := func(f func(*spec)) spec { s := plainSpec(sni("a.example.com")); f(&s); return s }
	names := func(entries ...[]byte) spec { return with(ext{extServerName, vec16(bytes.Join(entries, nil))}) }
	entry := func(typ byte, name string) []byte { return append([]byte{typ}, vec16([]byte(name))...) }
	many := func(n int, twice bool) spec {
		s := with()
		for i := range n {
			s.exts = append(s.exts, ext{uint16(1000 + i), nil})
		}
		if twice {
			s.exts = append(s.exts, ext{1000, nil})
		}
		return s
	}
	identity := append(vec16([]byte("ticket")), 0, 0, 0, 1)
	binder := vec16(vec8(make([]byte, 32)))
	tests := []struct {
		name string
		spec spec
		want string
	}{
		{"no extensions at all are fine", change(func(s *spec) { s.noExts = true }), ""},
		{"an empty extension block is fine", change(func(s *spec) { s.exts = nil }), ""},
		{"any legacy_version is fine", change(func(s *spec) { s.version = 0x7f1c }), ""},
		{"no session id is fine", change(func(s *spec) { s.session = nil }), ""},
		{"a session id of 33 bytes", change(func(s *spec) { s.session = make([]byte, 33) }), "session id longer than 32 bytes"},
		{"no cipher suites", change(func(s *spec) { s.suites = nil }), "no cipher suites"},
		{"an odd byte in the cipher suites", change(func(s *spec) { s.suites = []byte{1, 2, 3} }), "half a cipher suite"},
		{"no compression methods", change(func(s *spec) { s.compression = nil }), "no compression methods"},
		{"compression methods without null are fine", change(func(s *spec) { s.compression = []byte{1} }), ""},
		{"an unknown extension is skipped", with(ext{0x9999, []byte("whatever")}), ""},

		{"the same extension twice", with(sni("a.example.com"), sni("a.example.com")), "extension sent twice"},
		{"the same unknown extension twice", with(ext{0x9999, nil}, ext{0x9999, []byte{1}}), "extension sent twice"},
		{"GREASE is an extension too", with(ext{0x1a1a, nil}, ext{0x1a1a, nil}), "extension sent twice"},
		{"two different GREASE extensions are fine", with(ext{0x1a1a, nil}, ext{0x2a2a, nil}), ""},
		{"a thousand extensions are fine", many(1000, false), ""},
		{"a thousand extensions and one of them again", many(1000, true), "extension sent twice"},
		{"seventeen extensions and one of them again", many(17, true), "extension sent twice"},
		{"sixteen extensions and one of them again", many(16, true), "extension sent twice"},

		{"two host names", names(entry(0, "a.example.com"), entry(0, "b.example.com")), "more than one server_name"},
		{"a host name and another kind of name", names(entry(0, "a.example.com"), entry(1, "x")), "more than one server_name"},
		{"another kind of name and a host name", names(entry(1, "x"), entry(0, "a.example.com")), "server_name entry is no host_name"},
		{"another kind of name alone", names(entry(1, "x")), "server_name entry is no host_name"},
		{"an empty list of names", names(), "server_name extension without a name"},
		{"an empty server_name, as servers send it", with(ext{extServerName, nil}), "malformed server_name extension"},
		{"a name cut short", names([]byte{0, 0, 9, 'a'}), "malformed server_name extension"},
		{"a name without length", names([]byte{0, 0}), "malformed server_name extension"},
		{"a byte after the names", with(ext{extServerName, append(sni("a.example.com").body, 0)}), "malformed server_name extension"},

		{"an empty list of protocols", with(alpn()), "malformed ALPN extension"},
		{"an empty protocol", with(alpn("h2", "")), "malformed ALPN extension"},
		{"a protocol cut short", with(ext{extALPN, vec16([]byte{3, 'h', '2'})}), "malformed ALPN extension"},
		{"a byte after the protocols", with(ext{extALPN, append(alpn("h2").body, 0)}), "malformed ALPN extension"},
		{"an empty ALPN extension", with(ext{extALPN, nil}), "malformed ALPN extension"},
		{"a protocol of any bytes is fine", with(alpn("\x00\xff", "h2")), ""},
		{"a protocol twice is fine", with(alpn("h2", "h2")), ""},

		{"no versions", with(ext{extSupportedVersions, []byte{0}}), "malformed supported_versions extension"},
		{"half a version", with(ext{extSupportedVersions, vec8([]byte{3})}), "malformed supported_versions extension"},
		{"no groups", with(ext{extSupportedGroups, vec16(nil)}), "malformed supported_groups extension"},
		{"half a group", with(ext{extSupportedGroups, vec16([]byte{0, 29, 0})}), "malformed supported_groups extension"},
		{"no signature algorithms", with(ext{extSignatureAlgorithms, vec16(nil)}), "malformed signature_algorithms extension"},
		{"no signature algorithms for certificates", with(ext{extSignatureAlgorithmsCert, vec16(nil)}),
			"malformed signature_algorithms extension"},
		{"no key shares are fine", with(ext{extKeyShare, vec16(nil)}), ""},
		{"an empty key", with(ext{extKeyShare, vec16(extBlock(ext{29, nil}))}), "malformed key_share extension"},
		{"half a group in the key shares", with(ext{extKeyShare, vec16([]byte{0})}), "malformed key_share extension"},
		{"a byte after the key shares", with(ext{extKeyShare, []byte{0, 0, 0}}), "malformed key_share extension"},

		{"pre_shared_key last", with(sni("a.example.com"), psk()), ""},
		{"pre_shared_key before another extension", with(psk(), sni("a.example.com")), "pre_shared_key is not the last extension"},
		{"no identities", with(ext{extPreSharedKey, slices.Concat(vec16(nil), binder)}), "malformed pre_shared_key extension"},
		{"an empty identity", with(ext{extPreSharedKey, slices.Concat(vec16([]byte{0, 0, 0, 0, 0, 1}), binder)}),
			"malformed pre_shared_key extension"},
		{"an identity without age", with(ext{extPreSharedKey, slices.Concat(vec16(vec16([]byte("t"))), binder)}),
			"malformed pre_shared_key extension"},
		{"no binders", with(ext{extPreSharedKey, slices.Concat(vec16(identity), vec16(nil))}), "malformed pre_shared_key extension"},
		{"an empty binder", with(ext{extPreSharedKey, slices.Concat(vec16(identity), vec16([]byte{0}))}),
			"malformed pre_shared_key extension"},
		{"a byte after the binders", with(ext{extPreSharedKey, slices.Concat(vec16(identity), binder, []byte{0})}),
			"malformed pre_shared_key extension"},
		{"early_data with a body", with(ext{extEarlyData, []byte{0}}), "malformed extension"},

		{"extended_master_secret with a body", with(ext{extExtendedMasterSecret, []byte{0}}), "malformed extension"},
		{"signed_certificate_timestamp with a body", with(ext{extSCT, []byte{0}}), "malformed extension"},
		{"an empty status_request", with(ext{extStatusRequest, nil}), "malformed extension"},
		{"a status_request cut short", with(ext{extStatusRequest, []byte{1, 0, 0, 0}}), "malformed extension"},
		{"no point formats", with(ext{extPointFormats, []byte{0}}), "malformed extension"},
		{"no PSK modes are fine", with(ext{extPSKModes, []byte{0}}), ""},
		{"an empty cookie", with(ext{extCookie, vec16(nil)}), "malformed extension"},
		{"a byte after renegotiation_info", with(ext{extRenegotiationInfo, []byte{0, 0}}), "malformed extension"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire := wireOf(tt.spec)
			_, err := ParseClientHello(wire)
			got := ""
			if err != nil {
				got = cause(err)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q\n%x", got, tt.want, wire)
			}
			if _, wrong := disagreement(wire); wrong != "" {
				t.Errorf("an unlisted difference to crypto/tls: %s", wrong)
			}
		})
	}
}

// TestCutShort cuts a message at every byte, with a length in its header that says that
// this is all. None of it is a hello, but for the place where extensions may be left out.
func TestCutShort(t *testing.T) {
	full := plainSpec(sni("a.example.com"), alpn("h2"), psk())
	msg := full.message()
	full.noExts = true
	bare := len(full.message())
	for n := messageHeaderSize; n < len(msg); n++ {
		_, err := ParseClientHello(records(relength(bytes.Clone(msg[:n])), maxRecordSize))
		_, syntax := errors.AsType[*SyntaxError](err)
		if n == bare && err != nil || n != bare && !syntax {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := ParseClientHello(records(relength(append(msg, 0)), maxRecordSize)); cause(err) != "bytes after the extensions" {
		t.Errorf("a byte after the extensions: %v", err)
	}
}

// The order of extensions says nothing about the name.
func TestShuffledExtensionsAnswerTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range clients() {
		h := mustParse(t, c.wire)
		s := specOf(h)
		for range 10 {
			last := len(s.exts)
			if h.PSK {
				last-- // pre_shared_key stays where it is
			}
			r.Shuffle(last, func(i, j int) { s.exts[i], s.exts[j] = s.exts[j], s.exts[i] })
			got := mustParse(t, wireOf(s))
			if !bytes.Equal(got.ServerName, h.ServerName) || !bytes.Equal(got.ALPN, h.ALPN) || got.JA4() != h.JA4() {
				t.Fatalf("%s: %q %q %s, want %q %q %s", c.name, got.ServerName, got.ALPN, got.JA4(), h.ServerName, h.ALPN, h.JA4())
			}
		}
	}
}

// Duplicates are found in linear time: twice the extensions, twice the steps. What is
// counted is the comparisons with types kept one by one, at most 16 for each extension.
func TestDuplicateSearchIsBounded(t *testing.T) {
	var s typeSet
	var exts []ext
	for i := range 16_000 {
		exts = append(exts, ext{uint16(100 + i), nil})
	}
	block := extBlock(exts...)
	for _, e := range exts {
		if !s.add(e.typ, block) {
			t.Fatalf("type %d counts as sent twice", e.typ)
		}
	}
	if !s.swept || s.n > len(s.high) {
		t.Errorf("kept %d types one by one", s.n)
	}
}

func TestSyntaxErrorIsForPeople(t *testing.T) {
	_, err := ParseClientHello(wireOf(plainSpec(sni("\x1b[31m"))))
	const want = "peek: malformed: server name holds a byte that no host name has at byte 86"
	if got := fmt.Sprint(err); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
