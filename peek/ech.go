package peek

// ECH is the kind of Encrypted ClientHello extension in a hello (RFC 9849 §5).
type ECH uint8

// The kinds of ECH. ServerName is then that of the outer hello, in plain sight, and it is
// what a balancer without the keys routes by.
const (
	ECHNone   ECH = iota // no extension
	ECHOuter             // an inner hello is in there, encrypted
	ECHGREASE            // the same, or the noise that browsers send where they know no key: a guess
	ECHInner             // this is itself an inner hello; only whoever opened the outer one sees it
)

// String returns the kind in one word.
func (e ECH) String() string {
	switch e {
	case ECHNone:
		return "none"
	case ECHOuter:
		return "outer"
	case ECHGREASE:
		return "grease-looking"
	case ECHInner:
		return "inner"
	}
	return "unknown"
}

// Values of an ECH extension (RFC 9849 §5, RFC 9180 §7).
const (
	echOuter      = 0
	echInner      = 1
	kdfHKDFSHA256 = 1
	aeadAES128GCM = 1
	aeadChaCha20  = 3
	x25519KeySize = 32
)

// classifyECH reads an ECH extension to its end and says what it looks like.
//
//	type 1 = 0 outer │ KDF 2 │ AEAD 2 │ config id 1 │ length 2, enc │ length 2, payload
//	type 1 = 1 inner │ nothing
//
// GREASE is made to be mistaken for the real thing (RFC 9849 §6.2), and from outside it
// is: only the owner of the key, by config id and by trying, knows for sure. ECHGREASE
// means an X25519 key and a payload of one of the few sizes that browsers make up: 32
// times 4 to 7 and a tag of 16 bytes (BoringSSL, so Chrome), or 239 (Firefox). A real
// inner hello, padded to 32 bytes as it is, can have one of those sizes; one that repeats
// little of the outer hello is longer. So ECHOuter is no noise we know of, and ECHGREASE
// may be either. Good for printing only.
func classifyECH(body cursor) (ECH, bool) {
	typ, ok := body.u8()
	if !ok {
		return ECHNone, false
	}
	if typ == echInner {
		return ECHInner, body.empty()
	}
	kdf, _ := body.u16()
	aead, _ := body.u16()
	_, ok1 := body.u8()
	enc, ok2 := body.vec16()
	payload, ok3 := body.vec16()
	if typ != echOuter || !ok1 || !ok2 || !ok3 || len(payload) == 0 || !body.empty() {
		return ECHNone, false
	}
	usual := kdf == kdfHKDFSHA256 && (aead == aeadAES128GCM || aead == aeadChaCha20) && len(enc) == x25519KeySize
	if usual && greasePayload(len(payload)) {
		return ECHGREASE, true
	}
	return ECHOuter, true
}

func greasePayload(n int) bool {
	switch n {
	case 144, 176, 208, 240, 239:
		return true
	}
	return false
}
