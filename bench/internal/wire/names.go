package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// Names is a numbered set of host names: a pattern such as "host-{0..999}.example.com", or one plain name.
// The zero value is not usable; see [ParseNames].
type Names struct {
	prefix, suffix string
	first, count   int
}

// ParseNames reads a pattern with at most one {FIRST..LAST}.
func ParseNames(pattern string) (Names, error) {
	prefix, rest, ranged := strings.Cut(pattern, "{")
	if !ranged {
		return Names{prefix: pattern, count: 1, first: -1}, checkLength(pattern)
	}
	inside, suffix, closed := strings.Cut(rest, "}")
	from, to, dots := strings.Cut(inside, "..")
	first, err1 := strconv.Atoi(from)
	last, err2 := strconv.Atoi(to)
	if !closed || !dots || err1 != nil || err2 != nil || first < 0 || last < first {
		return Names{}, fmt.Errorf("names %q: want one range such as host-{0..999}.example.com", pattern)
	}
	n := Names{prefix: prefix, suffix: suffix, first: first, count: last - first + 1}
	return n, checkLength(n.At(n.count - 1))
}

// checkLength refuses what cannot be a host name (RFC 1035 §2.3.4).
func checkLength(name string) error {
	if name == "" || len(name) > 253 {
		return fmt.Errorf("names: %d bytes cannot be a host name", len(name))
	}
	return nil
}

// Len is how many names there are.
func (n Names) Len() int { return n.count }

// At is name i, from 0.
func (n Names) At(i int) string { return string(n.appendTo(nil, i)) }

// appendTo appends name i to dst.
func (n Names) appendTo(dst []byte, i int) []byte {
	dst = append(dst, n.prefix...)
	if n.first >= 0 {
		dst = strconv.AppendInt(dst, int64(n.first+i), 10)
	}
	return append(dst, n.suffix...)
}
