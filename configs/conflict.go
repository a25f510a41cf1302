package configs

import (
	"errors"

	"github.com/seed-23b4a313/switchyard/configs/internal/file"
	"github.com/seed-23b4a313/switchyard/route"
)

// table builds the routing table, which says itself what is wrong with the hosts, and with routes beside each other.
// It returns nil unless everything is sound so far and the table is wanted: a check costs half as much.
func (c *checker) table(routes []file.Route, set *route.Set, wanted bool) *route.Table {
	if !wanted || len(c.mistakes) > 0 {
		c.conflicts(routes, route.Check(set))
		return nil
	}
	table, err := route.NewTable(set)
	found, _ := conflictsOf(err)
	c.conflicts(routes, found)
	return table
}

// conflicts reports what the table has found. What is wrong with other keys than the hosts was said before, with the
// place of the value.
func (c *checker) conflicts(routes []file.Route, found []route.Conflict) {
	sound := len(c.mistakes) == 0
	for i := range found {
		x := &found[i]
		if x.Route < 0 || !sound && x.Host < 0 {
			continue
		}
		c.conflict(routes, x)
	}
}

// conflict reports a conflict at the host or the route of the text that it points at.
func (c *checker) conflict(routes []file.Route, x *route.Conflict) {
	at := hostPlace(&routes[x.Route], x.Host)
	if !at.IsSet() {
		return // a host that could not be read, and said so
	}
	c.errorf(at, c.conflictHint(routes, x, at), "%s", x.Msg)
}

// conflictHint says where the other route is, to somebody who looks at the first one.
func (c *checker) conflictHint(routes []file.Route, x *route.Conflict, from file.At) string {
	if x.Other < 0 || x.Other == x.Route {
		return ""
	}
	return "the other one is on " + c.line(hostPlace(&routes[x.Other], x.OtherHost), from)
}

// hostPlace is where a host of a route stands, or the route where there is no such host. After the hosts there is no_sni.
func hostPlace(r *file.Route, host int) file.At {
	switch {
	case host >= 0 && host < len(r.Hosts):
		return r.Hosts[host].At
	case host == len(r.Hosts) && r.NoSNI.V:
		return r.NoSNI.At
	}
	return r.Place()
}

// conflictsOf takes the conflicts out of an error that joins them, and what else there is.
func conflictsOf(err error) (found []route.Conflict, rest []error) {
	if x, ok := err.(route.Conflict); ok {
		return []route.Conflict{x}, nil
	}
	var parts []error
	switch e := err.(type) {
	case nil:
		return nil, nil
	case interface{ Unwrap() []error }:
		parts = e.Unwrap()
	case interface{ Unwrap() error }:
		if _, ok := errors.AsType[route.Conflict](err); ok {
			parts = []error{e.Unwrap()}
		}
	}
	if parts == nil {
		return nil, []error{err}
	}
	for _, part := range parts {
		f, r := conflictsOf(part)
		found, rest = append(found, f...), append(rest, r...)
	}
	return found, rest
}

// RouteErrors gives the conflicts that a routing table has found in a change their places in the text that c was read
// from, as [Errors] whose file is the origin. What points at nothing in that text is on line 1. An error that holds no
// [route.Conflict] comes back as it is.
func RouteErrors(origin string, c *Change, err error) error {
	found, rest := conflictsOf(err)
	if len(found) == 0 {
		return err
	}
	if c == nil {
		c = &Change{}
	}
	k := &checker{texts: []text{{name: origin, data: []byte(c.text)}}}
	for i := range found {
		k.editConflict(c, &found[i])
	}
	for _, r := range rest {
		k.errorf(topOf(0), "", "%s", r)
	}
	return illustrate(k.texts, k.mistakes)
}

// editConflict reports a conflict of a change. Unlike that of a file it may be with what is no part of the text, or about
// such a thing; then the part of the text that it is with, if any, is the place.
func (c *checker) editConflict(x *Change, found *route.Conflict) {
	at := topOf(0)
	deletes := x.deletes[found.Field]
	switch {
	case found.Route >= 0 && found.Route < len(x.routes):
		c.conflict(x.routes, found)
		return
	case found.Item >= 0 && found.Item < len(deletes):
		at = deletes[found.Item]
	case found.Listener < 0 && found.Other >= 0 && found.Other < len(x.routes):
		at = hostPlace(&x.routes[found.Other], found.OtherHost)
	}
	c.errorf(at, "", "%s", found.Msg)
}

// topOf is the start of a text.
func topOf(number int) file.At { return file.At{Line: 1, Col: 1, Text: int32(number)} }
