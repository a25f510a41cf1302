package peek

// Hello is a parsed ClientHello (RFC 8446 §4.1.2). Every slice aliases the bytes that were
// parsed (or the parser's one copy of them, see [Parser.Parse]) and is valid as long as
// they are; to keep a field, copy it. Values are as sent, GREASE included, and in the
// client's order. The zero Hello is an empty one, ready to be parsed into.
type Hello struct {
	// Raw is the whole handshake message, its four-byte header included and without
	// record headers.
	Raw []byte

	// ServerName is the host_name as sent, not lower-cased and with its trailing dot if
	// it had one (RFC 6066 §3). It is not empty, has at most 255 bytes and no others than
	// letters, digits, '-', '_' and '.'. Nil means that the client sent no server_name
	// extension, and nothing else.
	ServerName []byte
	// ALPN is what the client offers to speak inside (RFC 7301).
	ALPN ProtocolList

	// Version is legacy_version: the highest that a client before TLS 1.3 offers.
	Version uint16
	// Random has 32 bytes.
	Random []byte
	// SessionID has at most 32 bytes.
	SessionID []byte
	// CipherSuites is never empty.
	CipherSuites Codes
	// Compression is one byte for each method; all but 0 are history. Never empty.
	Compression []byte
	// Extensions is all extensions, those this package does not look into as well.
	Extensions ExtensionList

	// Versions is the supported_versions extension (RFC 8446 §4.2.1).
	Versions Codes
	// Groups is the supported_groups extension (RFC 8446 §4.2.7).
	Groups Codes
	// KeyShares is the key_share extension.
	KeyShares KeyShareList
	// SignatureAlgorithms is the signature_algorithms extension (RFC 8446 §4.2.3).
	SignatureAlgorithms Codes

	// SessionTicket is the session_ticket extension (RFC 5077 §3.2). Nil means that there
	// was none; a client that takes tickets and has none for this server sends an empty one.
	SessionTicket []byte
	// PSK says that the client offers to resume, or has a key in common with the server
	// (pre_shared_key, RFC 8446 §4.2.11).
	PSK bool
	// EarlyData says that data follows that must not be sent to two servers, for each
	// would act on it (RFC 8446 §8).
	EarlyData bool
	// ECH tells what kind of Encrypted ClientHello extension there is, if any.
	ECH ECH
}

// MaxVersion returns the highest version offered, GREASE aside: of supported_versions if
// the client sent that, of legacy_version otherwise (at most TLS 1.2 then, RFC 8446
// §4.2.1). It is 0 if supported_versions holds nothing but GREASE.
func (h *Hello) MaxVersion() uint16 {
	if h.Versions == nil {
		return min(h.Version, VersionTLS12)
	}
	var highest uint16
	for v := range h.Versions.All() {
		if !IsGREASE(v) {
			highest = max(highest, v)
		}
	}
	return highest
}

// maxSessionID is the longest session id (RFC 8446 §4.1.2).
const maxSessionID = 32

// decode reads one whole ClientHello message. It clears h unless all of msg is sound.
//
//	 0  msg_type (1)  length (3)             4 bytes, checked by the Parser
//	 4  legacy_version                       2
//	 6  random                               32
//	38  legacy_session_id                    1 + 0..32
//	    cipher_suites                        2 + 2..65534, even
//	    legacy_compression_methods           1 + 1..255
//	    extensions                           2 + 0..65535, or nothing at all
//	      type 2 │ length 2 │ body           each type at most once
func (h *Hello) decode(msg []byte) fault {
	*h = Hello{Raw: msg}
	c := cursor(msg)
	what := h.fixedPart(&c)
	if what == "" && !c.empty() {
		var at int
		if what, at = h.extensions(&c); what != "" {
			*h = Hello{}
			return fault{what, at}
		}
	}
	if what != "" {
		*h = Hello{}
		return fault{what, len(msg) - len(c)}
	}
	return fault{}
}

// fixedPart reads what every hello since SSL 3.0 has. On a mistake c stands at the field,
// or after it if it is all there.
func (h *Hello) fixedPart(c *cursor) (what string) {
	c.take(messageHeaderSize)
	version, ok := c.u16()
	if !ok {
		return "hello ends inside its version"
	}
	h.Version = uint16(version)
	if h.Random, ok = c.take(32); !ok {
		return "hello ends inside its random"
	}
	if h.SessionID, ok = c.vec8(); !ok {
		return "hello ends inside its session id"
	}
	if len(h.SessionID) > maxSessionID {
		return "session id longer than 32 bytes"
	}
	suites, ok := c.vec16()
	switch {
	case !ok:
		return "hello ends inside its cipher suites"
	case len(suites) == 0:
		return "no cipher suites"
	case len(suites)%2 != 0:
		return "half a cipher suite"
	}
	h.CipherSuites = suites
	if h.Compression, ok = c.vec8(); !ok {
		return "hello ends inside its compression methods"
	}
	if len(h.Compression) == 0 {
		return "no compression methods"
	}
	return ""
}

// extensions reads the extension block, which ends the message.
func (h *Hello) extensions(c *cursor) (what string, at int) {
	end := len(h.Raw)
	here := end - len(*c)
	block, ok := c.vec16()
	if !ok {
		return "extensions are cut short", here
	}
	if !c.empty() {
		return "bytes after the extensions", end - len(*c)
	}
	h.Extensions = block
	var seen typeSet
	for rest := cursor(block); !rest.empty(); {
		here = end - len(rest) // the block is the end of the message
		typ, ok := rest.u16()
		if !ok {
			return "extension type is cut short", here
		}
		body, ok := rest.vec16()
		if !ok {
			return "extension is cut short", here
		}
		if !seen.add(uint16(typ), block) {
			return "extension sent twice", here
		}
		if what := h.extension(uint16(typ), body, rest.empty()); what != "" {
			return what, here
		}
	}
	return "", 0
}

// typeSet notices an extension type that comes twice, without allocating and in time
// linear in the extensions, of which 64 KiB hold 16 000. Types below 64, which are most
// of a real hello's, are one bit each; the others, in practice GREASE and a handful of
// private ones, are compared one by one while they are few.
type typeSet struct {
	low   uint64
	high  [16]uint16
	n     int
	swept bool // the whole block was checked at once, there were so many
}

// add reports false for a type that was there before. block is the whole extension block.
func (s *typeSet) add(typ uint16, block []byte) bool {
	if typ < 64 {
		bit := uint64(1) << typ
		fresh := s.low&bit == 0
		s.low |= bit
		return fresh
	}
	if s.swept {
		return true
	}
	for _, t := range s.high[:s.n] {
		if t == typ {
			return false
		}
	}
	if s.n == len(s.high) {
		s.swept = true
		return noneTwice(block)
	}
	s.high[s.n] = typ
	s.n++
	return true
}

// noneTwice checks a whole block with a bit for every type there is. The 8 KiB are stack
// that only a hello with very many extensions pays for. Broken framing ends the walk: it
// is found, as an error of its own, when the extensions are read.
//
//go:noinline
func noneTwice(block []byte) bool {
	var seen [1 << 16 / 64]uint64
	for typ := range ExtensionList(block).All() {
		bit := uint64(1) << (typ % 64)
		if seen[typ/64]&bit != 0 {
			return false
		}
		seen[typ/64] |= bit
	}
	return true
}
