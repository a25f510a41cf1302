package peek

import (
	"slices"
	"testing"

	utls "github.com/refraction-networking/utls"
)

func TestECH(t *testing.T) {
	outer := func(kdf, aead uint16, enc, payload int) []byte {
		return slices.Concat([]byte{0}, codes(kdf, aead), []byte{7}, vec16(make([]byte, enc)), vec16(make([]byte, payload)))
	}
	const refused = "malformed encrypted_client_hello extension"
	tests := []struct {
		name string
		body []byte
		want ECH
		err  string
	}{
		{"a payload of a size that BoringSSL makes up", outer(1, 1, 32, 144), ECHGREASE, ""},
		{"the largest of those", outer(1, 3, 32, 240), ECHGREASE, ""},
		{"a payload of Firefox's size", outer(1, 3, 32, 239), ECHGREASE, ""},
		{"a longer payload", outer(1, 1, 32, 272), ECHOuter, ""},
		{"a P-256 key", outer(1, 1, 65, 144), ECHOuter, ""},
		{"another KDF", outer(2, 1, 32, 144), ECHOuter, ""},
		{"another AEAD", outer(1, 2, 32, 144), ECHOuter, ""},
		{"no key, as after a HelloRetryRequest", outer(1, 1, 0, 144), ECHOuter, ""},
		{"an inner hello", []byte{1}, ECHInner, ""},
		{"an inner hello with a body", []byte{1, 0}, 0, refused},
		{"empty", nil, 0, refused},
		{"another type", []byte{2}, 0, refused},
		{"no payload", outer(1, 1, 32, 0), 0, refused},
		{"a byte left over", append(outer(1, 1, 32, 144), 0), 0, refused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, err := ParseClientHello(wireOf(plainSpec(sni("a.example.com"), ext{extECH, tt.body})))
			if h.ECH != tt.want || (err == nil) != (tt.err == "") || err != nil && cause(err) != tt.err {
				t.Errorf("got %s, %v, want %s, %q", h.ECH, err, tt.want, tt.err)
			}
		})
	}
	whole := outer(1, 1, 32, 144)
	for n := range whole {
		if _, ok := classifyECH(whole[:n]); ok {
			t.Errorf("cut to %d bytes, accepted", n)
		}
	}
}

// The name in sight is the outer one, with ECH and with the noise that looks like it.
func TestECHOfRealClients(t *testing.T) {
	for _, id := range []utls.ClientHelloID{utls.HelloChrome_133, utls.HelloFirefox_120} {
		if h := mustParse(t, browser(id)); h.ECH != ECHGREASE || string(h.ServerName) != corpusName {
			t.Errorf("%s: %s, %q", id.Str(), h.ECH, h.ServerName)
		}
	}
	for _, c := range goClients() {
		if h := mustParse(t, c.wire); (h.ECH != ECHNone) != (c.name == "Go with ECH") || c.sni != string(h.ServerName) {
			t.Errorf("%s: %s, %q", c.name, h.ECH, h.ServerName)
		}
	}
}
