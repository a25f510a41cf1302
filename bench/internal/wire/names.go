package wire

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Names is a numbered set of host names: plain names, and patterns such as "host-{0..999}.example.com", in the order
// in which they were given. The zero value has none; see [ParseNames].
type Names struct {
	parts []part
	count int
}

// part is one plain name or one pattern of a set.
type part struct {
	prefix, suffix string
	first, count   int // first is -1 for a plain name
	start          int // the number of its first name in the set
}

// ParseNames reads names and patterns with commas between them. A pattern has one {FIRST..LAST}.
func ParseNames(list string) (Names, error) {
	var n Names
	for word := range strings.SplitSeq(list, ",") {
		p, err := parsePart(strings.TrimSpace(word))
		if err != nil {
			return Names{}, err
		}
		p.start = n.count
		n.count += p.count
		n.parts = append(n.parts, p)
	}
	return n, nil
}

func parsePart(word string) (part, error) {
	prefix, rest, ranged := strings.Cut(word, "{")
	if !ranged {
		return part{prefix: word, first: -1, count: 1}, checkLength(word)
	}
	inside, suffix, closed := strings.Cut(rest, "}")
	from, to, dots := strings.Cut(inside, "..")
	first, err1 := strconv.Atoi(from)
	last, err2 := strconv.Atoi(to)
	if !closed || !dots || err1 != nil || err2 != nil || first < 0 || last < first {
		return part{}, fmt.Errorf("names %q: want one range such as host-{0..999}.example.com", word)
	}
	p := part{prefix: prefix, suffix: suffix, first: first, count: last - first + 1}
	return p, checkLength(string(p.appendTo(nil, last-first)))
}

// checkLength refuses what cannot be a host name (RFC 1035 §2.3.4).
func checkLength(name string) error {
	if name == "" || len(name) > 253 {
		return fmt.Errorf("names: %d bytes cannot be a host name", len(name))
	}
	return nil
}

// appendTo appends name i of the part to dst.
func (p *part) appendTo(dst []byte, i int) []byte {
	dst = append(dst, p.prefix...)
	if p.first >= 0 {
		dst = strconv.AppendInt(dst, int64(p.first+i), 10)
	}
	return append(dst, p.suffix...)
}

// Len is how many names there are.
func (n Names) Len() int { return n.count }

// At is name i, from 0.
func (n Names) At(i int) string { return string(n.appendTo(nil, i)) }

// appendTo appends name i to dst.
func (n Names) appendTo(dst []byte, i int) []byte {
	p := &n.parts[0]
	if len(n.parts) > 1 {
		p = &n.parts[sort.Search(len(n.parts), func(k int) bool { return n.parts[k].start > i })-1]
	}
	return p.appendTo(dst, i-p.start)
}

// lengths are those that names of the set have, each once and the shortest first.
func (n Names) lengths() []int {
	seen := map[int]bool{}
	for i := range n.parts {
		p := &n.parts[i]
		for k := 0; k < p.count; k = p.nextLonger(k) {
			seen[len(p.appendTo(nil, k))] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// nextLonger is the first number after i whose name is longer: the next power of ten.
func (p *part) nextLonger(i int) int {
	if p.first < 0 {
		return p.count
	}
	power := 10
	for power <= p.first+i {
		power *= 10
	}
	return power - p.first
}
