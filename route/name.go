package route

import (
	"errors"
	"unicode/utf8"
)

// Bounds of a host name without its trailing dot (RFC 1035 §2.3.4: 255 octets on the wire, of which
// two are the first length byte and the root).
const (
	maxName  = 253
	maxLabel = 63
)

// What ParseName finds wrong. They are fixed values, so that a flood of bad names makes no garbage.
var (
	ErrNameEmpty    = errors.New("route: host name: empty")
	ErrNameTooLong  = errors.New("route: host name: longer than 253 bytes")
	ErrNameLabel    = errors.New("route: host name: a label is empty or longer than 63 bytes")
	ErrNameByte     = errors.New("route: host name: only letters, digits, '-', '_' and '.' are allowed")
	ErrNameNotASCII = errors.New("route: host name: not ASCII; write internationalised labels as xn--")
	ErrNameAddress  = errors.New("route: host name: an IP address is not a host name")
)

// Name is a normalised host name: lower case, without a trailing dot, checked by [ParseName]. It is the one notion of
// a name in Switchyard: routing, TLS policy, logs and status all use the value that was made once, when
// the hello was read.
//
// Two Names are the same host exactly if they are ==, so a Name is a map key. The zero Name means "no name".
type Name struct{ s string }

// ParseName normalises a host name as it came over the wire or from a file. Upper case is lowered and one
// trailing dot is dropped; what remains is 1 to 253 bytes of labels of 1 to 63 letters, digits, hyphens and
// underscores. Hyphens may stand anywhere in a label: such names exist, and no harm comes from them. Anything else is
// an error, an IPv4 address too (RFC 6066 §3 forbids addresses).
//
// It allocates the one string that it returns, and nothing at all for a string that is already normal.
// The errors are the ErrName values of this package.
func ParseName[T string | []byte](raw T) (Name, error) {
	n := len(raw)
	if n > 0 && raw[n-1] == '.' {
		n--
	}
	normal, err := scanName(raw[:n])
	if err != nil {
		return Name{}, err
	}
	if normal {
		return Name{string(raw[:n])}, nil
	}
	var buf [maxName]byte
	for i := range n {
		buf[i] = lowered[raw[i]]
	}
	return Name{string(buf[:n])}, nil
}

// String returns the name, or "" for the zero Name.
func (n Name) String() string { return n.s }

// IsZero reports whether n means "no name".
func (n Name) IsZero() bool { return n.s == "" }

// MarshalText makes a Name a JSON string and a log value.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.s), nil }

// scanName checks a name without trailing dot, and says whether it is in lower case already.
func scanName[T string | []byte](raw T) (normal bool, err error) {
	switch {
	case len(raw) == 0:
		return false, ErrNameEmpty
	case len(raw) > maxName:
		return false, ErrNameTooLong
	}
	normal = true
	label := 0 // bytes of the current label so far
	for i := range len(raw) {
		c := raw[i]
		switch low := lowered[c]; {
		case low == '.':
			if label == 0 {
				return false, ErrNameLabel
			}
			label = 0
			continue
		case low == 0 && c >= utf8.RuneSelf:
			return false, ErrNameNotASCII
		case low == 0:
			return false, ErrNameByte
		case low != c:
			normal = false
		}
		if label++; label > maxLabel {
			return false, ErrNameLabel
		}
	}
	if label == 0 {
		return false, ErrNameLabel
	}
	if isIPv4(raw) {
		return false, ErrNameAddress
	}
	return normal, nil
}

// lowered is each byte of a name in lower case, and 0 for bytes that no name has.
var lowered = func() (table [256]byte) {
	for _, c := range []byte(nameBytes) {
		table[c] = c
	}
	for c := 'A'; c <= 'Z'; c++ {
		table[c] = byte(c) + 'a' - 'A'
	}
	return table
}()

// nameBytes are the bytes a Name is made of.
const nameBytes = "abcdefghijklmnopqrstuvwxyz0123456789-_."

// isIPv4 reports whether raw is four groups of one to three digits, whatever their value: 999.1.1.1 is not an
// address, and not a host anyone can have meant either.
func isIPv4[T string | []byte](raw T) bool {
	if len(raw) > len("255.255.255.255") {
		return false
	}
	dots, digits := 0, 0
	for i := range len(raw) {
		switch c := raw[i]; {
		case c == '.':
			dots, digits = dots+1, 0
		case '0' <= c && c <= '9' && digits < 3:
			digits++
		default:
			return false
		}
	}
	return dots == 3
}
