package peek

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// stricter is every class of stream that crypto/tls takes and this package refuses, by
// what we say of it. docs/peek.md has the reasons. A class that the test below does not
// meet has no business here.
var stricter = map[string]string{
	ErrNotTLS.Error():                                "alert records before the hello; a record version of 0x00xx to 0x0fxx",
	ErrTooBig.Error():                                "a body of 65 533 to 65 536 bytes; more record headers than 64 over a hello of 64 KiB",
	"a record that is no handshake record":           "alert records inside the hello",
	"unknown record version":                         "a major version other than 3 in a later record",
	"bytes after the hello in its last record":       "a second handshake message before the server has answered",
	"session id longer than 32 bytes":                "RFC 8446 §4.1.2",
	"no cipher suites":                               "RFC 8446 §4.1.2",
	"no compression methods":                         "RFC 8446 §4.1.2",
	"server_name entry is no host_name":              "an entry of another type is skipped by crypto/tls",
	"more than one server_name":                      "the same, after the host_name",
	"server name longer than 255 bytes":              "no host has it",
	"label of the server name longer than 63 bytes":  "RFC 1035 §2.3.4",
	"server name holds a byte that no host name has": "NUL, space, control bytes, UTF-8, colons …",
	"empty label in the server name":                 "a..b, .a, and a lone dot",
	"malformed encrypted_client_hello extension":     "empty, without payload, or with bytes left over",
}

// trailingDot is the one class that we take and crypto/tls refuses. Routes ignore that
// dot, so the name means what it says (GHSA-hrhx-6h34-j5hc).
const trailingDot = "a server name with a trailing dot"

// disagreement says how we differ from crypto/tls on wire without having listed it, and
// the class of difference if it is a listed one.
func disagreement(wire []byte) (class, wrong string) {
	theirs, mine := oracle(wire), ours(wire)
	switch {
	case theirs.accepted && mine.accepted:
		if theirs.name != mine.name || !slices.Equal(theirs.protocols, mine.protocols) {
			return "", "both accept, and read something else"
		}
	case theirs.accepted:
		if _, listed := stricter[mine.cause]; !listed {
			return "", "refused as " + mine.cause
		}
		return mine.cause, ""
	case mine.accepted:
		if !strings.HasSuffix(mine.name, ".") {
			return "", "accepted; crypto/tls: " + theirs.cause
		}
		return trailingDot, ""
	}
	return "", ""
}

// R31, R32: TestDifferential compares name and ALPN with crypto/tls on generated hellos,
// most of them broken in one place. None loses its name on the way: what we accept without
// a name, crypto/tls accepts without one. SWITCHYARD_DIFFERENTIAL_CASES asks for more of them,
// SWITCHYARD_DIFFERENTIAL_SEED for others.
func TestDifferential(t *testing.T) {
	const enough = 20_000 // to meet every class
	cases := envNumber(t, "SWITCHYARD_DIFFERENTIAL_CASES", enough)
	seed := envNumber(t, "SWITCHYARD_DIFFERENTIAL_SEED", 1)
	g := newGenerator(seed)
	met := map[string]int{}
	var both, neither uint64
	for i := range cases {
		wire := g.wire()
		class, wrong := disagreement(wire)
		if wrong != "" {
			t.Fatalf("seed %d, case %d: %s\n%x", seed, i, wrong, wire)
		}
		switch {
		case class != "":
			met[class]++
		case ours(wire).accepted:
			both++
		default:
			neither++
		}
	}
	t.Logf("seed %d: %d cases, %d accepted by both, %d by neither, listed differences: %v", seed, cases, both, neither, met)
	if both < cases/10 || neither < cases/10 {
		t.Errorf("the generator is lopsided: %d accepted by both, %d by neither, of %d", both, neither, cases)
	}
	for _, class := range append(slices.Collect(maps.Keys(stricter)), trailingDot) {
		if cases >= enough && met[class] == 0 {
			t.Errorf("listed difference %q was never met", class)
		}
	}
}

func envNumber(t *testing.T, key string, otherwise uint64) uint64 {
	text := os.Getenv(key)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return n
}

// generator makes streams: a real hello, changed in its structure, its bytes or its
// records.
type generator struct {
	*rand.Rand
	seeds []spec
}

func newGenerator(seed uint64) *generator {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, seed))}
	for _, c := range clients() {
		if h, err := ParseClientHello(c.wire); err == nil {
			g.seeds = append(g.seeds, specOf(&h))
		}
	}
	g.seeds = append(g.seeds, plainSpec(), plainSpec(sni("a.example.com"), alpn("h2", "http/1.1"), psk()))
	return g
}

func (g *generator) wire() []byte {
	s := g.seeds[g.IntN(len(g.seeds))].clone()
	for range g.IntN(3) {
		specChanges[g.IntN(len(specChanges))](g, &s)
	}
	msg := s.message()
	if g.IntN(5) == 0 {
		msg = messageChanges[g.IntN(len(messageChanges))](g, msg)
	}
	return framings[g.IntN(len(framings))](g, msg)
}

