package configs

import (
	"github.com/seed-23b4a313/switchyard/configs/internal/file"
	"github.com/seed-23b4a313/switchyard/route"
)

// edit is a request on its way to a Change.
type edit struct {
	checker
	result   Change
	names    *names
	touched  map[ref]file.At      // routes and pools that are put or deleted
	putPools []file.Pool          // in the order of the request, as result.routes are
	states   []*file.BackendState // likewise
}

func newEdit(origin string, data []byte, dir string, r Running) *edit {
	n := &names{listeners: map[string]file.At{}, pools: map[string]file.At{}, running: r, gone: deleted{}, used: map[string]bool{}}
	for _, l := range r.Listeners() {
		n.listeners[l.Name] = file.At{}
	}
	e := &edit{names: n, touched: map[ref]file.At{}}
	e.result.deletes = map[string][]file.At{}
	e.dir, e.texts = dir, []text{{name: origin, data: data}}
	return e
}

// touch notes that a name is put or deleted, which may happen once in a request. It reports whether it did.
func (e *edit) touch(kind string, name file.Name) bool {
	if !name.IsSet() {
		return false // missing or wrong, and said so
	}
	r := ref{kind, name.V}
	if first, ok := e.touched[r]; ok {
		e.errorf(name, "say all of it in one change", "%s %q is in the transaction twice; the first is on %s", kind, name.V, e.line(first, name.At))
		return false
	}
	e.touched[r] = name.At
	return true
}

func (e *edit) putRoute(r file.Route, entry Entry) {
	if !e.touch("route", r.Name) {
		return
	}
	entry.Kind, entry.Name = "route", r.Name.V
	e.result.Entries = append(e.result.Entries, entry)
	e.result.routes = append(e.result.routes, r)
}

func (e *edit) putPool(p file.Pool, entry Entry) {
	if !e.touch("pool", p.Name) {
		return
	}
	entry.Kind, entry.Name = "pool", p.Name.V
	e.result.Entries = append(e.result.Entries, entry)
	e.putPools = append(e.putPools, p)
	e.names.pools[p.Name.V] = p.Name.At
}

// delete takes up that the change `here` deletes a route or a pool, and reports whether there is one to delete. All names
// of that kind are known.
func (e *edit) delete(kind string, name file.Name, has bool, known func() []string, here string) bool {
	if !e.touch(kind, name) {
		return false
	}
	if !has {
		e.nowhere(e.names, kind, name, known)
		return false
	}
	e.names.gone[ref{kind, name.V}] = here
	list := "delete_" + kind + "s"
	e.result.deletes[list] = append(e.result.deletes[list], name.At)
	e.result.Entries = append(e.result.Entries, Entry{Kind: kind, Name: name.V, Origin: e.texts[0].name + " " + here})
	return true
}

// addressed gives a backend the address by which it was addressed.
func (e *edit) addressed(b *file.BackendState, address string) {
	t, msg, hint := file.ParseTarget(address)
	switch said := b.Address; {
	case msg != "":
		e.errorf(topOf(0), hint, "the address of the backend: %s", msg)
	case said.IsSet() && targetText(said) != targetText(t):
		e.errorf(said, "leave the address out here", "this is the backend %s, not %s", targetText(t), targetText(said))
	}
	t.At = topOf(0)
	b.Address = t
}

// backend keeps what is said of a backend until the pools are known.
func (e *edit) backend(b *file.BackendState) {
	if !b.Has("state") && !b.Has("weight") && b.Sound() {
		e.errorf(b, "for example `state: drain`", "the backend needs one of state and weight")
	}
	if b.Pool.IsSet() && b.Address.IsSet() {
		e.states = append(e.states, b)
	}
}

// change checks all parts against each other and against what runs.
func (e *edit) change() (*Change, error) {
	x := &e.result
	x.Edit.PutRoutes = e.routes(x.routes, e.names)
	x.Edit.PutPools = e.pools(e.putPools)
	if len(e.putPools) > 0 {
		e.loops(e.putPools, portsOf(e.names.running))
	}
	e.nameless()
	e.backends()
	e.table(x.routes, e.set(), false)
	if errs := illustrate(e.texts, e.mistakes); errs != nil {
		return nil, errs
	}
	x.Warnings = illustrate(e.texts, e.warnings)
	x.text = string(e.texts[0].data)
	return x, nil
}

// set is as much of the routing table as the routes of the edit concern.
func (e *edit) set() *route.Set {
	set := &route.Set{Routes: e.result.Edit.PutRoutes}
	for name := range e.names.listeners {
		set.Listeners = append(set.Listeners, route.Listener{Name: name})
	}
	for name := range e.names.used {
		set.Pools = append(set.Pools, name)
	}
	return set
}

// backends gives what is said of backends its meaning.
func (e *edit) backends() {
	seen := map[ref]file.At{}
	for _, b := range e.states {
		e.pool(e.names, b.Pool)
		address := targetText(b.Address)
		if first, ok := seen[ref{b.Pool.V, address}]; ok {
			e.errorf(b.Address, "say all of it in one change", "backend %s of pool %q is in the transaction twice; the first is on %s",
				address, b.Pool.V, e.line(first, b.Address.At))
		}
		seen[ref{b.Pool.V, address}] = b.Address.At
		e.result.Backends = append(e.result.Backends, backendChange(b, address))
	}
}

func backendChange(b *file.BackendState, address string) BackendChange {
	x := BackendChange{Pool: b.Pool.V, Address: address, State: b.State.V, ResetWeight: b.Weight.Null}
	if b.Weight.IsSet() && !b.Weight.Null {
		x.Weight = &b.Weight.V
	}
	return x
}
