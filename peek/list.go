package peek

import "iter"

// Codes is a list of 16-bit code points as sent: versions, cipher suites, groups or
// signature schemes, in the client's order and with its GREASE values (RFC 8701). It
// aliases the hello. Nil means that the extension was not there.
type Codes []byte

// Len returns how many code points there are.
func (l Codes) Len() int { return len(l) / 2 }

// All yields the code points in the client's order.
func (l Codes) All() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		c := cursor(l)
		for v, ok := c.u16(); ok; v, ok = c.u16() {
			if !yield(uint16(v)) {
				return
			}
		}
	}
}

// Contains reports whether code is in the list.
func (l Codes) Contains(code uint16) bool {
	for v := range l.All() {
		if v == code {
			return true
		}
	}
	return false
}

// ProtocolList is the body of an ALPN extension (RFC 7301 §3.1): names of one byte or
// more, each with its length before it. It aliases the hello. Nil means that the
// extension was not there.
type ProtocolList []byte

// All yields the protocols in the client's order; each aliases the list.
func (l ProtocolList) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		c := cursor(l)
		for v, ok := c.vec8(); ok; v, ok = c.vec8() {
			if !yield(v) {
				return
			}
		}
	}
}

// Contains reports whether proto is in the list. Protocols are compared byte for byte, as
// RFC 7301 wants it.
func (l ProtocolList) Contains(proto string) bool {
	for v := range l.All() {
		if string(v) == proto {
			return true
		}
	}
	return false
}

// KeyShareList is the body of a key_share extension (RFC 8446 §4.2.8). It aliases the
// hello. Nil means that the extension was not there; a client may also send an empty one.
type KeyShareList []byte

// All yields the group and the key of each share, in the client's order; keys alias the
// list.
func (l KeyShareList) All() iter.Seq2[uint16, []byte] { return pairs(cursor(l)) }

// ExtensionList is the extension block of a hello, framing included (RFC 8446 §4.2). It
// aliases the hello. Nil means that the hello ends before it, as those of TLS 1.0 may.
type ExtensionList []byte

// All yields the type and the body of each extension, in the client's order; bodies alias
// the list.
func (l ExtensionList) All() iter.Seq2[uint16, []byte] { return pairs(cursor(l)) }

// pairs walks entries of a 16-bit code and a vector with a 16-bit length.
func pairs(c cursor) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for {
			code, ok := c.u16()
			if !ok {
				return
			}
			body, ok := c.vec16()
			if !ok || !yield(uint16(code), body) {
				return
			}
		}
	}
}
