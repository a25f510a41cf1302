package peek

// Numbers of the record layer and the handshake (RFC 8446 §4, §5.1).
const (
	recordAlert      = 21
	recordHandshake  = 22
	recordHeaderSize = 5
	maxRecordSize    = 1 << 14 // plaintext of one record

	messageHeaderSize  = 4 // type and a 24-bit length
	messageClientHello = 1
	messageServerHello = 2

	// minHelloSize is the shortest message that decode accepts: header, version, random,
	// an empty session id, one cipher suite, one compression method.
	minHelloSize = messageHeaderSize + 2 + 32 + 1 + (2 + 2) + (1 + 1)
)

const (
	// defaultMaxSize is also what crypto/tls allows; ordinary hellos have 0.2 to 2.2 KB.
	defaultMaxSize = 1 << 16
	// absoluteMaxSize is all that a 24-bit length can announce.
	absoluteMaxSize = messageHeaderSize + 1<<24 - 1
	// framingAllowance is granted on top of MaxSize for record headers: 64 records. Those
	// past them are charged to MaxSize, which is what bounds the caller's buffer.
	framingAllowance = 64 * recordHeaderSize
)

// Parser finds the ClientHello at the start of a TCP stream (records) or of a QUIC CRYPTO
// stream (no records). The zero value is ready, and small enough to be part of a
// connection's struct; it holds no reference to the input. One goroutine at a time.
//
// The parser never asks for more than MaxSize and 320 bytes of input in all: the 320 are
// the headers of 64 records. A hello cut into more records is read as well, as long as it
// fits into that.
type Parser struct {
	// MaxSize bounds the handshake message in bytes, its four-byte header included. Zero
	// or less means 64 KiB.
	MaxSize int

	err      SyntaxError             // what Parse returns a pointer to
	pos      int32                   // where the record not yet complete begins
	got      int32                   // handshake bytes in the records before pos
	size     int32                   // of the message, 0 while its header is not complete
	missing  int32                   // see Missing
	consumed int32                   // see Consumed
	header   [messageHeaderSize]byte // of the message; it may be spread over four records
}

// Parse looks at b, all the bytes received so far from the start of the stream, records
// and all. What it has seen in an earlier call it does not read again, apart from the one
// pass over the whole hello at the end; b may have moved in memory between calls. The
// result is one of:
//
//   - nil: h is the hello, and Consumed says where its records end. Bytes may follow
//     there (early data, for one). If the hello lay in one record, h aliases b and nothing
//     was allocated; otherwise it is put together in one allocation of its exact size.
//   - [ErrIncomplete]: call again with more; Missing says how much is surely needed.
//   - [ErrNotTLS], from the first byte that rules TLS out.
//   - [ErrTooBig], as soon as the length is announced, before the bytes are there.
//   - a [*SyntaxError] that lives inside p and is overwritten by p's next use.
//
// h is written only with the whole hello, and cleared if that is malformed. After any
// answer but ErrIncomplete the parser is ready for a new stream.
func (p *Parser) Parse(b []byte, h *Hello) error {
	return p.answer(p.records(b, h))
}

// ParseMessage is Parse for a stream of handshake bytes without records, such as that of
// QUIC CRYPTO frames (RFC 9001 §4.1) put in order, or the inner hello of an Encrypted
// ClientHello. b holds all the bytes so far and nothing but the hello. h aliases b.
func (p *Parser) ParseMessage(b []byte, h *Hello) error {
	return p.answer(p.message(b, h))
}

// Missing is how many further bytes are surely needed after [ErrIncomplete], for what is
// announced so far and in the fewest records that can hold it. It is positive then, and 0
// after any other answer. A caller may leave Parse alone until that many have come: a
// hello in the fewest records then takes three calls however slow its client, and what is
// wrong with one is noticed later, but no less surely.
func (p *Parser) Missing() int { return int(p.missing) }

// Consumed is how many bytes of the input the hello's records took. It is 0 unless the
// last answer was nil.
func (p *Parser) Consumed() int { return int(p.consumed) }

// ParseClientHello reads the hello at the start of b, which is all there will be, with the
// limits of a zero [Parser]. It is for tools and tests; a hello that is cut short is
// [ErrIncomplete]. The error is the caller's to keep.
func ParseClientHello(b []byte) (Hello, error) {
	var p Parser
	var h Hello
	err := p.records(b, &h)
	if err == errSyntax {
		return Hello{}, &SyntaxError{What: p.err.What, Offset: p.err.Offset}
	}
	return h, err
}

// errSyntax stands for "see Parser.err" between the parser's own methods; it never leaves
// them.
var errSyntax error = new(SyntaxError)

// answer ends the parse unless more bytes are to come.
func (p *Parser) answer(err error) error {
	if err == ErrIncomplete {
		return err
	}
	*p = Parser{MaxSize: p.MaxSize, err: p.err, consumed: p.consumed}
	if err == errSyntax {
		return &p.err
	}
	return err
}

func (p *Parser) malformed(what string, at int) error {
	p.err = SyntaxError{What: what, Offset: at}
	return errSyntax
}

func (p *Parser) records(b []byte, h *Hello) error {
	p.consumed = 0
	if len(b) < int(p.pos) { // not the stream of the last call
		p.pos, p.got, p.size = 0, 0, 0
	}
	for p.size == 0 || p.got < p.size {
		if err := p.record(b); err != nil {
			return err
		}
	}
	if f := h.decode(p.handshake(b)); f.what != "" {
		return p.malformed(f.what, p.streamOffset(b, f.at))
	}
	p.consumed = p.pos
	return nil
}

