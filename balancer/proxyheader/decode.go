package proxyheader

import (
	"bufio"
	"bytes"
	"net"
	"net/netip"
	"sync"

	"github.com/pires/go-proxyproto"
)

// decoder lends a header to the library, which reads from a bufio.Reader only.
type decoder struct {
	src bytes.Reader
	buf *bufio.Reader
}

var decoders = sync.Pool{New: func() any {
	d := new(decoder)
	// 128 bytes hold the longest line of version 1 and the longest addresses of version 2; the library wants a header
	// to arrive in one read.
	d.buf = bufio.NewReaderSize(&d.src, 128)
	return d
}}

// decode has the library read head, which is one whole header.
func decode(head []byte, info *Info) error {
	d := decoders.Get().(*decoder)
	defer decoders.Put(d)
	d.src.Reset(head)
	d.buf.Reset(&d.src)
	h, err := proxyproto.Read(d.buf)
	d.src.Reset(nil) // head is the caller's: keep nothing of it in the pool
	if err != nil || d.buf.Buffered() != 0 {
		return errAddress
	}
	if h.Command.IsLocal() {
		*info = Info{Local: true}
		return nil
	}
	src, dst := addrPort(h.SourceAddr), addrPort(h.DestinationAddr)
	if !src.IsValid() || !dst.IsValid() {
		return errAddress
	}
	*info = Info{Source: src, Dest: dst}
	return nil
}

// addrPort is zero for an address that is not of TCP or UDP.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		ap = a.AddrPort()
	case *net.UDPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
