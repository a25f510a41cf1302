package certs

import (
	"maps"
	"slices"
	"strings"
)

// index finds the certificates of pairs by name. It is not changed once made: a changed pair makes another one.
type index struct {
	byName   map[string][]*Choice // by normal name or wildcard, the preferred first
	defaults []*Choice            // the preferred first
	all      []*Choice            // in the order of pairs
}

// newIndex makes the index of pairs; next are the certificates of some that take the place of what they have.
func newIndex(pairs []*pair, next map[*pair]*loaded) *index {
	x := &index{byName: make(map[string][]*Choice, len(pairs))}
	for _, p := range pairs {
		cert := p.cert
		if l := next[p]; l != nil {
			cert = l.cert
		}
		x.all = append(x.all, cert)
		for _, name := range cert.Names {
			if list := x.byName[name]; !slices.Contains(list, cert) {
				x.byName[name] = append(list, cert)
			}
		}
		if p.file.Default {
			x.defaults = append(x.defaults, cert.asDefault())
		}
	}
	for _, list := range x.byName {
		slices.SortStableFunc(list, byKey)
	}
	slices.SortStableFunc(x.defaults, byKey)
	return x
}

func (x *index) names() []string { return slices.Collect(maps.Keys(x.byName)) }

// below reports whether there is a certificate for a name below a normal name. It looks at all of them.
func (x *index) below(suffix string) bool {
	for name := range x.byName {
		if strings.HasSuffix(name, "."+suffix) {
			return true
		}
	}
	return false
}
