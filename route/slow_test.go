package route

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// slowMatch is the twin of [Snapshot.find]: it reads the rules of the file format line by line, and shares no code with
// the table. It returns the route and the host that win, or -1.
func slowMatch(s *Set, q *slowQuery) (route, host int) {
	name := strings.ToLower(strings.TrimSuffix(q.name, "."))
	var fits []slowFit
	for i, r := range s.Routes {
		for j, h := range r.Hosts {
			if rule, length, ok := slowHost(h, name); ok {
				fits = append(fits, slowFit{i, j, rule, length, slowFirst(s, h), slowConditions(r)})
			}
		}
	}
	slices.SortStableFunc(fits, func(a, b slowFit) int {
		return cmp.Or(
			cmp.Compare(a.rule, b.rule),             // exact, suffix, regexp, "*"
			cmp.Compare(b.length, a.length),         // the longest suffix
			cmp.Compare(a.first, b.first),           // regexps in file order
			cmp.Compare(b.conditions, a.conditions), // more conditions first
			cmp.Compare(a.route, b.route),           // file order
		)
	})
	for _, f := range fits {
		if slowHolds(s.Routes[f.route], q) {
			return f.route, f.host
		}
	}
	return -1, -1
}

type slowFit struct{ route, host, rule, length, first, conditions int }

type slowQuery struct {
	name     string // as sent
	alpn     []string
	client   netip.Addr
	listener string
}

func slowHost(h, name string) (rule, length int, ok bool) {
	switch {
	case h == NoName || name == "":
		return 0, 0, h == NoName && name == ""
	case h == "*":
		return 4, 0, true
	case h[0] == '~':
		return 3, 0, slowRegexp(h).MatchString(name)
	case h[0] == '*':
		suffix := strings.ToLower(strings.TrimSuffix(h[1:], "."))
		return 2, len(suffix), strings.HasSuffix(name, suffix) && len(name) > len(suffix)
	default:
		return 1, 0, strings.EqualFold(strings.TrimSuffix(h, "."), name)
	}
}

// slowRegexps spares the properties most of their time: compiled hosts by their text.
var slowRegexps sync.Map

func slowRegexp(h string) *regexp.Regexp {
	re, ok := slowRegexps.Load(h)
	if !ok {
		re, _ = slowRegexps.LoadOrStore(h, regexp.MustCompile("(?i)"+h[1:]))
	}
	return re.(*regexp.Regexp)
}

// slowFirst is where a regexp stands in the file for the first time; 0 for other hosts.
func slowFirst(s *Set, h string) int {
	if h[0] != '~' {
		return 0
	}
	n := 0
	for _, r := range s.Routes {
		for _, other := range r.Hosts {
			if n++; other == h {
				return n
			}
		}
	}
	panic("not in the set")
}

func slowConditions(r Route) (n int) {
	if r.ALPN != nil {
		n++
	}
	if r.Clients != nil {
		n++
	}
	if r.Listeners != nil {
		n++
	}
	return n
}

func slowHolds(r Route, q *slowQuery) bool {
	if r.ALPN != nil && !slices.ContainsFunc(r.ALPN, func(p string) bool { return slices.Contains(q.alpn, p) }) {
		return false
	}
	if r.Listeners != nil && !slices.Contains(r.Listeners, q.listener) {
		return false
	}
	if r.Clients == nil {
		return true
	}
	client := q.client
	if client.Is4In6() {
		client = client.Unmap()
	}
	return slices.ContainsFunc(r.Clients, func(p netip.Prefix) bool { return p.Contains(client) })
}
