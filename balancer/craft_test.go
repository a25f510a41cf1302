package balancer

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// TLS extension numbers that tests write (RFC 8446 §4.2).
const (
	extServerName = 0
	extGroups     = 10
	extSigAlgs    = 13
	extALPN       = 16
	extPadding    = 21
	extPSK        = 41
	extEarlyData  = 42
	extVersions   = 43
	extPSKModes   = 45
	extKeyShare   = 51
)

// extension is one extension of a crafted hello.
type extension struct {
	kind uint16
	body []byte
}

func vec8(b []byte) []byte  { return append([]byte{byte(len(b))}, b...) }
func vec16(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }

// serverName is the extension that names name, whatever bytes that has.
func serverName(name string) extension {
	return extension{extServerName, vec16(append([]byte{0}, vec16([]byte(name))...))}
}

func padding(n int) extension { return extension{extPadding, make([]byte, n)} }

// earlyData are the extensions of a client that resumes and sends data with its hello. pre_shared_key is the last
// extension of a hello (RFC 8446 §4.2.11).
func earlyData() []extension {
	identity := append(vec16(make([]byte, 32)), 0, 0, 0, 0)
	psk := append(vec16(identity), vec16(vec8(make([]byte, 32)))...)
	return []extension{{extEarlyData, nil}, {extPSKModes, []byte{1, 1}}, {extPSK, psk}}
}

// craftMessage is a ClientHello message (RFC 8446 §4.1.2) with what every TLS 1.3 client sends, and then exts.
func craftMessage(exts ...extension) []byte {
	all := append([]extension{
		{extVersions, vec8([]byte{3, 4, 3, 3})},
		{extGroups, vec16([]byte{0, 29})},
		{extSigAlgs, vec16([]byte{4, 3, 8, 4})},
		{extKeyShare, vec16(append([]byte{0, 29}, vec16(make([]byte, 32))...))},
	}, exts...)
	var block []byte
	for _, e := range all {
		block = append(binary.BigEndian.AppendUint16(block, e.kind), vec16(e.body)...)
	}
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, vec8(make([]byte, 32))...)
	body = append(body, vec16([]byte{0x13, 1, 0xc0, 0x2f})...)
	body = append(body, 1, 0)
	body = append(body, vec16(block)...)
	return append([]byte{1, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
}

// inRecords puts a handshake message into records of at most size bytes each (RFC 8446 §5.1).
func inRecords(msg []byte, size int) []byte {
	var out []byte
	for len(msg) > 0 {
		n := min(size, len(msg))
		out = append(append(out, 22, 3, 1), vec16(msg[:n])...)
		msg = msg[n:]
	}
	return out
}

// maxRecord is the most that one record in the clear holds (RFC 8446 §5.1).
const maxRecord = 1 << 14

// craft is a ClientHello in as few records as hold it.
func craft(exts ...extension) []byte { return inRecords(craftMessage(exts...), maxRecord) }

// resplit puts the hello at the start of b, which is one record, into records of size bytes.
func resplit(b []byte, size int) []byte { return inRecords(b[5:], size) }

// serverHelloLike is the start of an answer that is no alert.
var serverHelloLike = []byte{22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3}

// alertOf is the alert record that says description (RFC 8446 §6).
func alertOf(description byte) []byte { return []byte{21, 3, 3, 0, 2, 2, description} }

var errSeen = errors.New("the hello was read")

// tlsReads is what crypto/tls makes of the hello at the start of b: the oracle for who may reach which pool.
func tlsReads(b []byte) (name string, ok bool) {
	cfg := &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		name, ok = h.ServerName, true
		return nil, errSeen
	}}
	_ = tls.Server(&readOnly{b}, cfg).HandshakeContext(context.Background())
	return name, ok
}

// readOnly is a connection on which b arrives, and nothing after it.
type readOnly struct{ b []byte }

func (r *readOnly) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

func (r *readOnly) Write(p []byte) (int, error)      { return len(p), nil }
func (r *readOnly) Close() error                     { return nil }
func (r *readOnly) LocalAddr() net.Addr              { return nil }
func (r *readOnly) RemoteAddr() net.Addr             { return nil }
func (r *readOnly) SetDeadline(time.Time) error      { return nil }
func (r *readOnly) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (r *readOnly) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