// bytes returns up to n random bytes.
func (g *generator) bytes(n int) []byte {
	b := make([]byte, g.IntN(n+1))
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

// name returns a server name, likely to be an odd one.
func (g *generator) name() string {
	names := []string{"example.com", "A.Example.COM", "example.com.", "example.com..", ".", "", ".example.com", "a..b",
		"192.0.2.1", "2001:db8::1", "[::1]", "_dmarc.example.com", "-a.example.com", "a-.example.com", "xn--bcher-kva.example",
		"bücher.example", "a\x00b.example.com", "example.com\x00", "*.example.com", "a b", "a/b", "a:443", "localhost"}
	switch g.IntN(6) {
	case 0:
		return string(g.bytes(40))
	case 1:
		return strings.Repeat("a", g.IntN(70)) + "." + strings.Repeat("b", g.IntN(70))
	case 2:
		return strings.Repeat("a23456789.", g.IntN(30)) + "example"
	}
	return names[g.IntN(len(names))]
}

// find returns the extension of that type, or a new one.
func (s *spec) find(typ uint16) *ext {
	i := slices.IndexFunc(s.exts, func(e ext) bool { return e.typ == typ })
	if i < 0 {
		s.exts = slices.Insert(s.exts, 0, ext{typ: typ})
		i = 0
	}
	return &s.exts[i]
}

func (g *generator) extension(s *spec) *ext {
	if len(s.exts) == 0 {
		s.exts = append(s.exts, ext{typ: uint16(g.IntN(60))})
	}
	return &s.exts[g.IntN(len(s.exts))]
}

// specChanges change what is said; the framing around it stays right.
var specChanges = []func(g *generator, s *spec){
	func(g *generator, s *spec) { *s.find(extServerName) = sni(g.name()) },
	func(g *generator, s *spec) { *s.find(extServerName) = sni(g.name()) },
	func(g *generator, s *spec) { *s.find(extServerName) = sni(g.name(), g.name()) },
	func(g *generator, s *spec) { // entries of any type in any order
		var list []byte
		for range g.IntN(4) {
			list = append(list, byte(g.IntN(3)))
			list = append(list, vec16([]byte(g.name()))...)
		}
		s.find(extServerName).body = vec16(list)
	},
	func(g *generator, s *spec) { // ALPN of any protocols, empty ones among them
		var protocols []string
		for range g.IntN(4) {
			protocols = append(protocols, string(g.bytes(8)))
		}
		*s.find(extALPN) = alpn(protocols...)
	},
	func(g *generator, s *spec) { // the same extension twice, next to each other or not
		e := *g.extension(s)
		s.exts = slices.Insert(s.exts, g.IntN(len(s.exts)+1), e)
	},
	func(g *generator, s *spec) { // a second one of the types that matter most, with another content
		e := []ext{sni("other.example.com"), alpn("other")}[g.IntN(2)]
		s.exts = slices.Insert(s.exts, g.IntN(len(s.exts)+1), e)
	},
	func(g *generator, s *spec) {
		g.Shuffle(len(s.exts), func(i, j int) { s.exts[i], s.exts[j] = s.exts[j], s.exts[i] })
	},
	func(g *generator, s *spec) {
		s.exts = slices.DeleteFunc(s.exts, func(ext) bool { return g.IntN(4) == 0 })
	},
	func(g *generator, s *spec) { // many unknown ones: more than the parser keeps one by one
		for range g.IntN(40) {
			s.exts = append(s.exts, ext{uint16(0x4000 + g.IntN(2000)), g.bytes(3)})
		}
	},
	func(g *generator, s *spec) { s.exts = append(s.exts, ext{uint16(g.IntN(64)), g.bytes(20)}) },
	func(g *generator, s *spec) { s.exts = append(s.exts, psk()) },
	func(g *generator, s *spec) { s.exts = slices.Insert(s.exts, g.IntN(len(s.exts)+1), psk()) },
	func(g *generator, s *spec) { // a body cut short, grown, or flipped
		e := g.extension(s)
		switch g.IntN(3) {
		case 0:
			e.body = e.body[:g.IntN(len(e.body)+1)]
		case 1:
			e.body = append(e.body, g.bytes(3)...)
		case 2:
			if len(e.body) > 0 {
				e.body[g.IntN(min(len(e.body), 8))] = byte(g.Uint32())
			}
		}
	},
	func(g *generator, s *spec) { // the bodies with a grammar of their own, at random
		types := []uint16{extStatusRequest, extSupportedGroups, extPointFormats, extSignatureAlgorithms, extSCT,
			extExtendedMasterSecret, extEarlyData, extSupportedVersions, extCookie, extPSKModes,
			extSignatureAlgorithmsCert, extKeyShare, extRenegotiationInfo, extECH, extQUICTransportParameters}
		body := g.bytes(6)
		switch g.IntN(3) {
		case 0:
			body = vec8(body)
		case 1:
			body = vec16(body)
		}
		s.find(types[g.IntN(len(types))]).body = body
	},
	func(g *generator, s *spec) { // ECH, with its parts of any length
		body := slices.Concat([]byte{byte(g.IntN(3)), 0, 1, 0, 1, 7}, vec16(g.bytes(3)), vec16(g.bytes(2)), g.bytes(1))
		s.find(extECH).body = body
	},
	func(g *generator, s *spec) { s.session = append(s.session, g.bytes(3)...) },
	func(g *generator, s *spec) { s.session = nil },
	func(g *generator, s *spec) { s.suites = s.suites[:g.IntN(min(len(s.suites)+1, 4))] },
	func(g *generator, s *spec) { s.compression = g.bytes(2) },
	func(g *generator, s *spec) { s.version = uint16(g.Uint32()) },
	func(g *generator, s *spec) { s.exts = nil },
	func(g *generator, s *spec) { s.noExts = true },
	// Around 16 KiB, where a second record begins, and around 64 KiB, where it is too long.
	func(g *generator, s *spec) { s.pad(maxRecordSize - 50 + g.IntN(100)) },
	func(g *generator, s *spec) { s.pad(defaultMaxSize + messageHeaderSize - g.IntN(12)) },
}

// pad makes a message of size bytes of it, if that can be.
func (s *spec) pad(size int) {
	s.noExts = false
	s.exts = slices.DeleteFunc(s.exts, func(e ext) bool { return e.typ == 21 })
	n := size - len(s.message()) - 4
	if n >= 0 && len(extBlock(s.exts...))+4+n < 1<<16 {
		s.exts = append([]ext{{21, make([]byte, n)}}, s.exts...)
	}
}

// messageChanges change the bytes of the message.
var messageChanges = []func(g *generator, msg []byte) []byte{
	func(g *generator, msg []byte) []byte { msg[g.IntN(len(msg))] ^= 1 << g.IntN(8); return msg },
	func(g *generator, msg []byte) []byte { msg[g.IntN(len(msg))] = byte(g.Uint32()); return msg },
	func(g *generator, msg []byte) []byte { // a length too long or too short by a little
		i := 38 + g.IntN(len(msg)-38)
		msg[i] += byte(1 + 254*g.IntN(2))
		return msg
	},
	func(g *generator, msg []byte) []byte { return msg[:g.IntN(len(msg))] },
	func(g *generator, msg []byte) []byte { return relength(msg[:4+g.IntN(len(msg)-4)]) },
	func(g *generator, msg []byte) []byte { return relength(append(msg, g.bytes(4)...)) },
	func(g *generator, msg []byte) []byte { // bytes gone from the middle
		from := 4 + g.IntN(len(msg)-4)
		return relength(slices.Delete(msg, from, min(from+1+g.IntN(4), len(msg))))
	},
	func(g *generator, msg []byte) []byte { return append(msg, g.bytes(8)...) },
	func(g *generator, msg []byte) []byte { return append(msg, handshake(20, g.bytes(8))...) },
}

// relength makes the length in the header right again.
func relength(msg []byte) []byte {
	binary.BigEndian.PutUint32(msg, uint32(len(msg)-4)|uint32(msg[0])<<24)
	return msg
}

// framings put the message into records.
var framings = []func(g *generator, msg []byte) []byte{
	func(g *generator, msg []byte) []byte { return records(msg, maxRecordSize) },
	func(g *generator, msg []byte) []byte { return records(msg, maxRecordSize) },
	func(g *generator, msg []byte) []byte { return records(msg, maxRecordSize) },
	func(g *generator, msg []byte) []byte { return records(msg, 1+g.IntN(200)) },
	func(g *generator, msg []byte) []byte { return recordsAt(msg, g.IntN(min(len(msg), 8)+1)) },
	func(g *generator, msg []byte) []byte { // what follows the hello is not looked at
		return append(records(msg, maxRecordSize), g.bytes(20)...)
	},
	func(g *generator, msg []byte) []byte { // another record somewhere: an alert, a ChangeCipherSpec, nothing
		cut := g.IntN(len(msg) + 1)
		others := [][]byte{record(recordAlert, []byte{1, 90}), record(recordAlert, []byte{2, 90}), record(20, []byte{1}),
			record(23, []byte("x")), record(recordHandshake, nil)}
		return slices.Concat(records(msg[:cut], maxRecordSize), others[g.IntN(len(others))], records(msg[cut:], maxRecordSize))
	},
	func(g *generator, msg []byte) []byte { // a version that is none, first or later
		b := recordsAt(msg, len(msg)/2)
		at := []int{0, recordHeaderSize + len(msg)/2}[g.IntN(2)]
		b[at+1], b[at+2] = byte(g.IntN(20)), byte(g.Uint32())
		return b
	},
	func(g *generator, msg []byte) []byte { // a record header with any byte changed
		b := recordsAt(msg, len(msg)/2)
		at := []int{0, recordHeaderSize + len(msg)/2}[g.IntN(2)]
		b[at+g.IntN(recordHeaderSize)] = byte(g.Uint32())
		return b
	},
	func(g *generator, msg []byte) []byte { b := records(msg, maxRecordSize); return b[:g.IntN(len(b)+1)] },
}
