package proxyheader

import (
	"errors"
	"net/netip"
)

var (
	// ErrIncomplete says that b is the start of what may become a header.
	ErrIncomplete = errors.New("proxyheader: header is incomplete")
	// ErrNone says that b does not start with a PROXY header.
	ErrNone = errors.New("proxyheader: no PROXY header")
	// ErrBad says that b starts like a PROXY header and is not one.
	ErrBad = errors.New("proxyheader: malformed header")
)

// Info is what a received header says.
type Info struct {
	Local  bool           // LOCAL or UNKNOWN: use the socket's own addresses
	Source netip.AddrPort // the client, unmapped
	Dest   netip.AddrPort // the address the client connected to
}

// Parse reads the header at the start of b (all bytes so far) and returns its length n.
// It costs O(1) until the header is complete, however it trickles in.
func Parse(b []byte, info *Info) (n int, err error) { panic("stub") }

// Out is what a header to a backend says.
type Out struct {
	Version   int // 1 or 2
	Source    netip.AddrPort
	Dest      netip.AddrPort
	Authority string // the SNI; v2 only, as are the rest
	ALPN      string // the first protocol the client offers
	UniqueID  []byte // at most 128 bytes
}

// Append appends the header to dst.
func Append(dst []byte, o *Out) ([]byte, error) { panic("stub") }
