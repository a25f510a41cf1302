package route

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"
)

// kind is what a host of a route is, in the order in which kinds are tried.
type kind uint8

const (
	kindExact  kind = iota // api.example.com
	kindSuffix             // *.example.com
	kindRegexp             // ~^db-[0-9]+\.example\.net$
	kindAny                // *
)

// pattern is one parsed host of a route.
type pattern struct {
	kind kind
	// key is the place in the host tree, see appendKey; for kindRegexp the expression in its canonical
	// spelling. Two hosts are "the same host" exactly if kind and key are the same.
	key  string
	expr *expression // kindRegexp only
}

// takenBy yields the "*." hosts that hold every name of x, the least specific last.
func (x *expression) takenBy() iter.Seq[pattern] {
	return func(yield func(pattern) bool) {
		for i := range len(x.suffix) {
			if x.suffix[i] != '.' {
				continue
			}
			if pat, err := parsePattern("*" + x.suffix[i:]); err == nil && !yield(pat) {
				return
			}
		}
	}
}

// NoName is the host of a [Route] that takes hellos without a server name. It is no name, so nothing else is that host.
const NoName = "(no server name)"

// noNameKey is its place in the host tree. No key of a name begins with it, and only that of "*" is a prefix of it.
const noNameKey = string(rune(endExact))

// Ends of a key in the host tree. endExact sorts before every byte of a name and is none.
const (
	endSuffix = '.'
	endExact  = 0
)

// parsePattern reads one host as written in a file. The error says why, not which host.
func parsePattern(host string) (pattern, error) {
	if source, ok := strings.CutPrefix(host, "~"); ok {
		expr, err := compileExpression(source)
		if err != nil {
			return pattern{}, err
		}
		return pattern{kind: kindRegexp, key: expr.canonical, expr: expr}, nil
	}
	switch host {
	case "*":
		return pattern{kind: kindAny}, nil
	case NoName:
		return pattern{kind: kindExact, key: noNameKey}, nil
	}
	k, end := kindExact, byte(endExact)
	rest, ok := strings.CutPrefix(host, "*.")
	if ok {
		k, end = kindSuffix, endSuffix
	}
	name, err := ParseName(rest)
	if err != nil {
		return pattern{}, explainBadHost(host, rest, err)
	}
	return pattern{kind: k, key: string(appendKey(nil, name, end))}, nil
}

// appendKey appends the place of a name in the host tree: its labels from the last to the first, then end.
//
//	api.example.com  ->  com.example.api\x00
//	*.example.com    ->  com.example.
//	*                ->  (empty)
//	NoName           ->  \x00
//
// So the longest key that is a prefix of a name's exact key is the most specific host that matches it, and
// "*.example.com" is a prefix of what is below example.com and not of example.com itself.
func appendKey(dst []byte, name Name, end byte) []byte {
	rest := name.s
	for {
		dot := strings.LastIndexByte(rest, '.')
		dst = append(dst, rest[dot+1:]...)
		if dot < 0 {
			return append(dst, end)
		}
		dst = append(dst, '.')
		rest = rest[:dot]
	}
}

// explainBadHost says to the writer of a file what is wrong with a host, where the fixed errors of ParseName
// speak of any name.
func explainBadHost(host, name string, err error) error {
	switch {
	case host == "":
		return errors.New(`empty; "*" matches any name`)
	case strings.HasPrefix(host, "."):
		return fmt.Errorf("starts with a dot; write %q for all names below it", "*"+host)
	case strings.Contains(name, "*"):
		return errors.New(`"*" may only be the whole first label, as in *.example.com, or stand alone`)
	case strings.Contains(name, "://"), strings.Contains(name, "/"):
		return errors.New("a URL; only the host name is wanted")
	case errors.Is(err, ErrNameNotASCII):
		return explainNotASCII(host)
	case errors.Is(err, ErrNameAddress), strings.Count(name, ":") > 1:
		return errors.New("an IP address; clients send host names only (RFC 6066 §3)")
	case strings.Contains(name, ":"):
		return errors.New("has a port; listeners choose the port, a host is a name only")
	case errors.Is(err, ErrNameByte):
		return fmt.Errorf("%q is not allowed; only letters, digits, '-', '_' and '.' are", firstBadByte(name))
	}
	return errors.New(strings.TrimPrefix(err.Error(), "route: host name: "))
}

func firstBadByte(name string) rune {
	for _, c := range name {
		if c >= utf8.RuneSelf || lowered[c] == 0 {
			return c
		}
	}
	return '.'
}
