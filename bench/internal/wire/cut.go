package wire

import (
	"encoding/binary"
	"time"
)

// Cut says how a hello is divided on its way. The zero value sends it as it is.
//
//	one record, one write     16 03 01 06 c5 │ 01 00 06 c1 03 03 …
//	Record 3                  16 03 01 00 03 │ 01 00 06 ║ 16 03 01 00 03 │ c1 03 03 ║ …
//	Segment 4, with a Gap     16 03 01 06 …pause… c5 01 00 06 …pause… c1 03 03 …
type Cut struct {
	// Record is the most bytes of the handshake message in one TLS record. 0 leaves the records as they are.
	Record int
	// Segment is the most bytes that one write sends. 0 sends all at once.
	Segment int
	// Gap is the pause between two writes. Without one, the kernel may put them together again.
	Gap time.Duration
}

// recordHeader is the length of a record's type, version and length (RFC 8446 §5.1).
const recordHeader = 5

// appendRecords appends the hello, complete and in any number of records, to dst in records of at most size bytes.
func appendRecords(dst, hello []byte, size int) []byte {
	open, length := -1, 0 // where the record being filled has its header, and what it holds
	for rest := hello; len(rest) >= recordHeader; {
		n := min(recordHeader+int(binary.BigEndian.Uint16(rest[3:])), len(rest))
		for payload := rest[recordHeader:n]; len(payload) > 0; {
			if open < 0 || length == size {
				open, length = len(dst), 0
				dst = append(dst, hello[0], hello[1], hello[2], 0, 0)
			}
			k := min(size-length, len(payload))
			dst, payload, length = append(dst, payload[:k]...), payload[k:], length+k
			binary.BigEndian.PutUint16(dst[open+3:], uint16(length))
		}
		rest = rest[n:]
	}
	return dst
}

// firstBytes is the first n bytes of the handshake message in a complete hello, fewer where it is shorter. Where they
// are in one record the result aliases hello and nothing is allocated.
func firstBytes(hello []byte, n int) []byte {
	var gathered []byte
	for rest := hello; len(rest) >= recordHeader; {
		end := min(recordHeader+int(binary.BigEndian.Uint16(rest[3:])), len(rest))
		if payload := rest[recordHeader:end]; gathered == nil && len(payload) >= n {
			return payload[:n]
		}
		if gathered = append(gathered, rest[recordHeader:end]...); len(gathered) >= n {
			return gathered[:n]
		}
		rest = rest[end:]
	}
	return gathered
}

// InRecords is the first flight b of a client, with the hello at its start divided into records of at most Record
// bytes and what follows as it was. What does not start with a complete hello is returned as it is.
func (c Cut) InRecords(b []byte) []byte {
	n, err := HelloLen(b)
	if c.Record <= 0 || n == 0 || err != nil {
		return b
	}
	return append(appendRecords(nil, b[:n], c.Record), b[n:]...)
}

// Next is the part of b to write when the first at bytes have been: up to the end of its segment.
func (c Cut) Next(b []byte, at int) []byte {
	if c.Segment <= 0 {
		return b[at:]
	}
	return b[at:min((at/c.Segment+1)*c.Segment, len(b))]
}
