package balancer

import (
	"slices"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/route"
)

// Edit is a change of a few routes and pools by name; all others stay as they are. What is there by that name is
// replaced in its place, what is new comes after all others.
type Edit struct {
	PutRoutes    []route.Route
	DeleteRoutes []string
	PutPools     []pool.Config
	DeletePools  []string
}

// routes is the part of e that concerns the table.
func (e *Edit) routes() *route.Edit {
	r := &route.Edit{PutRoutes: e.PutRoutes, DeleteRoutes: e.DeleteRoutes, DeletePools: e.DeletePools}
	for i := range e.PutPools {
		r.PutPools = append(r.PutPools, e.PutPools[i].Name)
	}
	return r
}

// pools are the pools as e leaves them.
func (e *Edit) pools(have []pool.Config) []pool.Config {
	at := make(map[string]int, len(have))
	for i := range have {
		at[have[i].Name] = i
	}
	have = slices.Clone(have)
	for _, p := range e.PutPools {
		if i, ok := at[p.Name]; ok {
			have[i] = p
		} else {
			have = append(have, p)
		}
	}
	if len(e.DeletePools) == 0 {
		return have
	}
	return slices.DeleteFunc(have, func(p pool.Config) bool { return slices.Contains(e.DeletePools, p.Name) })
}
