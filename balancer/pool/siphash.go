package pool

import "math/bits"

// sipKey is a key of SipHash: its first and its second eight bytes, each read as a little-endian number.
type sipKey struct{ k0, k1 uint64 }

// sipHash is SipHash-2-4 of msg (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012). The result is
// the same on every machine.
func sipHash[T string | []byte](key sipKey, msg T) uint64 {
	s := sipState{
		key.k0 ^ 0x736f6d6570736575,
		key.k1 ^ 0x646f72616e646f6d,
		key.k0 ^ 0x6c7967656e657261,
		key.k1 ^ 0x7465646279746573,
	}
	n := len(msg)
	for len(msg) >= 8 {
		s.word(little(msg[:8]))
		msg = msg[8:]
	}
	s.word(little(msg) | uint64(n)<<56)
	s.v2 ^= 0xff
	for range 4 {
		s.round()
	}
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

// little reads up to eight bytes as a little-endian number.
func little[T string | []byte](b T) (m uint64) {
	for i := range len(b) {
		m |= uint64(b[i]) << (8 * i)
	}
	return m
}

// sipState is the four words of the paper.
type sipState struct{ v0, v1, v2, v3 uint64 }

func (s *sipState) word(m uint64) {
	s.v3 ^= m
	s.round()
	s.round()
	s.v0 ^= m
}

func (s *sipState) round() {
	s.v0 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v2 = bits.RotateLeft64(s.v2, 32)
}
