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
// handshake header, 2 of version (RFC 8446 §4.1.2 and §5.1). randomEnd counts in the message, without record headers.
const (
	randomAt  = 11
	randomEnd = randomAt - recordHeader + 32
)

// Spec is what kind of client a hello comes from. The zero value is crypto/tls as it is: TLS 1.2 and 1.3, and key
// shares for X25519MLKEM768 and X25519.
type Spec struct {
	Version uint16      // the only one that is offered, such as tls.VersionTLS12; 0: both
	Group   tls.CurveID // the only one that is offered; 0: all
}

// Config is the client's side of a handshake for the name. The certificate is not verified: what is measured is the
// way, and the backend made its certificate up.
func (s Spec) Config(name string) *tls.Config {
	c := &tls.Config{
		ServerName:         name,
		NextProtos:         []string{"h2", "http/1.1"},
		MinVersion:         max(s.Version, tls.VersionTLS12),
		MaxVersion:         s.Version,
		InsecureSkipVerify: true,
	}
	if s.Group != 0 {
		c.CurvePreferences = []tls.CurveID{s.Group}
	}
	return c
}

// Hellos are the ClientHellos of a load, numbered as its names are. They are not safe for concurrent use: each loop has
// its own.
type Hellos struct {
	names     Names
	templates map[int]template // by length of the name
	replayed  [][]byte         // instead of names and templates
	cut       Cut
	name      []byte // scratch
	records   []byte // scratch
}

// template is the hello for one length of name.
type template struct {
	bytes  []byte
	nameAt int
}

// NewHellos builds the templates: one hello of crypto/tls for each length that a name of the set has.
func NewHellos(names Names, spec Spec, cut Cut) (*Hellos, error) {
	h := &Hellos{names: names, templates: map[int]template{}, cut: cut}
	for _, length := range names.lengths() {
		t, err := newTemplate(length, spec)
		if err != nil {
			return nil, err
		}
		h.templates[length] = t
	}
	return h, nil
}

func newTemplate(length int, spec Spec) (template, error) {
	name := strings.Repeat("q", length)
	hello, err := captureHello(spec.Config(name))
	if err != nil {
		return template{}, err
	}
	// name_type, length and name as in RFC 6066 §3, so that a short name is not found in a key.
	entry := append([]byte{0, byte(length >> 8), byte(length)}, name...)
	at := bytes.Index(hello, entry)
	if at < 0 || len(hello) < randomAt+32 {
		return template{}, fmt.Errorf("hello for a name of %d bytes: crypto/tls did not send it", length)
	}
	return template{bytes: hello, nameAt: at + 3}, nil
}

// Replay makes hellos of recorded ones. Each has to start with a complete ClientHello, and only that is sent: the name,
// the records and every other byte stay as they were recorded, unless cut divides the records anew.
func Replay(recorded [][]byte, cut Cut) (*Hellos, error) {
	h := &Hellos{cut: cut}
	for i, b := range recorded {
		n, err := HelloLen(b)
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, fmt.Errorf("recorded hello %d of %d: %w", i+1, len(recorded), err)
		}
		h.replayed = append(h.replayed, b[:n])
	}
	return h, nil
}

// Len is how many there are to choose from.
func (h *Hellos) Len() int {
	if h.replayed != nil {
		return len(h.replayed)
	}
	return h.names.Len()
}

// At is hello i with an order to the backend in it; a replayed one takes no order. The slice is valid until the next
// call, and the same for the same arguments.
func (h *Hellos) At(i int, order Order) []byte {
	var hello []byte
	if h.replayed != nil {
		hello = h.replayed[i]
	} else {
		h.name = h.names.appendTo(h.name[:0], i)
		t := h.templates[len(h.name)]
		copy(t.bytes[t.nameAt:], h.name)
		order.put(t.bytes[randomAt : randomAt+32])
		hello = t.bytes
	}
	if h.cut.Record > 0 {
		h.records = appendRecords(h.records[:0], hello, h.cut.Record)
		return h.records
	}
	return hello
}

// captureHello is what crypto/tls sends first.
func captureHello(config *tls.Config) ([]byte, error) {
	var sent capture
	if err := tls.Client(&sent, config).Handshake(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("hello for %q: %w", config.ServerName, err)
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
