package peek

import (
	"crypto/tls"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	tests := []struct{ name, got, want string }{
		{"a version", VersionName(VersionTLS13), "TLS 1.3"},
		{"a version unheard of", VersionName(0x7f1c), "0x7f1c"},
		{"a group", GroupName(0x11ec), "X25519MLKEM768"},
		{"GREASE among the groups", GroupName(0xdada), "GREASE"},
		{"a cipher suite", CipherSuiteName(0x1301), "TLS_AES_128_GCM_SHA256"},
		{"a signature scheme", SignatureSchemeName(0x0403), "ecdsa_secp256r1_sha256"},
		{"an extension", ExtensionName(0), "server_name"},
		{"an alert", AlertName(AlertUnrecognizedName), "unrecognized_name"},
		{"an alert unheard of", AlertName(200), "alert 200"},
		{"ECH", ECHGREASE.String(), "grease-looking"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.got != tt.want {
				t.Errorf("got %q, want %q", tt.got, tt.want)
			}
		})
	}
}

// The cipher suites that crypto/tls knows have the names it gives them.
func TestCipherSuiteNamesAreThoseOfCryptoTLS(t *testing.T) {
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if got := CipherSuiteName(suite.ID); got != suite.Name {
			t.Errorf("0x%04x: got %s, want %s", suite.ID, got, suite.Name)
		}
	}
	for version := range versionNames {
		if got, want := VersionName(version), tls.VersionName(version); !strings.HasPrefix(want, "SSL") && got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestIsGREASE(t *testing.T) {
	n := 0
	for code := range 1 << 16 {
		if IsGREASE(uint16(code)) {
			n++
			if code>>8 != code&0xff || code&0xf != 0xa {
				t.Errorf("0x%04x", code)
			}
		}
	}
	if n != 16 {
		t.Errorf("%d values, want 16", n)
	}
}
