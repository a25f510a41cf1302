package configs

import (
	"fmt"
	"strings"

	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

// step takes up one change of a transaction, which has exactly one key.
func (e *edit) step(i int, x *file.Change) {
	here := fmt.Sprintf("changes[%d]", i)
	keys := []string{"put_route", "delete_route", "put_pool", "delete_pool", "backend"}
	var said []string
	for _, key := range keys {
		if x.Has(key) {
			said = append(said, key)
		}
	}
	switch {
	case len(said) > 1:
		e.errorf(x, "make two changes of them", "%s has both %s and %s", here, said[0], said[1])
	case len(said) == 1:
		e.stepOf(here, x)
	case x.Sound():
		e.errorf(x, "", "%s needs one of %s and %s", here, strings.Join(keys[:4], ", "), keys[4])
	}
}

// stepOf takes up a change by its one key. One whose value could not be read has no name, and was reported.
func (e *edit) stepOf(here string, x *file.Change) {
	running, result := e.names.running, &e.result.Edit
	put := Entry{Text: x.Text, Origin: e.texts[0].name + " " + here}
	switch {
	case x.PutRoute != nil:
		e.putRoute(*x.PutRoute, put)
	case x.PutPool != nil:
		e.putPool(*x.PutPool, put)
	case x.Backend != nil:
		e.backend(x.Backend)
	case x.Has("delete_route"):
		name := x.DeleteRoute
		if e.delete("route", name, running.HasRoute(name.V), running.RouteNames, here) {
			result.DeleteRoutes = append(result.DeleteRoutes, name.V)
		}
	case x.Has("delete_pool"):
		name := x.DeletePool
		if e.delete("pool", name, running.HasPool(name.V), running.PoolNames, here) {
			result.DeletePools = append(result.DeletePools, name.V)
		}
	}
}
