package proxyheader

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

var (
	// ErrIncomplete says that b is the start of what may become a header.
	ErrIncomplete = errors.New("proxyheader: header is incomplete")
	// ErrNone says that b does not start with a PROXY header and never will.
	ErrNone = errors.New("proxyheader: no PROXY header")
	// ErrBad says that b starts like a PROXY header and is not one. Errors of [Parse] wrap it to say why.
	ErrBad = errors.New("proxyheader: malformed header")
)

// Each way of being malformed is one value, made once: a flood of bad headers leaves no garbage.
var (
	errV1Start   = fmt.Errorf("%w: no space after PROXY", ErrBad)
	errV1Line    = fmt.Errorf("%w: no CRLF in the first %d bytes", ErrBad, maxV1)
	errV1LF      = fmt.Errorf("%w: LF without CR", ErrBad)
	errCommand   = fmt.Errorf("%w: unknown version or command", ErrBad)
	errFamily    = fmt.Errorf("%w: unknown address family or transport", ErrBad)
	errShort     = fmt.Errorf("%w: length is less than the addresses need", ErrBad)
	errAddress   = fmt.Errorf("%w: invalid protocol, address or port", ErrBad)
	errTLV       = fmt.Errorf("%w: TLV reaches past the end", ErrBad)
	errTLVTwice  = fmt.Errorf("%w: TLV given twice", ErrBad)
	errChecksum  = fmt.Errorf("%w: wrong CRC32C", ErrBad)
	errUniqueLen = fmt.Errorf("%w: unique id is longer than %d bytes", ErrBad, MaxUniqueID)
)

