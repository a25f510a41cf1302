package route

import (
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/hashicorp/go-memdb"
)

// The tables of the database. Each has the one index that memdb asks for.
const (
	tableHosts       = "hosts"       // *hostRow by key: exact, "*." and "*" hosts in one tree
	tableExpressions = "expressions" // *expressionRow by the order in which they are tried
	tableRoutes      = "routes"      // *Route by name
	tableListeners   = "listeners"   // *Listener by name
	tablePools       = "pools"       // *poolRow by name
)

// hostRow is one host with everything that can be chosen for it. It is never changed once it is in the database.
type hostRow struct {
	key        string // see appendKey
	candidates []candidate
}

// expressionRow is one "~regexp" host. It is never changed once it is in the database.
type expressionRow struct {
	order      mention // the first one in the file: what is tried first does not depend on how many come before
	expr       *expression
	candidates []candidate
}

// id says which host the row is.
func (r *hostRow) id() hostID {
	switch {
	case r.matchesAny():
		return hostID{kindAny, r.key}
	case r.key[len(r.key)-1] == endSuffix:
		return hostID{kindSuffix, r.key}
	default:
		return hostID{kindExact, r.key}
	}
}

func (r *expressionRow) pattern() pattern {
	return pattern{kind: kindRegexp, key: r.expr.canonical, expr: r.expr}
}

// mention is where a host stands in the file: in which route, by Route.Index, and as which of its hosts.
type mention struct{ route, host int }

// poolRow is the name of a pool. It is never changed once it is in the database.
type poolRow struct {
	order int // ascending in file order, with holes
	name  string
}

// candidate is a route that names a host.
type candidate struct {
	route *Route
	host  int // which of its Hosts
}

var schema = &memdb.DBSchema{Tables: map[string]*memdb.TableSchema{
	tableHosts:       tableOf(tableHosts, func(r *hostRow) []byte { return []byte(r.key) }),
	tableExpressions: tableOf(tableExpressions, func(r *expressionRow) []byte { return r.order.key() }),
	tableRoutes:      tableOf(tableRoutes, func(r *Route) []byte { return []byte(r.Name) }),
	tableListeners:   tableOf(tableListeners, func(l *Listener) []byte { return []byte(l.Name) }),
	tablePools:       tableOf(tablePools, func(p *poolRow) []byte { return []byte(p.name) }),
}}

// tableOf is the schema of a table of *T ordered by key.
func tableOf[T any](name string, key func(*T) []byte) *memdb.TableSchema {
	return &memdb.TableSchema{
		Name:    name,
		Indexes: map[string]*memdb.IndexSchema{"id": {Name: "id", Unique: true, Indexer: rawIndex[T]{key}}},
	}
}

// key makes mentions sort as a file has them.
func (m mention) key() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(m.route)), uint64(m.host))
}

// rawIndex indexes *T by the bytes of key as they are. memdb's own string index ends every key in a NUL, with which
// its LongestPrefix finds nothing.
type rawIndex[T any] struct{ key func(*T) []byte }

// FromObject returns the key of a row.
func (x rawIndex[T]) FromObject(obj any) (bool, []byte, error) {
	row, ok := obj.(*T)
	if !ok {
		return false, nil, fmt.Errorf("row is a %T", obj)
	}
	return true, x.key(row), nil
}

// FromArgs takes the key looked for, as a string or, without allocating, as a *searchKey.
func (x rawIndex[T]) FromArgs(args ...any) ([]byte, error) {
	if len(args) != 1 {
		return nil, fmt.Errorf("%d keys given, want 1", len(args))
	}
	switch key := args[0].(type) {
	case *searchKey:
		return key.bytes, nil
	case string:
		return []byte(key), nil
	default:
		return nil, fmt.Errorf("key is a %T", key)
	}
}

// PrefixFromArgs is FromArgs: keys have no terminator to leave out.
func (x rawIndex[T]) PrefixFromArgs(args ...any) ([]byte, error) { return x.FromArgs(args...) }

// objects returns all rows of a table in the order of their keys.
func objects(txn *memdb.Txn, table string) memdb.ResultIterator {
	it, err := txn.Get(table, "id")
	must(err)
	return it
}

// rows yields all rows of a table in the order of their keys.
func rows[T any](txn *memdb.Txn, table string) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		it := objects(txn, table)
		for obj := it.Next(); obj != nil; obj = it.Next() {
			if !yield(obj.(*T)) {
				return
			}
		}
	}
}

// first returns the row of a table with that key, or nil.
func first[T any](txn *memdb.Txn, table, key string) *T {
	obj, err := txn.First(table, "id", key)
	must(err)
	row, _ := obj.(*T)
	return row
}

// must panics if err is not nil: memdb only fails for a table, an index or a row of the wrong type, and all
// of these are constants of this package.
func must(err error) {
	if err != nil {
		panic("route: " + err.Error())
	}
}
