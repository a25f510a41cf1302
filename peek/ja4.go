package peek

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// JA4 returns the client's JA4 fingerprint, such as t13d1516h2_8daaf6152771_e5627efa2ab1:
// what kind of client this is, however it shuffles its extensions and whatever the name.
// (FoxIO, github.com/FoxIO-LLC/ja4, technical_details/JA4.md; the part named JA4, which is
// under the BSD licence.) It allocates; it is for logs and tools, not for every connection.
func (h *Hello) JA4() string {
	suites := withoutGREASE(h.CipherSuites)
	types := make([]uint16, 0, 32)
	for typ := range h.Extensions.All() {
		if !IsGREASE(typ) {
			types = append(types, typ)
		}
	}
	prefix := fmt.Sprintf("%c%s%c%02d%02d%s", h.ja4Transport(types), ja4Version(h), ja4Destination(types),
		min(len(suites), 99), min(len(types), 99), ja4Protocol(h.ALPN))

	slices.Sort(suites)
	types = slices.DeleteFunc(types, func(t uint16) bool { return t == extServerName || t == extALPN })
	slices.Sort(types)
	rest := hexList(types)
	if schemes := withoutGREASE(h.SignatureAlgorithms); len(schemes) > 0 {
		rest += "_" + hexList(schemes) // in the client's order
	}
	return prefix + "_" + ja4Hash(hexList(suites)) + "_" + ja4Hash(rest)
}

// ja4Transport is q for QUIC, t for TCP. QUIC must send its transport parameters in the
// hello, TCP must not (RFC 9001 §8.2), so the message alone tells.
func (h *Hello) ja4Transport(types []uint16) byte {
	if slices.Contains(types, extQUICTransportParameters) {
		return 'q'
	}
	return 't'
}

func ja4Destination(types []uint16) byte {
	if slices.Contains(types, extServerName) {
		return 'd'
	}
	return 'i'
}

func ja4Version(h *Hello) string {
	version := h.Version
	if h.Versions != nil {
		version = h.MaxVersion()
	}
	switch version {
	case VersionTLS13:
		return "13"
	case VersionTLS12:
		return "12"
	case VersionTLS11:
		return "11"
	case VersionTLS10:
		return "10"
	case VersionSSL30:
		return "s3"
	case 0x0002:
		return "s2"
	}
	return "00"
}

// ja4Protocol is the first and the last character of the first protocol, of its hex form
// if one of them is no letter or digit.
func ja4Protocol(list ProtocolList) string {
	for p := range list.All() {
		first, last := p[0], p[len(p)-1]
		if !alphanumeric(first) || !alphanumeric(last) {
			digits := hex.EncodeToString(p)
			first, last = digits[0], digits[len(digits)-1]
		}
		return string([]byte{first, last})
	}
	return "00"
}

func alphanumeric(b byte) bool { return b != '-' && b != '_' && nameByte[b] }

func withoutGREASE(list Codes) []uint16 {
	codes := make([]uint16, 0, list.Len())
	for v := range list.All() {
		if !IsGREASE(v) {
			codes = append(codes, v)
		}
	}
	return codes
}

func hexList(codes []uint16) string {
	var s strings.Builder
	for i, c := range codes {
		if i > 0 {
			s.WriteByte(',')
		}
		fmt.Fprintf(&s, "%04x", c)
	}
	return s.String()
}

// ja4Hash is the first twelve digits of the SHA-256, or zeros for nothing.
func ja4Hash(s string) string {
	if s == "" {
		return "000000000000"
	}
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:6])
}
