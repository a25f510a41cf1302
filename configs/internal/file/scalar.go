package file

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Text is a text that is not empty.
type Text struct {
	At
	V string
}

func (t *Text) decode(d *decoder, n *yaml.Node, _ *key) {
	if s, ok := d.text(n); ok {
		t.At, t.V = d.place(n), s
	}
}

// text returns the text of a node; a number or a truth value is none unless it is quoted.
func (d *decoder) text(n *yaml.Node) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.add(d.place(n), "", "%s must be text, not %s", d.here(), describe(n))
	case n.Tag != "!!str":
		d.add(d.place(n), fmt.Sprintf("write it in quotes: %q", n.Value), "%s must be text, not %s", d.here(), describe(n))
	case n.Value == "":
		d.add(d.place(n), "", "%s is empty", d.here())
	default:
		return n.Value, true
	}
	return "", false
}

// parsed reads the text of a node with f, which answers with what is wrong and a hint.
func parsed[T any](d *decoder, n *yaml.Node, f func(string) (T, string, string)) (v T, ok bool) {
	s, ok := d.text(n)
	if !ok {
		return v, false
	}
	v, msg, hint := f(s)
	if msg != "" {
		d.add(d.place(n), hint, "%s: %s", d.here(), msg)
		return v, false
	}
	return v, true
}

// Name is the name of a listener, route or pool. It becomes a metric label, so its letters are few.
type Name struct {
	At
	V string
}

func (t *Name) decode(d *decoder, n *yaml.Node, _ *key) {
	if v, ok := parsed(d, n, parseName); ok {
		t.At, t.V = d.place(n), v
	}
}

// CheckName says what is wrong with a name that comes from elsewhere than a text; "" if nothing is.
func CheckName(s string) (msg, hint string) {
	if s == "" {
		return "it is empty", ""
	}
	_, msg, hint = parseName(s)
	return msg, hint
}

func parseName(s string) (name, msg, hint string) {
	const longest = 64
	if len(s) > longest {
		return "", fmt.Sprintf("a name has at most %d characters, not %d", longest, len(s)), ""
	}
	clean := strings.Map(func(r rune) rune {
		if r < 0x80 && strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-", r) {
			return r
		}
		return '-'
	}, s)
	if clean != s {
		return "", quote(s) + " is no name: letters, digits, \"_\", \".\" and \"-\" are allowed", didYouMean(clean)
	}
	return s, "", ""
}

// Protocol is an application protocol as ALPN names it (RFC 7301 §3.1).
type Protocol struct {
	At
	V string
}

func (t *Protocol) decode(d *decoder, n *yaml.Node, _ *key) {
	v, ok := parsed(d, n, func(s string) (string, string, string) {
		if len(s) > 255 {
			return "", fmt.Sprintf("a protocol has at most 255 bytes, not %d", len(s)), ""
		}
		return s, "", ""
	})
	if ok {
		t.At, t.V = d.place(n), v
	}
}

// Path is the path of a file, as written.
type Path struct {
	At
	V string
}

func (t *Path) decode(d *decoder, n *yaml.Node, _ *key) {
	v, ok := parsed(d, n, func(s string) (string, string, string) {
		switch {
		case strings.ContainsRune(s, 0):
			return "", "a path cannot hold a NUL byte", ""
		case strings.Contains(s, pemBegin) || strings.Contains(s, pemEnd):
			return "", "this is what a file holds, and not its path", "put it into a file of its own (mode 0600), and name that here"
		}
		return s, "", ""
	})
	if ok {
		t.At, t.V = d.place(n), v
	}
}

// Flag is true or false.
type Flag struct {
	At
	V bool
}

func (t *Flag) decode(d *decoder, n *yaml.Node, _ *key) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!bool" && n.Value == "true":
		t.At, t.V = d.place(n), true
	case n.Kind == yaml.ScalarNode && n.Tag == "!!bool" && n.Value == "false":
		t.At, t.V = d.place(n), false
	default:
		d.add(d.place(n), flagHint(n), "%s must be true or false, not %s", d.here(), describe(n))
	}
}

func flagHint(n *yaml.Node) string {
	switch strings.ToLower(n.Value) {
	case "true", "yes", "on", "y", "1":
		return "write true"
	case "false", "no", "off", "n", "0":
		return "write false"
	}
	return ""
}

// Count is a whole number.
type Count struct {
	At
	V int
}

