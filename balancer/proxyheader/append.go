package proxyheader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
)

var (
	// ErrTooLong says that a value does not fit in a header. Nothing is ever cut to make it fit.
	ErrTooLong = errors.New("proxyheader: value too long")

	errVersion  = errors.New("proxyheader: version is neither 1 nor 2")
	errHalf     = errors.New("proxyheader: one of source and destination is missing")
	errUniqueID = fmt.Errorf("%w: unique id is over %d bytes", ErrTooLong, MaxUniqueID)
	errBlock    = fmt.Errorf("%w: addresses and TLVs are over %d bytes", ErrTooLong, math.MaxUint16)
)

// Out is what a header to a backend says.
type Out struct {
	Version int // 1 or 2
	// Source is the client and Dest the address it connected to. IPv6 zones are left out. If one is IPv4 and the
	// other IPv6, the header says IPv6 and the former is written as ::ffff:a.b.c.d, as neither version can mix them.
	// If both are zero, the connection is our own, such as a health check: version 1 says UNKNOWN and version 2
	// LOCAL, and the fields below are not written, because a receiver must skip them.
	Source netip.AddrPort
	Dest   netip.AddrPort

	// The rest is for version 2; version 1 has no place for it. Empty values are left out.

	Authority string // the SNI (§2.2.2)
	ALPN      string // the protocol agreed upon, or the first that the client offers (§2.2.1)
	UniqueID  []byte // at most MaxUniqueID bytes (§2.2.5); only read
	TLS       *TLS   // where TLS of the client ends with us (§2.2.6); nil: it does not
}

// Append appends the header to dst and returns the longer slice. It allocates only to grow dst; 128 bytes plus the
// length of the values are always enough. In version 2 a CRC32C of the header is its last TLV.
//
// An error wraps [ErrTooLong] if a value does not fit, which for a name out of a ClientHello cannot be, and else says
// what is missing from o. It comes with dst as it was: a header is written whole or not at all, and its length field is
// that of the bytes behind it (a header that is shorter or longer than it says lets a stranger speak to the backend).
//
// The bytes are written here and not by the library that Parse uses: its writer costs a dozen allocations per
// connection. It reads what Append writes in the tests.
func Append(dst []byte, o *Out) ([]byte, error) {
	src, dest, err := sameFamily(o.Source, o.Dest)
	if err != nil {
		return dst, err
	}
	switch o.Version {
	case 1:
		return appendV1(dst, src, dest), nil
	case 2:
		return appendV2(dst, src, dest, o)
	}
	return dst, errVersion
}

// sameFamily returns both addresses as IPv4 if both are, mapped or not, and else as IPv6; or two zero ones.
func sameFamily(src, dest netip.AddrPort) (s, d netip.AddrPort, err error) {
	if src.Addr().IsValid() != dest.Addr().IsValid() {
		return s, d, errHalf
	}
	if !src.Addr().IsValid() {
		return s, d, nil
	}
	a, b := src.Addr().Unmap(), dest.Addr().Unmap()
	if a.Is6() || b.Is6() {
		a, b = netip.AddrFrom16(a.As16()), netip.AddrFrom16(b.As16()) // without zones
	}
	return netip.AddrPortFrom(a, src.Port()), netip.AddrPortFrom(b, dest.Port()), nil
}

// appendV1 writes the line of §2.1.
func appendV1(dst []byte, src, dest netip.AddrPort) []byte {
	switch {
	case !src.IsValid():
		return append(dst, "PROXY UNKNOWN\r\n"...)
	case src.Addr().Is4():
		dst = append(dst, "PROXY TCP4 "...)
	default:
		dst = append(dst, "PROXY TCP6 "...)
	}
	dst = append(appendAddrV1(dst, src.Addr()), ' ')
	dst = append(appendAddrV1(dst, dest.Addr()), ' ')
	dst = append(strconv.AppendUint(dst, uint64(src.Port()), 10), ' ')
	dst = strconv.AppendUint(dst, uint64(dest.Port()), 10)
	return append(dst, '\r', '\n')
}

// appendAddrV1 writes mapped addresses without dots: of TCP6, §2.1 allows hexadecimal digits and colons only.
func appendAddrV1(dst []byte, a netip.Addr) []byte {
	if !a.Is4In6() {
		return a.AppendTo(dst)
	}
	b := a.As16()
	dst = append(dst, "::ffff:"...)
	dst = strconv.AppendUint(dst, uint64(binary.BigEndian.Uint16(b[12:])), 16)
	dst = append(dst, ':')
	return strconv.AppendUint(dst, uint64(binary.BigEndian.Uint16(b[14:])), 16)
}

// appendV2 writes the binary header of §2.2, drawn at parseV2.
func appendV2(dst []byte, src, dest netip.AddrPort, o *Out) ([]byte, error) {
	if !src.IsValid() {
		return append(append(dst, signatureV2...), cmdLocal, famUnspec, 0, 0), nil
	}
	size, err := sizeV2(src.Addr(), o)
	if err != nil {
		return dst, err
	}
	start := len(dst)
	dst = append(dst, signatureV2...)
	dst = appendBlock(dst, src, dest, size-headV2)
	dst = appendTLV(dst, tlvALPN, o.ALPN)
	dst = appendTLV(dst, tlvAuthority, o.Authority)
	dst = appendTLV(dst, tlvUniqueID, o.UniqueID)
	dst = o.TLS.append(dst)
	dst = append(dst, tlvCRC32C, 0, crcSize, 0, 0, 0, 0)
	head := dst[start:]
	binary.BigEndian.PutUint32(head[len(head)-crcSize:], crcOf(head, len(head)-crcSize))
	return dst, nil
}

// sizeV2 is the length of the whole header, in which addresses are of a's family.
func sizeV2(a netip.Addr, o *Out) (int, error) {
	if len(o.UniqueID) > MaxUniqueID {
		return 0, errUniqueID
	}
	block := 2*a.BitLen()/8 + 4 + tlvHead + crcSize
	for _, n := range [...]int{len(o.ALPN), len(o.Authority), len(o.UniqueID)} {
		if n > math.MaxUint16 {
			return 0, errBlock
		}
		if n > 0 {
			block += tlvHead + n
		}
	}
	tls, ok := o.TLS.size()
	if block += tls; !ok || block > math.MaxUint16 {
		return 0, errBlock
	}
	return headV2 + block, nil
}

// appendBlock writes command, family, the length of what follows and the addresses.
func appendBlock(dst []byte, src, dest netip.AddrPort, length int) []byte {
	if src.Addr().Is4() {
		dst = append(dst, cmdProxy, famTCP4)
	} else {
		dst = append(dst, cmdProxy, famTCP6)
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(length))
	dst = appendAddrV2(dst, src.Addr())
	dst = appendAddrV2(dst, dest.Addr())
	dst = binary.BigEndian.AppendUint16(dst, src.Port())
	return binary.BigEndian.AppendUint16(dst, dest.Port())
}

func appendAddrV2(dst []byte, a netip.Addr) []byte {
	if a.Is4() {
		b := a.As4()
		return append(dst, b[:]...)
	}
	b := a.As16()
	return append(dst, b[:]...)
}

// appendTLV writes nothing for an empty value. Its length has been checked.
func appendTLV[T string | []byte](dst []byte, typ byte, value T) []byte {
	if len(value) == 0 {
		return dst
	}
	dst = append(dst, typ)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(value)))
	return append(dst, value...)
}
