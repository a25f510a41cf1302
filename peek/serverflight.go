package peek

// ServerFlight is what the first bytes from a server tell.
type ServerFlight struct {
	// Alert says that the server refuses: the first record that matters is an alert and
	// no ServerHello. The fields below AlertDescription are 0 then.
	Alert            bool
	AlertLevel       uint8 // 1 warning, 2 fatal; TLS 1.3 gives it no meaning
	AlertDescription uint8 // see [AlertName]

	// Version is the one chosen: of supported_versions if there, of legacy_version
	// otherwise.
	Version     uint16
	CipherSuite uint16
	// Group is that of the key share, or the one a HelloRetryRequest asks for. It is 0
	// before TLS 1.3, where it comes in a later message, and if there is no key share.
	Group uint16
	// HelloRetry says that this is a HelloRetryRequest: the client will send a second
	// hello (RFC 8446 §4.1.4).
	HelloRetry bool
}

// ParseServerFlight reads the start of what a server sends, in b as far as it has come. The
// answer is nil once f is known, which takes 7 bytes for an alert and otherwise the whole
// ServerHello, over any number of records; [ErrIncomplete]; [ErrNotTLS] from the first
// byte that rules TLS out; or a [*SyntaxError], the caller's to keep. f is written with
// nil only.
//
// A warning in front, such as the unrecognized_name that some servers of TLS 1.2 send and
// then go on, is skipped (RFC 6066 §3); close_notify is an answer.
func ParseServerFlight(b []byte, f *ServerFlight) error {
	for start := 0; ; start += recordHeaderSize + alertSize {
		rest := b[start:]
		if err := serverRecord(rest); err != nil {
			return err
		}
		if rest[0] == recordHandshake {
			return serverHello(b, start, f)
		}
		if rest[3] != 0 || rest[4] != alertSize {
			return &SyntaxError{"alert is not two bytes long", start + 3}
		}
		if len(rest) < recordHeaderSize+alertSize {
			return ErrIncomplete
		}
		level, description := rest[recordHeaderSize], rest[recordHeaderSize+1]
		if level != alertWarning || description == alertCloseNotify {
			*f = ServerFlight{Alert: true, AlertLevel: level, AlertDescription: description}
			return nil
		}
	}
}

// serverRecord checks that rest starts with the header of a record that a server may send
// first.
func serverRecord(rest []byte) error {
	switch {
	case len(rest) > 0 && rest[0] != recordHandshake && rest[0] != recordAlert:
		return ErrNotTLS
	case len(rest) > 1 && rest[1] != 3:
		return ErrNotTLS
	case len(rest) < recordHeaderSize:
		return ErrIncomplete
	}
	return nil
}

// serverHello reads the ServerHello whose first record stands at start.
func serverHello(b []byte, start int, f *ServerFlight) error {
	msg, err := gather(b, start)
	if err != nil {
		return err
	}
	var flight ServerFlight
	if what := flight.decode(msg); what != "" {
		return &SyntaxError{what, start}
	}
	*f = flight
	return nil
}

// gather returns the first handshake message of the records at start, which must be a
// ServerHello. It copies only a message that is spread over records, once all of it is there.
func gather(b []byte, start int) ([]byte, error) {
	var parts [messageHeaderSize]byte
	got, size := 0, 0
	for rest := cursor(b[start:]); ; {
		here := len(b) - len(rest)
		if !rest.empty() && rest[0] != recordHandshake {
			return nil, &SyntaxError{"another record inside the ServerHello", here}
		}
		if len(rest) < recordHeaderSize {
			return nil, ErrIncomplete
		}
		n := int(rest[3])<<8 | int(rest[4])
		if n == 0 || n > maxRecordSize {
			return nil, &SyntaxError{"record is empty or longer than 16 KiB", here + 3}
		}
		rest.take(recordHeaderSize)
		body, whole := rest.take(n)
		if !whole {
			body = rest
		}
		if got < messageHeaderSize {
			copy(parts[got:], body)
		}
		if got+len(body) > 0 && parts[0] != messageServerHello {
			return nil, &SyntaxError{"handshake message is no ServerHello", here + recordHeaderSize}
		}
		got += len(body)
		if got >= messageHeaderSize {
			size = messageHeaderSize + int(parts[1])<<16 + int(parts[2])<<8 + int(parts[3])
		}
		switch {
		case size > defaultMaxSize:
			return nil, &SyntaxError{"ServerHello longer than 64 KiB", start + recordHeaderSize}
		case size != 0 && got >= size:
			return joined(b[start:], size), nil
		case !whole:
			return nil, ErrIncomplete
		}
	}
}

// joined returns the first size bytes of the records at the start of b.
func joined(b []byte, size int) []byte {
	rest := cursor(b)
	rest.take(recordHeaderSize)
	if n := int(b[3])<<8 | int(b[4]); size <= n {
		return rest[:size:size]
	}
	msg := make([]byte, 0, size)
	for rest = cursor(b); len(msg) < size; {
		rest.take(recordHeaderSize - 2)
		n, _ := rest.u16()
		body, _ := rest.take(min(n, size-len(msg), len(rest)))
		msg = append(msg, body...)
	}
	return msg
}

// helloRetryRandom is the random of a HelloRetryRequest: the SHA-256 of those words
// (RFC 8446 §4.1.3).
const helloRetryRandom = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91" +
	"\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c"

// decode reads one whole ServerHello message (RFC 8446 §4.1.3):
//
//	header 4 │ legacy_version 2 │ random 32 │ session_id 1 + 0..32 │ cipher_suite 2 │ compression 1
//	extensions 2 + 0..65535, or nothing at all
func (f *ServerFlight) decode(msg []byte) (what string) {
	c := cursor(msg)
	c.take(messageHeaderSize)
	version, _ := c.u16()
	random, ok := c.take(32)
	if !ok {
		return "ServerHello is cut short"
	}
	session, ok1 := c.vec8()
	suite, ok2 := c.u16()
	_, ok3 := c.u8()
	if !ok1 || !ok2 || !ok3 || len(session) > maxSessionID {
		return "ServerHello is cut short"
	}
	f.Version, f.CipherSuite = uint16(version), uint16(suite)
	f.HelloRetry = string(random) == helloRetryRandom
	if c.empty() {
		return ""
	}
	block, ok := c.vec16()
	if !ok || !c.empty() {
		return "extensions of the ServerHello do not fill it"
	}
	for rest := cursor(block); !rest.empty(); {
		typ, _ := rest.u16()
		body, ok := rest.vec16()
		if !ok {
			return "extension of the ServerHello is cut short"
		}
		if what := f.extension(typ, body); what != "" {
			return what
		}
	}
	return ""
}

func (f *ServerFlight) extension(typ int, body cursor) (what string) {
	switch typ {
	case extSupportedVersions:
		v, ok := body.u16()
		if !ok || !body.empty() {
			return "malformed supported_versions extension"
		}
		f.Version = uint16(v)
	case extKeyShare:
		group, ok := body.u16()
		if !ok || (!f.HelloRetry && !body.only16(1)) || (f.HelloRetry && !body.empty()) {
			return "malformed key_share extension"
		}
		f.Group = uint16(group)
	}
	return ""
}
