package admin

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// query reads the parameters of a request. What is wrong is kept until err is asked for, so that a handler reads as a
// list of what it takes; the first thing that is wrong is told. Nothing is guessed: a parameter that is not known, is
// there twice, or is empty is refused, since a script with an unset variable would otherwise mean everything.
type query struct {
	values url.Values
	wrong  *APIError // the first
}

// parseQuery reads raw, of which only the parameters in known may be there.
func parseQuery(raw string, known []string) *query {
	q := &query{}
	values, err := url.ParseQuery(raw)
	if err != nil {
		q.refuse("", "the query cannot be read: %v", err)
	}
	q.values = values
	for _, name := range sortedKeys(values) {
		switch {
		case !slices.Contains(known, name):
			q.refuse(hintOf(known), "unknown parameter %s", clipped(name))
		case len(values[name]) > 1:
			q.refuse("say it once", "parameter %s is there %d times", name, len(values[name]))
		case values.Get(name) == "":
			q.refuse("leave it out, or give it a value", "parameter %s is empty", name)
		}
	}
	return q
}

// hintOf lists the parameters that there are.
func hintOf(known []string) string {
	if len(known) == 0 {
		return "there are no parameters here"
	}
	return "there are: " + strings.Join(known, ", ")
}

// err is the first thing that is wrong, or nil. Every handler asks before it does anything.
func (q *query) err() error {
	if q.wrong == nil {
		return nil
	}
	return q.wrong
}

func (q *query) refuse(hint, format string, args ...any) {
	if q.wrong == nil {
		q.wrong = badRequest(hint, format, args...)
	}
}

// text is the value of a parameter, "" where it is absent.
func (q *query) text(name string) string { return q.values.Get(name) }

// words are the values of a list, separated by commas; nil where it is absent.
func (q *query) words(name string) []string {
	if s := q.text(name); s != "" {
		return strings.Split(s, ",")
	}
	return nil
}

// flag is true or false, false where it is absent.
func (q *query) flag(name string) bool {
	switch s := q.text(name); s {
	case "", "false", "0":
		return false
	case "true", "1":
		return true
	default:
		q.refuse("", "%s is true or false, not %s", name, clipped(s))
		return false
	}
}

// word is one of options, "" where it is absent.
func (q *query) word(name string, options ...string) string {
	s := q.text(name)
	if s != "" && !slices.Contains(options, s) {
		q.refuse("", "%s is %s, not %s", name, strings.Join(options, " or "), clipped(s))
	}
	return s
}

// number is a whole number from 1, 0 where it is absent.
func (q *query) number(name string) uint64 {
	s := q.text(name)
	if s == "" {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 {
		q.refuse("", "%s is a whole number from 1, not %s", name, clipped(s))
	}
	return n
}

// limit is how much is wanted, at most most; usual where nothing is said.
func (q *query) limit(usual, most int) int {
	n := q.number("limit")
	switch {
	case n == 0:
		return usual
	case n > uint64(most):
		q.refuse("take several pages, or filter", "limit is at most %d", most)
	}
	return int(min(n, uint64(most)))
}

// duration is a time such as "30s", at most most; 0 where it is absent.
func (q *query) duration(name string, most time.Duration) time.Duration {
	s := q.text(name)
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		q.refuse("such as 30s or 5m", "%s is not a duration: %s", name, clipped(s))
	case d <= 0 || d > most:
		q.refuse("", "%s is more than 0s and at most %v, not %s", name, most, clipped(s))
	}
	return d
}

// share is a number above 0 and at most 1; 0 where it is absent.
func (q *query) share(name string) float64 {
	s := q.text(name)
	if s == "" {
		return 0
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f > 0 && f <= 1) {
		q.refuse("0.01 is one of a hundred", "%s is a number above 0 and at most 1, not %s", name, clipped(s))
	}
	return f
}

// prefix is a network, or one address as the network of itself; the zero Prefix where it is absent.
func (q *query) prefix(name string) netip.Prefix {
	s := q.text(name)
	if s == "" {
		return netip.Prefix{}
	}
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen())
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p != p.Masked() {
		q.refuse("such as 192.0.2.7 or 10.0.0.0/8", "%s is not an address or a network: %s", name, clipped(s))
	}
	return p
}

// address is an address without a port; the zero Addr where it is absent.
func (q *query) address(name string) netip.Addr {
	s := q.text(name)
	if s == "" {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Zone() != "" {
		q.refuse("such as 192.0.2.7 or 2001:db8::7", "%s is not an address: %s", name, clipped(s))
	}
	return addr.Unmap()
}

// clipped quotes what a client sent for a message: printable ASCII, and not long.
func clipped(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%+q…", s[:most])
	}
	return fmt.Sprintf("%+q", s)
}
