package peek

import "errors"

// ErrIncomplete says that the bytes so far are the start of what may become a sound hello.
var ErrIncomplete = errors.New("peek: hello is incomplete")

// ErrNotTLS says that the first bytes cannot start a TLS connection.
var ErrNotTLS = errors.New("peek: not TLS")

// ErrTooBig says that the hello announces or has reached more than the parser's MaxSize.
var ErrTooBig = errors.New("peek: hello is too big")

// SyntaxError says what is wrong with a hello, and where.
type SyntaxError struct {
	What   string
	Offset int
}

func (e *SyntaxError) Error() string { return e.What }

// Hello is a parsed ClientHello.
type Hello struct {
	ServerName []byte
	ALPN       ProtocolList
	EarlyData  bool
}

// ProtocolList is the body of an ALPN extension.
type ProtocolList []byte

// Contains reports whether proto is in the list.
func (l ProtocolList) Contains(proto string) bool { panic("stub") }

// Parser finds the ClientHello at the start of a TCP stream.
type Parser struct {
	MaxSize int
}

// Parse looks at b, all the bytes received so far.
func (p *Parser) Parse(b []byte, h *Hello) error { panic("stub") }

// Missing is how many further bytes are surely needed after ErrIncomplete.
func (p *Parser) Missing() int { panic("stub") }

// Consumed is how many bytes of the input the hello's records took.
func (p *Parser) Consumed() int { panic("stub") }

// ServerFlight is what the first bytes from a server tell.
type ServerFlight struct {
	Alert            bool // the first record is an alert, not a ServerHello
	AlertDescription uint8
	Version          uint16
	CipherSuite      uint16
	Group            uint16
	HelloRetry       bool
}

// ParseServerFlight reads the first flight of a server.
func ParseServerFlight(b []byte, f *ServerFlight) error { panic("stub") }

// Alert descriptions that a balancer sends (RFC 8446 §6).
const (
	AlertDecodeError      = 50
	AlertInternalError    = 80
	AlertUnrecognizedName = 112
)

// AppendAlert appends one fatal alert record in the clear to dst.
func AppendAlert(dst []byte, description uint8) []byte { panic("stub") }
