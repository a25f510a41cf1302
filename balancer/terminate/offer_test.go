package terminate

import (
	"crypto/tls"
	"slices"
	"strings"
	"testing"
)

// What a client has offered is listed by name, in its order.
func TestWhatAClientOffersIsListed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		text offer
		h    tls.ClientHelloInfo
		want string
	}{
		{"suites by name, others in hex", ciphersOffered, tls.ClientHelloInfo{CipherSuites: []uint16{0xc013, 0xabcd}}, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, 0xabcd"},
		{"GREASE is left out", groupsOffered, tls.ClientHelloInfo{SupportedCurves: []tls.CurveID{0x2a2a, 29}}, "x25519"},
		{"signature algorithms", signaturesOffered, tls.ClientHelloInfo{SignatureSchemes: []tls.SignatureScheme{0x0804}}, "rsa_pss_rsae_sha256"},
		{"nothing", groupsOffered, tls.ClientHelloInfo{}, "none"},
		{"a list of versions", versionsOffered, tls.ClientHelloInfo{Extensions: []uint16{43}, SupportedVersions: []uint16{0x7f1c, 0x0302, 0x0301}}, "0x7f1c, TLS 1.1, TLS 1.0"},
		{"the highest version alone", versionsOffered, tls.ClientHelloInfo{SupportedVersions: []uint16{0x0303, 0x0302, 0x0301}}, "TLS 1.2 and older"},
		{"the oldest version", versionsOffered, tls.ClientHelloInfo{SupportedVersions: []uint16{0x0301}}, "TLS 1.0"},
		{"a version that crypto/tls does not know", versionsOffered, tls.ClientHelloInfo{}, "SSL 3.0 or older"},
		{"protocols", protocolsOffered, tls.ClientHelloInfo{SupportedProtos: []string{"spdy/3.1", "http/0.9"}}, "spdy/3.1, http/0.9"},
		{"protocols that are no words", protocolsOffered, tls.ClientHelloInfo{SupportedProtos: []string{"h2, h3", "\n", "\xff"}}, "0x68322c206833, 0x0a, 0xff"},
		{"a long protocol", protocolsOffered, tls.ClientHelloInfo{SupportedProtos: []string{strings.Repeat("a", 33)}}, "0x" + strings.Repeat("61", 16) + "..."},
		{"the first sixteen", ciphersOffered, tls.ClientHelloInfo{CipherSuites: slices.Repeat([]uint16{0x1301}, 19)},
			strings.Repeat("TLS_AES_128_GCM_SHA256, ", 15) + "TLS_AES_128_GCM_SHA256 and 3 more"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.text(&c.h); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Whatever a stranger sends, what is said of it is printable ASCII of bounded length.
func FuzzOffer(f *testing.F) {
	f.Add([]byte{0x13, 0x01, 0xfa, 0xfa, 0, 0})
	f.Add([]byte("a\nlevel=ERROR\x1b[2J\u202e"))
	f.Add([]byte(strings.Repeat("\xcc\xa9", 500)))
	f.Fuzz(func(t *testing.T, data []byte) {
		h := &tls.ClientHelloInfo{Extensions: []uint16{extSupportedVersions}}
		for pair := range slices.Chunk(data, 2) {
			code := uint16(pair[0])<<8 | uint16(pair[len(pair)-1])
			h.CipherSuites = append(h.CipherSuites, code)
			h.SupportedVersions = append(h.SupportedVersions, code)
			h.SupportedCurves = append(h.SupportedCurves, tls.CurveID(code))
			h.SignatureSchemes = append(h.SignatureSchemes, tls.SignatureScheme(code))
		}
		for part := range slices.Chunk(data, 1+len(data)%255) {
			h.SupportedProtos = append(h.SupportedProtos, string(part))
		}
		for i, text := range []offer{ciphersOffered, groupsOffered, signaturesOffered, versionsOffered, protocolsOffered} {
			got := text(h)
			if len(got) > 1<<10 {
				t.Errorf("%d: %d bytes", i, len(got))
			}
			for _, b := range []byte(got) {
				if b < ' ' || b > '~' {
					t.Errorf("%d: %q", i, got)
				}
			}
		}
	})
}
