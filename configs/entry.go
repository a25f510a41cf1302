package configs

import "github.com/seed-23b4a313/switchyard/configs/internal/file"

// Entry is one change made at run time to a route or a pool of the file: its text, or its removal.
type Entry struct {
	Kind   string `json:"kind"`           // "route" or "pool"
	Name   string `json:"name"`           // of the route or the pool; the text may repeat it
	Text   string `json:"text,omitempty"` // as the file would have it, a mapping in YAML or JSON; "": it is deleted
	Origin string `json:"origin"`         // stands for the file name in messages: "PUT /v1/routes/api"
}

// overlay puts entries on top of a file, and returns what they delete and put nowhere else, and for each entry whether the
// file by itself has something of its name. Where a list of the file could not be read, its entries wait until it can.
func (c *checker) overlay(f *file.File, entries []Entry) (deleted, []bool) {
	if len(entries) == 0 {
		return nil, nil
	}
	inFile := make([]bool, len(entries))
	gone := deleted{}
	routes := newLayer("route", f.Routes, func(r *file.Route) string { return r.Name.V }, gone)
	pools := newLayer("pool", f.Pools, func(p *file.Pool) string { return p.Name.V }, gone)
	for i, e := range entries {
		c.texts = append(c.texts, text{name: e.Origin, data: []byte(e.Text)})
		inFile[i] = e.Kind == "route" && routes.has(e.Name) || e.Kind == "pool" && pools.has(e.Name)
		switch {
		case e.Kind == "route" && e.Text == "":
			routes.remove(e)
		case e.Kind == "route":
			if r := c.readRoute(e.Name, i+1); r != nil {
				routes.put(e, *r)
			}
		case e.Kind == "pool" && e.Text == "":
			pools.remove(e)
		case e.Kind == "pool":
			pools.put(e, *c.readPool(e.Name, i+1))
		default:
			c.errorf(topOf(i+1), "it is route or pool", "%q is no kind of entry", e.Kind)
		}
	}
	if f.Routes != nil || !f.Has("routes") {
		f.Routes = routes.left()
	}
	if f.Pools != nil || !f.Has("pools") {
		f.Pools = pools.left()
	}
	return gone, inFile
}

// layer is a list of the file with entries on top.
type layer[T any] struct {
	kind    string
	rows    []T
	own     int            // rows of the file
	at      map[string]int // by name; -1 for one that the file has twice, which is a mistake and stays one
	removed map[int]bool   // rows
	gone    deleted
}

func newLayer[T any](kind string, rows []T, name func(*T) string, gone deleted) *layer[T] {
	l := &layer[T]{kind: kind, rows: rows, own: len(rows), at: make(map[string]int, len(rows)), removed: map[int]bool{}, gone: gone}
	for i := range rows {
		n := name(&rows[i])
		if _, twice := l.at[n]; twice {
			l.at[n] = -1
		} else {
			l.at[n] = i
		}
	}
	return l
}

// has reports whether the file has a row of that name, which no entry has deleted.
func (l *layer[T]) has(name string) bool {
	i, ok := l.at[name]
	return ok && i < l.own
}

func (l *layer[T]) put(e Entry, row T) {
	delete(l.gone, ref{l.kind, e.Name})
	switch i, ok := l.at[e.Name]; {
	case !ok:
		l.at[e.Name] = len(l.rows)
		l.rows = append(l.rows, row)
	case i >= 0:
		l.rows[i] = row
	}
}

func (l *layer[T]) remove(e Entry) {
	i, ok := l.at[e.Name]
	if !ok || i < 0 {
		return
	}
	l.removed[i] = true
	delete(l.at, e.Name)
	l.gone[ref{l.kind, e.Name}] = e.Origin
}

// left returns the rows that are left, in order.
func (l *layer[T]) left() []T {
	if len(l.removed) == 0 {
		return l.rows
	}
	left := l.rows[:0]
	for i := range l.rows {
		if !l.removed[i] {
			left = append(left, l.rows[i])
		}
	}
	return left
}

// readRoute reads the text of a route whose name is known already. It returns nil if nothing could be made of it.
func (c *checker) readRoute(name string, number int) *file.Route {
	r, mistakes := file.ReadRoute(c.texts[number].data, number)
	c.mistakes = append(c.mistakes, mistakes...)
	if r != nil {
		c.called("route", &r.Name, name, number)
	}
	return r
}

// readPool reads the text of a pool whose name is known already. The pool has that name even if nothing could be made of
// the text, so that references to it are no mistakes too.
func (c *checker) readPool(name string, number int) *file.Pool {
	p, mistakes := file.ReadPool(c.texts[number].data, number)
	c.mistakes = append(c.mistakes, mistakes...)
	if p == nil {
		p = &file.Pool{}
	}
	c.called("pool", &p.Name, name, number)
	return p
}

// called gives a route or a pool the name by which it was addressed. Its text may say the name again, and no other one.
func (c *checker) called(kind string, said *file.Name, name string, number int) {
	if msg, hint := file.CheckName(name); msg != "" {
		c.errorf(topOf(number), hint, "the name of the %s: %s", kind, msg)
		*said = file.Name{}
		return
	}
	if said.IsSet() && said.V != name {
		c.errorf(*said, "leave the name out here", "this is the %s %q, not %q", kind, name, said.V)
	}
	at := topOf(number)
	if said.IsSet() {
		at = said.At
	}
	*said = file.Name{At: at, V: name}
}