func (t *Count) decode(d *decoder, n *yaml.Node, k *key) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" {
		d.add(d.place(n), countHint(n), "%s must be a whole number, not %s", d.here(), describe(n))
		return
	}
	v, msg, hint := parseCount(n.Value)
	if msg != "" {
		d.add(d.place(n), hint, "%s: %s", d.here(), msg)
		return
	}
	if d.inRange(n, k, v) {
		t.At, t.V = d.place(n), int(v)
	}
}

func (*Count) measure(s string) (int64, string, string) { return parseCount(s) }

// parseCount reads decimal digits only: 0x10 and 010 mean different things to different people.
func parseCount(s string) (v int64, msg, hint string) {
	digits := strings.TrimPrefix(s, "-")
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || len(digits) > 1 && digits[0] == '0' || strings.HasPrefix(s, "+") {
		return 0, quote(s) + " is not a decimal number", ""
	}
	return v, "", ""
}

func countHint(n *yaml.Node) string {
	s := strings.ToLower(n.Value)
	if _, msg, _ := parseCount(s); n.Tag == "!!str" && s != "" && msg == "" {
		return "write it without quotes: " + s
	}
	for suffix, zeros := range map[string]string{"k": "000", "m": "000000"} {
		if digits, ok := strings.CutSuffix(s, suffix); ok && digits != "" && strings.Trim(digits, "0123456789") == "" {
			return "write " + digits + zeros
		}
	}
	return ""
}

// inRange notes a mistake if v is outside of the key's range.
func (d *decoder) inRange(n *yaml.Node, k *key, v int64) bool {
	if k == nil || k.within(v) {
		return true
	}
	d.add(d.place(n), "", "%s: %s is out of range: it takes %s", d.here(), n.Value, k.limits())
	return false
}

// measurer is a scalar that stands for a number: msg and hint say what is wrong with s.
type measurer interface {
	measure(s string) (v int64, msg, hint string)
}

// measured reads the number that n stands for; ok is false if it is none, or out of the range of k, which has been
// reported then. what and example are words for the message.
func (d *decoder) measured(n *yaml.Node, k *key, m measurer, what, example string) (v int64, ok bool) {
	if n.Kind != yaml.ScalarNode {
		d.add(d.place(n), "for example "+example, "%s must be a %s, not %s", d.here(), what, describe(n))
		return 0, false
	}
	v, msg, hint := m.measure(n.Value)
	if msg != "" {
		d.add(d.place(n), hint, "%s: %s", d.here(), msg)
		return 0, false
	}
	return v, d.inRange(n, k, v)
}

// Duration is a length of time.
type Duration struct {
	At
	V time.Duration
}

func (t *Duration) decode(d *decoder, n *yaml.Node, k *key) {
	if v, ok := d.measured(n, k, t, "duration", "5s"); ok {
		t.At, t.V = d.place(n), time.Duration(v)
	}
}

func (*Duration) measure(s string) (v int64, msg, hint string) {
	dur, err := time.ParseDuration(s)
	switch bare, unit := splitUnit(s); {
	case err == nil && s == "0":
		return 0, `"0" has no unit`, didYouMean("0s")
	case err == nil:
		return int64(dur), "", ""
	case bare != "" && unit == "":
		return 0, quote(s) + " has no unit", didYouMean(bare + "s")
	case bare != "" && (unit == "d" || unit == "day" || unit == "days"):
		return 0, quote(s) + ": there is no unit for days", hoursHint(bare)
	case bare != "" && timeUnit(unit) != "":
		if near := bare + timeUnit(unit); isDuration(near) {
			return 0, quote(s) + " is no duration", didYouMean(near)
		}
	}
	return 0, quote(s) + " is no duration", "units are ms, s, m and h: 500ms, 5s, 1m30s"
}

// hoursHint turns whole days into hours.
func hoursHint(days string) string {
	n, err := strconv.Atoi(days)
	if err != nil || n > math.MaxInt32 {
		return "use hours"
	}
	return didYouMean(strconv.Itoa(n*24) + "h")
}

func isDuration(s string) bool {
	_, err := time.ParseDuration(s)
	return err == nil
}

