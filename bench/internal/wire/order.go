package wire

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// Op is what the backend does after its answer.
type Op byte

// What a backend can be asked for. A hello without an order means OpAnswer.
const (
	OpAnswer Op = iota // nothing: it waits for the client to close
	OpEcho             // every byte goes back
	OpSend             // it sends Size bytes
	OpSink             // it takes Size bytes, then answers once more
)

// Order rides in the random field of a hello.
type Order struct {
	Op   Op
	Size int64 // bytes, for OpSend and OpSink
}

// magic starts the random field of our hellos and answers. A stranger's has it by chance once in 2^64.
var magic = []byte("swy-load")

func (o Order) put(random []byte) {
	copy(random, magic)
	random[8] = byte(o.Op)
	binary.BigEndian.PutUint64(random[16:], uint64(o.Size))
}

// OrderIn is the order in a complete hello, in any number of records; the zero one where there is none.
func OrderIn(hello []byte) Order {
	message := firstBytes(hello, randomEnd)
	if len(message) < randomEnd {
		return Order{}
	}
	random := message[randomEnd-32:]
	if !bytes.HasPrefix(random, magic) {
		return Order{}
	}
	return Order{Op: Op(random[8]), Size: int64(binary.BigEndian.Uint64(random[16:]) & (1<<63 - 1))}
}

// AnswerLen is the length of the backend's answer, in bytes.
const AnswerLen = 64

// Answer is what the backend says about a hello.
type Answer struct {
	Pool   uint32 // which of the backend's addresses it arrived at
	Length uint32 // of the hello as it arrived, in bytes
	Sum    uint32 // CRC-32C of the same
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AnswerTo is the answer to a hello that arrived at the address numbered pool.
func AnswerTo(hello []byte, pool int) Answer {
	return Answer{Pool: uint32(pool), Length: uint32(len(hello)), Sum: crc32.Checksum(hello, castagnoli)}
}

// answerHead is everything before the random field: record header, handshake header, version.
var answerHead = []byte{0x16, 3, 3, 0, AnswerLen - 5, 2, 0, 0, AnswerLen - 9, 3, 3}

// Bytes is the answer as a ServerHello (RFC 5246 §7.4.1.3).
func (a Answer) Bytes() [AnswerLen]byte {
	var b [AnswerLen]byte
	copy(b[:], answerHead)
	copy(b[randomAt:], magic)
	binary.BigEndian.PutUint32(b[randomAt+8:], a.Pool)
	binary.BigEndian.PutUint32(b[randomAt+12:], a.Length)
	binary.BigEndian.PutUint32(b[randomAt+16:], a.Sum)
	rest := b[randomAt+32:]
	rest[0] = 17                                    // length of the session id, which fills the record up
	copy(rest[18:], []byte{0xc0, 0x2f, 0 /*null*/}) // TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, no compression
	return b
}

// ReadAnswer is the answer in b; ok is false when b is anything else.
func ReadAnswer(b []byte) (a Answer, ok bool) {
	if len(b) != AnswerLen || !bytes.HasPrefix(b, answerHead) || !bytes.HasPrefix(b[randomAt:], magic) {
		return Answer{}, false
	}
	a.Pool = binary.BigEndian.Uint32(b[randomAt+8:])
	a.Length = binary.BigEndian.Uint32(b[randomAt+12:])
	a.Sum = binary.BigEndian.Uint32(b[randomAt+16:])
	return a, true
}
