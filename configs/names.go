package configs

import (
	"maps"
	"slices"

	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

// names are the names that the file gives, and which of the pools are used.
type names struct {
	listeners map[string]file.At
	pools     map[string]file.At
	used      map[string]bool
	example   string // the name of a pool, to show in hints
	misspelt  bool   // a reference to a pool leads nowhere: then an unused pool is no news
	// The name of a pool or a listener could not be read: then a reference that leads nowhere is no news.
	unreadPools, unreadListeners bool
}

// names collects the names of listeners, routes and pools; each must be unique among its kind.
func (c *checker) names(f *file.File) *names {
	n := &names{listeners: map[string]file.At{}, pools: map[string]file.At{}, used: map[string]bool{}}
	n.unreadListeners = f.Listeners == nil
	for i := range f.Listeners {
		c.unique("listener", f.Listeners[i].Name, n.listeners)
		n.unreadListeners = n.unreadListeners || !f.Listeners[i].Name.IsSet()
	}
	n.unreadPools = f.Pools == nil && f.Has("pools")
	for i := range f.Pools {
		c.unique("pool", f.Pools[i].Name, n.pools)
		n.unreadPools = n.unreadPools || !f.Pools[i].Name.IsSet()
	}
	n.example = "web"
	if len(f.Pools) > 0 && f.Pools[0].Name.IsSet() {
		n.example = f.Pools[0].Name.V
	}
	routes := make(map[string]file.At, len(f.Routes))
	for i := range f.Routes {
		c.unique("route", f.Routes[i].Name, routes)
	}
	return n
}

func (c *checker) unique(kind string, name file.Name, seen map[string]file.At) {
	if !name.IsSet() {
		return // missing or wrong, and said so
	}
	if first, ok := seen[name.V]; ok {
		c.errorf(name, "", "a second %s is named %q; the first is on line %d", kind, name.V, first.Line)
		return
	}
	seen[name.V] = name.At
}

// pool checks a reference to a pool and notes that the pool is used.
func (c *checker) pool(n *names, ref file.Name) {
	if !ref.IsSet() {
		return
	}
	n.used[ref.V] = true
	if _, ok := n.pools[ref.V]; ok {
		return
	}
	n.misspelt = true
	if !n.unreadPools {
		c.errorf(ref, c.known(ref.V, "pool", n.pools), "there is no pool %q", ref.V)
	}
}

// listener checks a reference to a listener.
func (c *checker) listener(n *names, ref file.Name) {
	if _, ok := n.listeners[ref.V]; !ok && ref.IsSet() && !n.unreadListeners {
		c.errorf(ref, c.known(ref.V, "listener", n.listeners), "there is no listener %q", ref.V)
	}
}

// known suggests the nearest name there is. After many mistakes it looks no further: each look is at all names.
func (c *checker) known(name, kind string, all map[string]file.At) string {
	const many = 20
	if len(c.mistakes) > many {
		return ""
	}
	words := slices.Sorted(maps.Keys(all))
	if hint := file.Nearest(name, words); hint != "" {
		return hint
	}
	if len(words) == 1 {
		return "the only " + kind + " is " + words[0]
	}
	return ""
}

// use warns of pools that nothing leads to.
func (c *checker) use(f *file.File, n *names) {
	if n.misspelt {
		return
	}
	for i := range f.Pools {
		if name := f.Pools[i].Name; name.IsSet() && !n.used[name.V] {
			c.warnf(name, "", "pool %q is not used by any route or listener", name.V)
		}
	}
}