const (
	// MaxSize is the length in bytes of the longest header there can be: version 2 with a full 16-bit length (§2.2).
	MaxSize = headV2 + 1<<16 - 1
	// MaxUniqueID is the length in bytes of the longest unique id (§2.2.5).
	MaxUniqueID = 128

	maxV1  = 107 // the longest line, its CRLF included (§2.1)
	headV2 = 16  // signature, command, family and length (§2.2)

	signatureV1 = "PROXY"
	signatureV2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// Info is what a received header says.
type Info struct {
	// Local means that the header names no address a TCP balancer could use, and the connection's own are to be
	// used: LOCAL, UNKNOWN, or an UNSPEC or UNIX family. Source and Dest are then zero.
	Local  bool
	Source netip.AddrPort // the client, unmapped
	Dest   netip.AddrPort // the address the client connected to, unmapped
	// UniqueID is what the sender calls this connection (§2.2.5), nil if it does not say. It aliases the bytes given
	// to Parse and is valid as long as they are. It is opaque and may hold any byte.
	UniqueID []byte
}

// Parse reads the header at the start of b, which holds all bytes received so far, and returns the header's length n.
// What follows b[:n] belongs to the next protocol. Only with a nil error is info written, and then all of it.
//
// The error is [ErrIncomplete] while more bytes may make a header of b, [ErrNone] if they cannot, and else one that
// wraps [ErrBad]; compare with errors.Is. An answer other than ErrIncomplete does not change when bytes are added to b.
//
// A call costs constant time until the header is complete: at most 107 bytes are looked at in version 1 and 16 in
// version 2, so that a header of any size, sent a byte at a time, costs no more than linear work.
func Parse(b []byte, info *Info) (n int, err error) {
	switch {
	case hasPrefix(b, signatureV2):
		return parseV2(b, info)
	case hasPrefix(b, signatureV1):
		return parseV1(b, info)
	case isPrefix(b, signatureV1) || isPrefix(b, signatureV2):
		return 0, ErrIncomplete
	}
	return 0, ErrNone
}

func hasPrefix(b []byte, s string) bool { return len(b) >= len(s) && string(b[:len(s)]) == s }

// isPrefix reports whether more bytes can make b begin with s.
func isPrefix(b []byte, s string) bool { return len(b) < len(s) && s[:len(b)] == string(b) }

// parseV1 reads a line as §2.1 has it: at most 107 bytes, CRLF at its end, and the first LF ends it.
//
//	PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 CR LF
//	PROXY UNKNOWN anything CR LF
func parseV1(b []byte, info *Info) (int, error) {
	if len(b) > len(signatureV1) && b[len(signatureV1)] != ' ' {
		return 0, errV1Start
	}
	end := bytes.IndexByte(b[:min(len(b), maxV1)], '\n')
	switch {
	case end < 0 && len(b) >= maxV1:
		return 0, errV1Line
	case end < 0:
		return 0, ErrIncomplete
	case b[end-1] != '\r': // end > 0: the signature is before it
		return 0, errV1LF
	}
	n := end + 1
	if err := decode(b[:n], info); err != nil {
		return 0, err
	}
	return n, nil
}

// parseV2 reads the binary header of §2.2. The block after the length holds addresses of the family, then TLVs.
//
//	 0                             12        13       14       16             16+length
//	┌──────────────────────────────┬─────────┬────────┬────────┬───────────┬──────┐
//	│ CR LF CR LF 0 CR LF Q U I T LF│ 2 │ cmd │ family │ length │ addresses │ TLVs │
//	└──────────────────────────────┴─────────┴────────┴────────┴───────────┴──────┘
func parseV2(b []byte, info *Info) (int, error) {
	head, err := readHead(b)
	if err != nil {
		return 0, err
	}
	if len(b) < head.size {
		return 0, ErrIncomplete
	}
	b = b[:head.size:head.size]
	if head.skip {
		*info = Info{Local: true}
		return head.size, nil
	}
	tags, err := readTLVs(b, headV2+head.addresses)
	if err != nil {
		return 0, err
	}
	var got Info
	if err := head.decode(b, &got); err != nil {
		return 0, err
	}
	got.UniqueID = tags.uniqueID
	*info = got
	return head.size, nil
}

// headerV2 is what the first 16 bytes say.
type headerV2 struct {
	size      int  // of the whole header
	addresses int  // bytes of them in the block
	unix      bool // the addresses are paths
	skip      bool // the block is not to be looked at
}

// Command and family bytes (§2.2); version 2 is the upper half of the command.
const (
	cmdLocal = 0x20
	cmdProxy = 0x21

	famUnspec = 0x00
	famTCP4   = 0x11
	famUDP4   = 0x12
	famTCP6   = 0x21
	famUDP6   = 0x22
	famStream = 0x31
	famDgram  = 0x32
)

// readHead refuses each byte as soon as it is there. LOCAL and UNSPEC carry what the receiver must skip or ignore, of
// a layout it does not know; so their blocks are not read, and a checksum in them is not found.
func readHead(b []byte) (h headerV2, err error) {
	if len(b) > 12 && b[12] != cmdLocal && b[12] != cmdProxy {
		return h, errCommand
	}
	if len(b) > 13 {
		switch b[13] {
		case famUnspec:
			h.skip = true
		case famTCP4, famUDP4:
			h.addresses = 12
		case famTCP6, famUDP6:
			h.addresses = 36
		case famStream, famDgram:
			h.addresses, h.unix = 216, true
		default:
			return h, errFamily
		}
	}
	if len(b) < headV2 {
		return h, ErrIncomplete
	}
	length := int(binary.BigEndian.Uint16(b[14:16]))
	h.size = headV2 + length
	h.skip = h.skip || b[12] == cmdLocal
	if !h.skip && length < h.addresses {
		return h, errShort
	}
	return h, nil
}

// decode reads the addresses of b, which is the whole header.
func (h headerV2) decode(b []byte, info *Info) error {
	if h.unix {
		*info = Info{Local: true}
		return nil
	}
	// The library is shown a header without TLVs: it would copy them, up to 64 KiB, and read nothing in them.
	var bare [headV2 + 36]byte
	n := copy(bare[:], b[:headV2+h.addresses])
	binary.BigEndian.PutUint16(bare[14:16], uint16(h.addresses))
	return decode(bare[:n], info)
}
