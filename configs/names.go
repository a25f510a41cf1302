package configs

import (
	"cmp"
	"maps"
	"slices"

	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

// names are what references can lead to, and which of the pools are used.
type names struct {
	listeners, pools, routes map[string]file.At // that the text gives

	running Running // where more names are; nil: the text gives all of them
	gone    deleted
	used    map[string]bool // pools
	example string          // the first pool of the text; "" if it has none
	// A reference to a pool leads nowhere: then an unused pool is no news.
	misspelt bool
	// The name of a pool, a listener or a route could not be read: then a reference that leads nowhere is no news.
	unreadPools, unreadListeners, unreadRoutes bool
}

// deleted are routes and pools that entries or a transaction delete, each with who does it.
type deleted map[ref]string

// ref is a name of one kind: "route" or "pool".
type ref struct{ kind, name string }

// names collects the names of listeners, routes and pools; each must be unique among its kind.
func (c *checker) names(f *file.File, gone deleted) *names {
	n := &names{
		listeners: map[string]file.At{}, pools: map[string]file.At{}, routes: make(map[string]file.At, len(f.Routes)),
		gone: gone, used: map[string]bool{},
	}
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
	if len(f.Pools) > 0 {
		n.example = f.Pools[0].Name.V
	}
	n.unreadRoutes = f.Routes == nil && f.Has("routes")
	for i := range f.Routes {
		c.unique("route", f.Routes[i].Name, n.routes)
		n.unreadRoutes = n.unreadRoutes || !f.Routes[i].Name.IsSet()
	}
	return n
}

func (c *checker) unique(kind string, name file.Name, seen map[string]file.At) {
	if !name.IsSet() {
		return // missing or wrong, and said so
	}
	if first, ok := seen[name.V]; ok {
		c.errorf(name, "", "a second %s is named %q; the first is on %s", kind, name.V, c.line(first, name.At))
		return
	}
	seen[name.V] = name.At
}

// pool checks a reference to a pool and notes that the pool is used.
func (c *checker) pool(n *names, name file.Name) {
	if name.IsSet() {
		n.used[name.V] = true
		n.misspelt = !c.poolExists(n, name) || n.misspelt
	}
}

// poolExists checks a reference that leads no connection to the pool.
func (c *checker) poolExists(n *names, name file.Name) bool {
	if !name.IsSet() || n.hasPool(name.V) {
		return true
	}
	if !n.unreadPools {
		c.nowhere(n, "pool", name, n.poolNames)
	}
	return false
}

func (n *names) hasPool(name string) bool {
	if _, ok := n.pools[name]; ok || n.running == nil {
		return ok
	}
	_, gone := n.gone[ref{"pool", name}]
	return !gone && n.running.HasPool(name)
}

// poolNames are all names of pools, for a hint.
func (n *names) poolNames() []string {
	all := slices.Sorted(maps.Keys(n.pools))
	if n.running != nil {
		all = append(all, n.running.PoolNames()...)
	}
	return slices.DeleteFunc(all, func(name string) bool { return !n.hasPool(name) })
}

// examplePool is the name of a pool, to show in a hint.
func (n *names) examplePool() string {
	if n.example == "" && n.running != nil {
		if all := n.running.PoolNames(); len(all) > 0 {
			n.example = all[0]
		}
	}
	return cmp.Or(n.example, "web")
}

// listener checks a reference to a listener.
func (c *checker) listener(n *names, name file.Name) {
	if _, ok := n.listeners[name.V]; !ok && name.IsSet() && !n.unreadListeners {
		c.nowhere(n, "listener", name, func() []string { return slices.Sorted(maps.Keys(n.listeners)) })
	}
}

// route checks a reference to a route of the file.
func (c *checker) route(n *names, name file.Name) {
	if _, ok := n.routes[name.V]; !ok && name.IsSet() && !n.unreadRoutes {
		c.nowhere(n, "route", name, func() []string { return slices.Sorted(maps.Keys(n.routes)) })
	}
}

// nowhere reports a reference that leads nowhere, and suggests the nearest name there is. After many mistakes it looks
// no further: each look is at all names.
func (c *checker) nowhere(n *names, kind string, name file.Name, known func() []string) {
	const many = 20
	hint := ""
	if who, ok := n.gone[ref{kind, name.V}]; ok {
		hint = who + " deletes it"
	} else if len(c.mistakes) <= many {
		hint = nearest(name.V, kind, known())
	}
	c.errorf(name, hint, "there is no %s %q", kind, name.V)
}

func nearest(name, kind string, words []string) string {
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
