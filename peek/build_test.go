package peek

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// ext is one extension of a spec.
type ext struct {
	typ  uint16
	body []byte
}

// spec is a ClientHello to be written, sound or not: encode does as it is told.
type spec struct {
	version     uint16
	random      []byte
	session     []byte
	suites      []byte
	compression []byte
	exts        []ext
	noExts      bool // no extension block at all
}

// plainSpec is a small sound hello with the extensions given.
func plainSpec(exts ...ext) spec {
	return spec{
		version:     VersionTLS12,
		random:      bytes.Repeat([]byte{0xa5}, 32),
		session:     bytes.Repeat([]byte{0x5a}, 32),
		suites:      codes(0x1301, 0xc02f),
		compression: []byte{0},
		exts:        exts,
	}
}

func (s spec) clone() spec {
	s.random, s.session = slices.Clone(s.random), slices.Clone(s.session)
	s.suites, s.compression = slices.Clone(s.suites), slices.Clone(s.compression)
	s.exts = slices.Clone(s.exts)
	for i := range s.exts {
		s.exts[i].body = slices.Clone(s.exts[i].body)
	}
	return s
}

// message is the handshake message of the spec.
func (s spec) message() []byte {
	body := binary.BigEndian.AppendUint16(nil, s.version)
	body = append(body, s.random...)
	body = append(body, vec8(s.session)...)
	body = append(body, vec16(s.suites)...)
	body = append(body, vec8(s.compression)...)
	if !s.noExts {
		body = append(body, vec16(extBlock(s.exts...))...)
	}
	return handshake(messageClientHello, body)
}

// specOf takes a sound hello apart again.
func specOf(h *Hello) spec {
	s := spec{version: h.Version, random: h.Random, session: h.SessionID, suites: h.CipherSuites,
		compression: h.Compression, noExts: h.Extensions == nil}
	for typ, body := range h.Extensions.All() {
		s.exts = append(s.exts, ext{typ, body})
	}
	return s.clone()
}

func extBlock(exts ...ext) []byte {
	var b []byte
	for _, e := range exts {
		b = binary.BigEndian.AppendUint16(b, e.typ)
		b = append(b, vec16(e.body)...)
	}
	return b
}

func handshake(typ byte, body []byte) []byte {
	n := len(body)
	return append([]byte{typ, byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

func vec8(b []byte) []byte { return append([]byte{byte(len(b))}, b...) }

func vec16(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

func codes(vs ...uint16) []byte {
	var b []byte
	for _, v := range vs {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return b
}

func sni(names ...string) ext {
	var list []byte
	for _, n := range names {
		list = append(list, 0)
		list = append(list, vec16([]byte(n))...)
	}
	return ext{extServerName, vec16(list)}
}

func alpn(protocols ...string) ext {
	var list []byte
	for _, p := range protocols {
		list = append(list, vec8([]byte(p))...)
	}
	return ext{extALPN, vec16(list)}
}

func psk() ext {
	identity := append(vec16([]byte("ticket")), 0, 0, 0, 1)
	return ext{extPreSharedKey, append(vec16(identity), vec16(vec8(make([]byte, 32)))...)}
}

// record is one record with the payload given, however long.
func record(typ byte, payload []byte) []byte {
	return append([]byte{typ, 3, 1, byte(len(payload) >> 8), byte(len(payload))}, payload...)
}

// records cuts msg into handshake records of at most n bytes.
func records(msg []byte, n int) []byte {
	var b []byte
	for part := range slices.Chunk(msg, n) {
		b = append(b, record(recordHandshake, part)...)
	}
	return b
}

// recordsAt cuts msg into records at the offsets given, in order.
func recordsAt(msg []byte, cuts ...int) []byte {
	var b []byte
	from := 0
	for _, cut := range append(cuts, len(msg)) {
		b = append(b, record(recordHandshake, msg[from:cut])...)
		from = cut
	}
	return b
}
