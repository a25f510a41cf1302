package top

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/seed-23b4a313/switchyard/admin"
)

// The tables, from the top of the screen.
const (
	tablePools = iota
	tableBackends
	tableNames
	numTables
)

// grid is a table ready to be laid out.
type grid struct {
	title string
	heads []string
	rows  [][]string
	left  int // columns from the left that are text; the others are numbers
}

// orders are the columns that each table can be sorted by; the first is the one it starts with.
var orders = [numTables][]string{
	tablePools:    {"open", "conn/s", "bytes/s", "failures", "name"},
	tableBackends: {"open", "conn/s", "bytes/s", "failures", "state", "address"},
	tableNames:    {"conn/s", "total", "idle", "name"},
}

// grids are all tables, sorted.
func (v *View) grids() [numTables]grid {
	backends := v.backends()
	return [numTables]grid{
		tablePools:    v.poolGrid(v.pools(backends)),
		tableBackends: v.backendGrid(backends),
		tableNames:    v.nameGrid(v.names()),
	}
}

// order is the word for what a table is sorted by.
func (v *View) order(table int) string { return orders[table][v.tables[table].sort] }

func (v *View) poolGrid(all []poolSum) grid {
	by := v.order(tablePools)
	slices.SortStableFunc(all, func(a, b poolSum) int {
		switch by {
		case "open":
			return cmp.Compare(b.open, a.open)
		case "conn/s":
			return cmp.Compare(b.perSecond, a.perSecond)
		case "bytes/s":
			return cmp.Compare(b.in+b.out, a.in+a.out)
		case "failures":
			return cmp.Compare(b.failures, a.failures)
		}
		return cmp.Compare(a.name, b.name)
	})
	g := grid{title: "POOLS", heads: []string{"pool", "backends", "open", "conn/s", "in/s", "out/s", "failures"}, left: 2}
	for i := range all {
		p := &all[i]
		g.rows = append(g.rows, []string{
			text(p.name), fmt.Sprintf("%d of %d up", p.up, p.backends), fmt.Sprint(p.open), number(p.perSecond),
			admin.FormatBytes(p.in), admin.FormatBytes(p.out), fmt.Sprint(p.failures),
		})
	}
	return g
}

func (v *View) backendGrid(all []backend) grid {
	by := v.order(tableBackends)
	slices.SortStableFunc(all, func(a, b backend) int {
		switch by {
		case "open":
			return cmp.Compare(b.Active, a.Active)
		case "conn/s":
			return cmp.Compare(b.perSecond, a.perSecond)
		case "bytes/s":
			return cmp.Compare(b.in+b.out, a.in+a.out)
		case "failures":
			return cmp.Compare(b.Failures, a.Failures)
		case "state":
			return cmp.Compare(a.State, b.State)
		}
		return cmp.Compare(a.Address, b.Address)
	})
	g := grid{title: "BACKENDS", heads: []string{"pool", "backend", "state", "weight", "open", "conn/s", "in/s", "out/s", "total", "failures"}, left: 3}
	for i := range all {
		b := &all[i]
		g.rows = append(g.rows, []string{
			text(b.pool), text(b.Address), state(b.State), fmt.Sprint(b.Weight), fmt.Sprint(b.Active), number(b.perSecond),
			admin.FormatBytes(b.in), admin.FormatBytes(b.out), fmt.Sprint(b.Total), fmt.Sprint(b.Failures),
		})
	}
	return g
}

// state is the word for a state; of a backend that nobody checks, more is not known.
func state(word string) string {
	if word == "unknown" {
		return "no check"
	}
	return text(word)
}

func (v *View) nameGrid(all []name) grid {
	by := v.order(tableNames)
	slices.SortStableFunc(all, func(a, b name) int {
		switch by {
		case "conn/s":
			return cmp.Or(cmp.Compare(b.perSecond, a.perSecond), cmp.Compare(b.count, a.count))
		case "total":
			return cmp.Compare(b.count, a.count)
		case "idle":
			return cmp.Compare(a.idle, b.idle)
		}
		return cmp.Compare(a.name, b.name)
	})
	g := grid{title: "NAMES", heads: []string{"name", "pool", "conn/s", "total", "idle"}, left: 2}
	for i := range all {
		n := &all[i]
		pool := text(n.pool)
		if n.pool == "" {
			pool = "-"
		}
		g.rows = append(g.rows, []string{text(n.name), pool, number(n.perSecond), fmt.Sprint(n.count), span(n.idle)})
	}
	return g
}
