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
	tableRoutes      = "routes"      // *Route by position in the file
	tableListeners   = "listeners"   // *Listener by name
	tablePools       = "pools"       // *poolRow by position in the file
)

// hostRow is one host with everything that can be chosen for it. It is never changed once it is in the database.
type hostRow struct {
	key        string // see appendKey
	candidates []candidate
}

// expressionRow is one "~regexp" host. It is never changed once it is in the database.
type expressionRow struct {
	order      int
	expr       *expression
	candidates []candidate
}

// poolRow is the name of a pool. It is never changed once it is in the database.
type poolRow struct {
	order int
	name  string
}

// candidate is a route that one host names.
type candidate struct {
	host  string // as written in this route
	route *Route
}

var schema = &memdb.DBSchema{Tables: map[string]*memdb.TableSchema{
	tableHosts:       tableOf(tableHosts, func(r *hostRow) []byte { return []byte(r.key) }),
	tableExpressions: tableOf(tableExpressions, func(r *expressionRow) []byte { return orderKey(r.order) }),
	tableRoutes:      tableOf(tableRoutes, func(r *Route) []byte { return orderKey(r.Index) }),
	tableListeners:   tableOf(tableListeners, func(l *Listener) []byte { return []byte(l.Name) }),
	tablePools:       tableOf(tablePools, func(p *poolRow) []byte { return orderKey(p.order) }),
}}

// tableOf is the schema of a table of *T ordered by key.
func tableOf[T any](name string, key func(*T) []byte) *memdb.TableSchema {
	return &memdb.TableSchema{
		Name:    name,
		Indexes: map[string]*memdb.IndexSchema{"id": {Name: "id", Unique: true, Indexer: rawIndex[T]{key}}},
	}
}

// orderKey makes a position sort as a number.
func orderKey(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

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

// rows yields all rows of a table in the order of their keys.
func rows[T any](txn *memdb.Txn, table string) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		it, err := txn.Get(table, "id")
		must(err)
		for obj := it.Next(); obj != nil; obj = it.Next() {
			if !yield(obj.(*T)) {
				return
			}
		}
	}
}

// must panics if err is not nil: memdb only fails for a table, an index or a row of the wrong type, and all
// of these are constants of this package.
func must(err error) {
	if err != nil {
		panic("route: " + err.Error())
	}
}
