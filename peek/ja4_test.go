package peek

import (
	"encoding/hex"
	"strings"
	"testing"

	utls "github.com/refraction-networking/utls"
)

// hexCodes reads the list form of JA4's documents: "1301,1302".
func hexCodes(t *testing.T, list string) []uint16 {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(list, ",", ""))
	if err != nil {
		t.Fatal(err)
	}
	var all []uint16
	for v := range Codes(b).All() {
		all = append(all, v)
	}
	return all
}

// ja4Spec is a hello of the raw form: cipher suites, extension types, signature algorithms,
// with GREASE put in wherever a client may.
func ja4Spec(t *testing.T, suites, types, schemes string, protocols ...string) spec {
	s := plainSpec(ext{0x7a7a, nil})
	s.suites = codes(append([]uint16{0x3a3a}, hexCodes(t, suites)...)...)
	for _, typ := range hexCodes(t, types) {
		body := []byte{}
		switch typ {
		case extServerName:
			body = sni("a.example.com").body
		case extALPN:
			body = alpn(protocols...).body
		case extStatusRequest:
			body = []byte{1, 0, 0, 0, 0}
		case extSupportedGroups:
			body = vec16(codes(29))
		case extPointFormats:
			body = vec8([]byte{0})
		case extSignatureAlgorithms:
			body = vec16(codes(append([]uint16{0xbaba}, hexCodes(t, schemes)...)...))
		case extSupportedVersions:
			body = vec8(codes(0x9a9a, VersionTLS13, VersionTLS12))
		case extPSKModes, extRenegotiationInfo:
			body = []byte{0}
		case extKeyShare:
			body = vec16(nil)
		case extECH:
			body = append([]byte{0, 0, 1, 0, 1, 7}, append(vec16(make([]byte, 32)), vec16(make([]byte, 144))...)...)
		}
		s.exts = append(s.exts, ext{typ, body})
	}
	return s
}

const (
	chromeSuites  = "1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035"
	chromeSchemes = "0403,0804,0401,0503,0805,0501,0806,0601"
)

// TestJA4Published: fingerprints that others computed of the same lists.
func TestJA4Published(t *testing.T) {
	tests := []struct {
		name, suites, types, schemes string
		want                         string
	}{
		{"the example of FoxIO-LLC/ja4 technical_details/JA4.md", chromeSuites,
			"001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015", chromeSchemes,
			"t13d1516h2_8daaf6152771_e5627efa2ab1"},
		{"FoxIO-LLC/ja4 pcap/sigalg-grease.pcapng", chromeSuites,
			"fe0d,0010,0017,0033,44cd,ff01,000a,000d,0023,002b,000b,ca34,002d,0000,0005,001b,0012", "0904,0905,0906," + chromeSchemes,
			"t13d1517h2_8daaf6152771_cb7bf5808d99"},
		{"Chrome 143 on Android, as a public test site saw it", chromeSuites,
			"002d,0033,0010,fe0d,0017,44cd,0000,000b,000a,002b,ff01,0023,0012,0005,000d,001b", chromeSchemes,
			"t13d1516h2_8daaf6152771_d8a2da3f94cd"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := ja4Spec(t, tt.suites, tt.types, tt.schemes, "h2", "http/1.1")
			if got := mustParse(t, wireOf(s)).JA4(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestJA4OfBrowsers: imitations of browsers have the browsers' published fingerprints.
func TestJA4OfBrowsers(t *testing.T) {
	tests := []struct {
		id   utls.ClientHelloID
		want string
	}{
		{utls.HelloChrome_102, "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		{utls.HelloChrome_131, "t13d1516h2_8daaf6152771_02713d6af862"},
		{utls.HelloChrome_133, "t13d1516h2_8daaf6152771_d8a2da3f94cd"},
		{utls.HelloFirefox_120, "t13d1715h2_5b57614c22b0_5c2c66f702b0"},
		{utls.HelloSafari_16_0, "t13d2014h2_a09f3c656075_14788d8d241b"},
	}
	for _, tt := range tests {
		t.Run(tt.id.Str(), func(t *testing.T) {
			if got := mustParse(t, browser(tt.id)).JA4(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestJA4Corners: the rules that an ordinary client does not reach.
func TestJA4Corners(t *testing.T) {
	const zeros = "000000000000"
	full := ja4Spec(t, chromeSuites, "0000,0010,002b,000d", chromeSchemes, "h2")
	change := func(f func(*spec)) spec { s := full.clone(); f(&s); return s }
	tests := []struct {
		name string
		spec spec
		part int // between the underscores
		want string
	}{
		{"an ordinary hello", full, 0, "t13d1504h2"},
		{"no name", change(func(s *spec) { s.exts = s.exts[2:] }), 0, "t13i1503h2"},
		{"no ALPN", change(func(s *spec) { s.exts[2].typ = 0x9999 }), 0, "t13d150400"},
		{"a protocol of one character", change(func(s *spec) { s.exts[2] = alpn("x") }), 0, "t13d1504xx"},
		{"a protocol that is no text", change(func(s *spec) { s.exts[2] = alpn("\xab\xcd") }), 0, "t13d1504ad"},
		{"a protocol that starts as text", change(func(s *spec) { s.exts[2] = alpn("\x30\x31\xab\xcd") }), 0, "t13d15043d"},
		{"a protocol that ends in a dash", change(func(s *spec) { s.exts[2] = alpn("h2-") }), 0, "t13d15046d"},
		{"supported_versions says it, not legacy_version", change(func(s *spec) { s.version = VersionSSL30 }), 0, "t13d1504h2"},
		{"legacy_version without it", change(func(s *spec) { s.exts[3].typ = 0x9999; s.version = VersionSSL30 }), 0, "ts3d1504h2"},
		{"a version unheard of", change(func(s *spec) { s.exts[3].typ = 0x9999; s.version = 0x0999 }), 0, "t00d1504h2"},
		{"over a hundred cipher suites", change(func(s *spec) { s.suites = make([]byte, 300) }), 0, "t13d9904h2"},
		{"QUIC", change(func(s *spec) { s.exts = append(s.exts, ext{extQUICTransportParameters, nil}) }), 0, "q13d1505h2"},
		{"nothing but GREASE to hash", change(func(s *spec) { s.suites = codes(0x1a1a) }), 1, zeros},
		{"no extensions", change(func(s *spec) { s.exts = nil }), 2, zeros},
		{"none but name and ALPN", change(func(s *spec) { s.exts = s.exts[1:3] }), 2, zeros},
		{"no signature algorithms, no underscore", ja4Spec(t, chromeSuites,
			"0005,000a,000b,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01", ""), 2,
			ja4Hash("0005,000a,000b,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ja4 := mustParse(t, wireOf(tt.spec)).JA4()
			if got := strings.Split(ja4, "_")[tt.part]; got != tt.want {
				t.Errorf("got %s of %s, want %s", got, ja4, tt.want)
			}
		})
	}
	// The document's own value for a hash without signature algorithms.
	if got := ja4Hash("0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01"); got != "6d807ffa2a79" {
		t.Errorf("got %s, want 6d807ffa2a79", got)
	}
}
