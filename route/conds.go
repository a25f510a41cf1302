package route

import (
	"net/netip"
	"slices"
)

// conds are the conditions of a route in one canonical form: two routes hold for the same connections exactly if their
// conds are equal.
type conds struct {
	alpn      []string       // sorted, each once
	clients   []netip.Prefix // sorted, disjoint, and no two that make up a larger one
	listeners []string       // sorted, each once
}

// What conditions a route has, as bits.
const (
	hasALPN = 1 << iota
	hasClients
	hasListeners
	allKinds = hasALPN | hasClients | hasListeners
)

func condsOf(r *Route) conds {
	return conds{alpn: canonicalWords(r.ALPN), clients: aggregate(r.Clients), listeners: canonicalWords(r.Listeners)}
}

func (c *conds) kinds() (kinds int) {
	if len(c.alpn) > 0 {
		kinds |= hasALPN
	}
	if len(c.clients) > 0 {
		kinds |= hasClients
	}
	if len(c.listeners) > 0 {
		kinds |= hasListeners
	}
	return kinds
}

func (c *conds) count() (n int) {
	for kinds := c.kinds(); kinds != 0; kinds &= kinds - 1 {
		n++
	}
	return n
}

func (c *conds) equal(d *conds) bool {
	return slices.Equal(c.alpn, d.alpn) && slices.Equal(c.clients, d.clients) && slices.Equal(c.listeners, d.listeners)
}

// implies reports whether d holds whenever c does.
func (c *conds) implies(d *conds) bool {
	return d.kinds()&^c.kinds() == 0 &&
		(d.alpn == nil || subset(c.alpn, d.alpn)) &&
		(d.listeners == nil || subset(c.listeners, d.listeners)) &&
		(d.clients == nil || inside(c.clients, d.clients))
}

// subset reports whether every word of a is in b.
func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(w string) bool {
		_, found := slices.BinarySearch(b, w)
		return !found
	})
}

// inside reports whether every address of a is in b. As b is aggregated, one prefix of it holds each of a's.
func inside(a, b []netip.Prefix) bool {
	return !slices.ContainsFunc(a, func(p netip.Prefix) bool {
		return !slices.ContainsFunc(b, func(q netip.Prefix) bool { return contains(q, p) })
	})
}

// contains reports whether every address of inner is in outer.
func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

func canonicalWords(words []string) []string {
	if len(words) == 0 {
		return nil
	}
	words = slices.Clone(words)
	slices.Sort(words)
	return slices.Compact(words)
}

// aggregate returns the fewest prefixes that hold the same addresses, sorted. Prefixes that are not valid are left out.
func aggregate(prefixes []netip.Prefix) (out []netip.Prefix) {
	var sorted []netip.Prefix
	for _, p := range prefixes {
		if p.IsValid() {
			sorted = append(sorted, p.Masked())
		}
	}
	slices.SortFunc(sorted, netip.Prefix.Compare)
	for _, p := range sorted {
		if n := len(out); n > 0 && contains(out[n-1], p) {
			continue
		}
		out = mergeSiblings(append(out, p))
	}
	return out
}

// mergeSiblings replaces the last two prefixes, which are disjoint, by the one that they make up, as long as they do.
func mergeSiblings(list []netip.Prefix) []netip.Prefix {
	for n := len(list); n >= 2 && parent(list[n-2]) == parent(list[n-1]); n-- {
		list = append(list[:n-2], parent(list[n-1]))
	}
	return list
}

// parent is the prefix one bit shorter, or p itself if there is none.
func parent(p netip.Prefix) netip.Prefix {
	if p.Bits() == 0 {
		return p
	}
	return netip.PrefixFrom(p.Addr(), p.Bits()-1).Masked()
}

// cover finds, among routes with one host, one whose conditions hold whenever given ones do. The routes are filed by kinds
// of condition and by what their conditions mention, since one that covers must mention what is covered: so a
// host with very many routes is checked without comparing all pairs. The zero cover is empty.
type cover [allKinds + 1]struct {
	all      []covering // those without conditions: one at most
	byPrefix map[netip.Prefix][]covering
	byWord   map[string][]covering
}

type covering struct {
	entry
	*conds
}

// add files a route that nothing in v covers.
func (v *cover) add(e entry, c *conds) {
	row := covering{e, c}
	class := &v[c.kinds()]
	switch {
	case len(c.clients) > 0:
		if class.byPrefix == nil {
			class.byPrefix = map[netip.Prefix][]covering{}
		}
		for _, p := range c.clients {
			class.byPrefix[p] = append(class.byPrefix[p], row)
		}
	case c.kinds() == 0:
		class.all = append(class.all, row)
	default:
		if class.byWord == nil {
			class.byWord = map[string][]covering{}
		}
		for _, w := range c.words() {
			class.byWord[w] = append(class.byWord[w], row)
		}
	}
}

// words are what a route without a condition on clients is filed by.
func (c *conds) words() []string {
	if len(c.alpn) > 0 {
		return c.alpn
	}
	return c.listeners
}

// find returns a route that holds whenever c does, the first one filed where there are several of one kind.
func (v *cover) find(c *conds) (entry, bool) {
	for kinds := range v {
		if kinds&^c.kinds() != 0 {
			continue
		}
		if e, ok := v.findIn(kinds, c); ok {
			return e, true
		}
	}
	return entry{}, false
}

func (v *cover) findIn(kinds int, c *conds) (entry, bool) {
	class := &v[kinds]
	switch {
	case kinds == 0:
		return firstImplied(c, class.all)
	case kinds&hasClients == 0 && kinds&hasALPN != 0:
		return firstImplied(c, class.byWord[c.alpn[0]])
	case kinds&hasClients == 0:
		return firstImplied(c, class.byWord[c.listeners[0]])
	case class.byPrefix == nil:
		return entry{}, false
	}
	for p := c.clients[0]; ; p = parent(p) {
		if e, ok := firstImplied(c, class.byPrefix[p]); ok || p.Bits() == 0 {
			return e, ok
		}
	}
}

func firstImplied(c *conds, rows []covering) (entry, bool) {
	for _, row := range rows {
		if c.implies(row.conds) {
			return row.entry, true
		}
	}
	return entry{}, false
}
