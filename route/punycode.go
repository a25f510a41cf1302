package route

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// explainNotASCII offers the form in which an internationalised host goes over the wire. It lowers letters and no more
// (UTS #46 also maps and composes), which is enough for a hint and not for a silent conversion.
func explainNotASCII(host string) error {
	if wire, ok := toWire(host); ok {
		return fmt.Errorf("not ASCII; on the wire it is probably %s", wire)
	}
	return fmt.Errorf("not ASCII; write it as it goes over the wire, in xn-- labels")
}

// toWire turns the labels of host that are not ASCII into xn-- labels.
func toWire(host string) (string, bool) {
	if !utf8.ValidString(host) {
		return "", false
	}
	labels := strings.Split(strings.ToLower(host), ".")
	for i, label := range labels {
		if strings.IndexFunc(label, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
			labels[i] = "xn--" + punycode([]rune(label))
		}
	}
	wire := strings.Join(labels, ".")
	_, err := ParseName(strings.TrimPrefix(wire, "*."))
	return wire, err == nil
}

// Parameters of punycode (RFC 3492 §5).
const (
	punyBase, punyMin, punyMax = 36, 1, 26
	punySkew, punyDamp         = 38, 700
	punyBias, punyFirst        = 72, 128
)

// punycode encodes a label (RFC 3492 §6.3), without the xn-- before it.
func punycode(label []rune) string {
	var out []byte
	for _, r := range label {
		if r < punyFirst {
			out = append(out, byte(r))
		}
	}
	basic := len(out)
	if basic > 0 {
		out = append(out, '-')
	}
	delta, bias, done := 0, punyBias, basic
	for next := rune(punyFirst); done < len(label); next++ {
		smallest := smallestFrom(label, next)
		delta += int(smallest-next) * (done + 1)
		next = smallest
		for _, r := range label {
			switch {
			case r < next:
				delta++
			case r == next:
				out = appendPuny(out, delta, bias)
				bias = adaptBias(delta, done+1, done == basic)
				delta = 0
				done++
			}
		}
		delta++
	}
	return string(out)
}

// smallestFrom returns the smallest rune of label that is at least low; there is one.
func smallestFrom(label []rune, low rune) rune {
	return slices.MinFunc(label, func(a, b rune) int {
		switch {
		case a < low && b >= low:
			return 1
		case b < low && a >= low:
			return -1
		default:
			return int(a - b)
		}
	})
}

// appendPuny appends delta as a generalised variable-length integer.
func appendPuny(out []byte, delta, bias int) []byte {
	const digits = "abcdefghijklmnopqrstuvwxyz0123456789"
	for k := punyBase; ; k += punyBase {
		t := min(max(k-bias, punyMin), punyMax)
		if delta < t {
			return append(out, digits[delta])
		}
		out = append(out, digits[t+(delta-t)%(punyBase-t)])
		delta = (delta - t) / (punyBase - t)
	}
}

func adaptBias(delta, points int, first bool) int {
	if first {
		delta /= punyDamp
	} else {
		delta /= 2
	}
	delta += delta / points
	k := 0
	for ; delta > (punyBase-punyMin)*punyMax/2; k += punyBase {
		delta /= punyBase - punyMin
	}
	return k + (punyBase-punyMin+1)*delta/(delta+punySkew)
}