// record takes in the record at p.pos, as far as it is there. Everything wrong with a
// record is found in the order of its bytes, so that the answer is the same however many
// of them arrive at once.
func (p *Parser) record(b []byte) error {
	rest := b[p.pos:]
	n, err := p.recordHeader(rest)
	if err != nil {
		return err
	}
	payload := rest[recordHeaderSize:min(recordHeaderSize+n, len(rest))]
	if err := p.messageHeader(payload); err != nil {
		return err
	}
	if p.size != 0 {
		if err := p.fits(n); err != nil {
			return err
		}
	}
	if len(payload) < n {
		p.missing = int32(n-len(payload)) + p.missingAfter(int(p.got)+n)
		return ErrIncomplete
	}
	p.pos += int32(recordHeaderSize + n)
	p.got += int32(n)
	return nil
}

// recordHeader returns the length of the record that rest starts with.
func (p *Parser) recordHeader(rest []byte) (n int, err error) {
	if len(rest) > 0 && rest[0] != recordHandshake {
		return 0, p.notHello("a record that is no handshake record", 0)
	}
	if len(rest) > 1 && rest[1] != 3 { // SSL 3.0 and all of TLS; the minor number means nothing
		return 0, p.notHello("unknown record version", 1)
	}
	if len(rest) < recordHeaderSize {
		p.missing = p.missingAfter(int(p.got)) - int32(len(rest))
		return 0, ErrIncomplete
	}
	n = int(rest[3])<<8 | int(rest[4])
	switch {
	case n == 0:
		return 0, p.malformed("empty record", int(p.pos)+3)
	case n > maxRecordSize:
		return 0, p.malformed("record longer than 16 KiB", int(p.pos)+3)
	case int(p.pos)+recordHeaderSize+n > p.budget():
		return 0, ErrTooBig
	}
	return n, nil
}

// notHello tells a stranger from a client that spoke TLS until now.
func (p *Parser) notHello(what string, at int) error {
	if p.pos == 0 {
		return ErrNotTLS
	}
	return p.malformed(what, int(p.pos)+at)
}

// messageHeader looks for the type and the length of the message in the payload of the
// record at p.pos, until they are known.
func (p *Parser) messageHeader(payload []byte) error {
	if p.size != 0 {
		return nil
	}
	if p.got < messageHeaderSize {
		copy(p.header[p.got:], payload)
	}
	if len(payload) > 0 && p.header[0] != messageClientHello {
		return p.malformed("handshake message is no ClientHello", recordHeaderSize)
	}
	if int(p.got)+len(payload) < messageHeaderSize {
		return nil
	}
	size := messageHeaderSize + int(p.header[1])<<16 + int(p.header[2])<<8 + int(p.header[3])
	if size > p.maxSize() {
		return ErrTooBig
	}
	p.size = int32(size)
	return nil
}

// fits checks that the record at p.pos, with n bytes of payload, ends no later than the
// message does, and that the rest of the message will fit into the budget.
func (p *Parser) fits(n int) error {
	rest := int(p.size-p.got) - n
	if rest < 0 {
		return p.malformed("bytes after the hello in its last record", int(p.pos)+recordHeaderSize+n+rest)
	}
	if int(p.pos)+recordHeaderSize+n+onWire(rest) > p.budget() {
		return ErrTooBig
	}
	return nil
}

// missingAfter is how many bytes a hello surely takes after the first got bytes of its
// message.
func (p *Parser) missingAfter(got int) int32 {
	if p.size != 0 {
		return int32(onWire(int(p.size) - got))
	}
	return int32(onWire(minHelloSize - got))
}

// onWire is how many bytes n bytes of a message take in the fewest records.
func onWire(n int) int {
	if n <= 0 {
		return 0
	}
	return n + recordHeaderSize*((n+maxRecordSize-1)/maxRecordSize)
}

func (p *Parser) maxSize() int {
	if p.MaxSize <= 0 {
		return defaultMaxSize
	}
	return min(p.MaxSize, absoluteMaxSize)
}

// budget bounds the input: message and record headers.
func (p *Parser) budget() int { return p.maxSize() + framingAllowance }

// handshake returns the message without records: a part of b if it lies in one record, a
// copy otherwise. All of its bytes are there.
func (p *Parser) handshake(b []byte) []byte {
	if p.pos == recordHeaderSize+p.size {
		return b[recordHeaderSize:p.pos:p.pos]
	}
	msg := make([]byte, 0, p.size)
	for rest := cursor(b[:p.pos]); !rest.empty(); {
		rest.take(recordHeaderSize - 2)
		payload, _ := rest.vec16()
		msg = append(msg, payload...)
	}
	return msg
}

// streamOffset is where byte at of the message stands in b.
func (p *Parser) streamOffset(b []byte, at int) int {
	rest := cursor(b[:p.pos])
	for {
		rest.take(recordHeaderSize - 2)
		payload, ok := rest.vec16()
		if !ok || at < len(payload) || rest.empty() {
			return int(p.pos) - len(rest) - len(payload) + at
		}
		at -= len(payload)
	}
}

func (p *Parser) message(b []byte, h *Hello) error {
	p.consumed, p.pos, p.got, p.size = 0, 0, 0, 0
	if len(b) > 0 && b[0] != messageClientHello {
		return p.malformed("handshake message is no ClientHello", 0)
	}
	if err := p.messageHeader(b); err != nil {
		return err
	}
	switch {
	case p.size == 0:
		p.missing = int32(minHelloSize - len(b))
		return ErrIncomplete
	case len(b) < int(p.size):
		p.missing = p.size - int32(len(b))
		return ErrIncomplete
	case len(b) > int(p.size):
		return p.malformed("bytes after the hello", int(p.size))
	}
	if f := h.decode(b[:p.size:p.size]); f.what != "" {
		return p.malformed(f.what, f.at)
	}
	p.consumed = p.size
	return nil
}