// timeUnit is the unit that a word for it stands for; "" if it is none.
func timeUnit(word string) string {
	switch word = strings.ToLower(word); {
	case word == "s", word == "m", word == "h", word == "ms":
		return word
	case strings.HasPrefix(word, "sec"):
		return "s"
	case strings.HasPrefix(word, "min"):
		return "m"
	case strings.HasPrefix(word, "hour"), strings.HasPrefix(word, "hr"):
		return "h"
	case strings.HasPrefix(word, "milli"), strings.HasPrefix(word, "msec"):
		return "ms"
	}
	return ""
}

// splitUnit splits "5 KiB" into "5" and "KiB"; number is "" if s does not start with one.
func splitUnit(s string) (number, unit string) {
	i := len(s) - len(strings.TrimLeft(s, "0123456789."))
	return s[:i], strings.TrimSpace(s[i:])
}

// Size is a number of bytes.
type Size struct {
	At
	V int
}

func (t *Size) decode(d *decoder, n *yaml.Node, k *key) {
	if v, ok := d.measured(n, k, t, "size", "64KiB"); ok {
		t.At, t.V = d.place(n), int(v)
	}
}

func (*Size) measure(s string) (v int64, msg, hint string) {
	shift := map[string]uint{"B": 0, "KiB": 10, "MiB": 20, "GiB": 30}
	number, unit := splitUnit(s)
	n, err := strconv.ParseInt(number, 10, 64)
	up, ok := shift[unit]
	switch {
	case err == nil && ok && n <= math.MaxInt64>>up && !strings.Contains(s, " "):
		return n << up, "", ""
	case err == nil && unit == "":
		return 0, quote(s) + " has no unit", didYouMean(number + "B")
	case err == nil && unit != "" && strings.ContainsAny(unit[:1], "kKmMgGbB"):
		binary := map[byte]string{'K': "KiB", 'M': "MiB", 'G': "GiB", 'B': "B"}[strings.ToUpper(unit)[0]]
		return 0, quote(s) + " is no size", didYouMean(number + binary)
	}
	return 0, quote(s) + " is no size", "units are B, KiB and MiB: 64KiB"
}

// Rate is how often something may happen.
type Rate struct {
	At
	V int // in a minute
}

func (t *Rate) decode(d *decoder, n *yaml.Node, k *key) {
	if v, ok := d.measured(n, k, t, "rate", "50/s"); ok {
		t.At, t.V = d.place(n), int(v)
	}
}

func (*Rate) measure(s string) (v int64, msg, hint string) {
	perMinute := map[string]int64{"/s": 60, "/m": 1}
	number, unit := splitUnit(s)
	n, err := strconv.ParseInt(number, 10, 64)
	times, ok := perMinute[unit]
	switch {
	case err == nil && ok && n <= math.MaxInt64/times && !strings.Contains(s, " "):
		return n * times, "", ""
	case err == nil && unit == "":
		return 0, quote(s) + " has no unit", didYouMean(number + "/s")
	case err == nil && rateUnit(unit) != "":
		return 0, quote(s) + " is no rate", didYouMean(number + rateUnit(unit))
	}
	return 0, quote(s) + " is no rate", "write a whole number, and for each second or minute: 50/s, 30/m"
}

// rateUnit is the unit that a word for it stands for; "" if it is none.
func rateUnit(word string) string {
	switch word = strings.ToLower(strings.ReplaceAll(word, " ", "")); {
	case word == "r/s", word == "rps", word == "ps", strings.HasPrefix(word, "/s"), strings.HasPrefix(word, "pers"):
		return "/s" // nginx writes 50r/s
	case word == "r/m", word == "rpm", strings.HasPrefix(word, "/m") && word != "/ms", strings.HasPrefix(word, "perm"):
		return "/m"
	}
	return ""
}

// Percent is a part of a hundred.
type Percent struct {
	At
	V int
}

func (t *Percent) decode(d *decoder, n *yaml.Node, k *key) {
	if v, ok := d.measured(n, k, t, "percentage", "50%"); ok {
		t.At, t.V = d.place(n), int(v)
	}
}

func (*Percent) measure(s string) (v int64, msg, hint string) {
	number, ok := strings.CutSuffix(s, "%")
	n, err := strconv.Atoi(number)
	switch {
	case err == nil && ok:
		return int64(n), "", ""
	case err == nil:
		return 0, quote(s) + " has no percent sign", didYouMean(number + "%")
	}
	return 0, quote(s) + " is no percentage", "write a whole number and a percent sign: 50%"
}
