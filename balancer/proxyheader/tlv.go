package proxyheader

import (
	"encoding/binary"
	"hash/crc32"
)

// TLV types (§2.2).
const (
	tlvALPN      = 0x01
	tlvAuthority = 0x02
	tlvCRC32C    = 0x03
	tlvUniqueID  = 0x05
	tlvSSL       = 0x20

	tlvHead = 3 // type and 16-bit length
	crcSize = crc32.Size
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	zeroSum    = make([]byte, crcSize) // never written; on the stack it would escape to the heap
)

// tags are the TLVs that mean something to us; of all others the framing is checked and the content ignored.
type tags struct {
	uniqueID []byte // aliases the header
	checksum []byte // aliases the header
	sumAt    int    // where in the header the checksum is
}

// readTLVs reads the TLVs of head, which is a whole header, from offset at on. The authority and the ALPN a sender
// claims are ignored on purpose: what is routed by is the ClientHello alone.
func readTLVs(head []byte, at int) (t tags, err error) {
	for rest := vector(head[at:]); len(rest) > 0; {
		typ, value, ok := rest.next()
		if !ok {
			return t, errTLV
		}
		switch typ {
		case tlvUniqueID:
			err = once(&t.uniqueID, value)
		case tlvCRC32C:
			err = once(&t.checksum, value)
			t.sumAt = len(head) - len(rest) - len(value)
		}
		if err != nil {
			return t, err
		}
	}
	switch {
	case len(t.uniqueID) > MaxUniqueID:
		return t, errUniqueLen
	case t.checksum != nil && !t.sound(head):
		return t, errChecksum
	}
	return t, nil
}

func once(field *[]byte, value []byte) error {
	if *field != nil {
		return errTLVTwice
	}
	*field = value
	return nil
}

// sound reports whether the checksum is that of head (§2.2.3).
func (t *tags) sound(head []byte) bool {
	return len(t.checksum) == crcSize && binary.BigEndian.Uint32(t.checksum) == crcOf(head, t.sumAt)
}

// crcOf is the CRC32C of head as if the four bytes at offset at were zero.
func crcOf(head []byte, at int) uint32 {
	crc := crc32.Update(0, castagnoli, head[:at])
	crc = crc32.Update(crc, castagnoli, zeroSum)
	return crc32.Update(crc, castagnoli, head[at+crcSize:])
}

// vector is the unread rest of a row of TLVs.
type vector []byte

// next takes one TLV off v. It reports false and takes nothing if v does not hold a whole one.
func (v *vector) next() (typ byte, value []byte, ok bool) {
	b := *v
	if len(b) < tlvHead {
		return 0, nil, false
	}
	end := tlvHead + int(binary.BigEndian.Uint16(b[1:tlvHead]))
	if end > len(b) {
		return 0, nil, false
	}
	*v = b[end:]
	return b[0], b[tlvHead:end:end], true
}
