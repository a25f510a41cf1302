package wire

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// randomAt is where the 32 random bytes of a ClientHello start in its first record: 5 bytes of record header, 4 of
// handshake header, 2 of version (RFC 8446 §4.1.2 and §5.1).
const randomAt = 11

// Hellos makes ClientHellos for a set of names. It is not safe for concurrent use: each loop has its own.
type Hellos struct {
	names     Names
	templates map[int]template // by length of the name
	scratch   []byte
}

// template is the hello for one length of name.
type template struct {
	bytes  []byte
	nameAt int
}

// NewHellos builds the templates: one hello of crypto/tls (TLS 1.2 and 1.3, X25519MLKEM768, h2 and http/1.1) for each
// length that a name of the set has, with order in it.
func NewHellos(names Names, order Order) (*Hellos, error) {
	h := &Hellos{names: names, templates: map[int]template{}}
	for i := 0; i < names.Len(); i = nextLength(names, i) {
		t, err := newTemplate(len(names.At(i)), order)
		if err != nil {
			return nil, err
		}
		h.templates[len(names.At(i))] = t
	}
	return h, nil
}

// nextLength is the first index after i whose name is longer: the next power of ten.
func nextLength(n Names, i int) int {
	power := 10
	for power <= n.first+i {
		power *= 10
	}
	return power - max(n.first, 0)
}

func newTemplate(length int, order Order) (template, error) {
	name := strings.Repeat("q", length)
	hello, err := captureHello(name)
	if err != nil {
		return template{}, err
	}
	// name_type, length and name as in RFC 6066 §3, so that a short name is not found in a key.
	entry := append([]byte{0, byte(length >> 8), byte(length)}, name...)
	at := bytes.Index(hello, entry)
	if at < 0 || len(hello) < randomAt+32 {
		return template{}, fmt.Errorf("hello for a name of %d bytes: crypto/tls did not send it", length)
	}
	order.put(hello[randomAt : randomAt+32])
	return template{bytes: hello, nameAt: at + 3}, nil
}

// At is the hello for name i. The slice is valid until the next call.
func (h *Hellos) At(i int) []byte {
	h.scratch = h.names.appendTo(h.scratch[:0], i)
	t := h.templates[len(h.scratch)]
	copy(t.bytes[t.nameAt:], h.scratch)
	return t.bytes
}

// captureHello is what crypto/tls sends first to the host name.
func captureHello(name string) ([]byte, error) {
	var sent capture
	client := tls.Client(&sent, &tls.Config{
		ServerName:         name,
		NextProtos:         []string{"h2", "http/1.1"},
		InsecureSkipVerify: true, // nothing comes back that could be verified
	})
	if err := client.Handshake(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("hello for %q: %w", name, err)
	}
	return sent.Bytes(), nil
}

// capture is a connection that keeps what is written and ends when it is read.
type capture struct {
	bytes.Buffer
	net.Conn // nil: crypto/tls calls nothing else before the handshake is through
}

func (c *capture) Write(b []byte) (int, error) { return c.Buffer.Write(b) }
func (c *capture) Read([]byte) (int, error)    { return 0, io.EOF }
func (c *capture) Close() error                { return nil }

// ErrNotHello says that what arrived cannot start with a ClientHello.
var ErrNotHello = errors.New("wire: not a ClientHello")

// HelloLen is how many bytes at the start of b are the ClientHello and its record headers, over any number of
// records; 0 while b is too short to say.
func HelloLen(b []byte) (int, error) {
	var header [4]byte // the handshake header, which may itself be cut by a record boundary
	at, have, want := 0, 0, 4
	for have < want {
		if len(b) < at+5 {
			return 0, nil
		}
		length := int(binary.BigEndian.Uint16(b[at+3:]))
		if b[at] != 0x16 || length == 0 {
			return 0, ErrNotHello
		}
		at += 5
		if have < 4 {
			copy(header[have:], b[at:min(at+length, len(b))])
		}
		at, have = at+length, have+length
		if len(b) < at {
			return 0, nil
		}
		if have >= 4 {
			if header[0] != 1 {
				return 0, ErrNotHello
			}
			want = 4 + int(header[1])<<16 + int(header[2])<<8 + int(header[3])
		}
	}
	return at, nil
}
