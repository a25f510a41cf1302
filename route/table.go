package route

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-memdb"
)

// Table is the live routing table. Its methods may be called by any number of goroutines.
type Table struct {
	db      *memdb.MemDB
	replace sync.Mutex               // held while db and current change together
	current atomic.Pointer[Snapshot] // of what db holds; never nil
}

// NewTable builds a table from s. The error joins everything that [Check] finds, each a [Conflict].
func NewTable(s *Set) (*Table, error) {
	db, err := memdb.NewMemDB(schema)
	must(err)
	t := &Table{db: db}
	if err := t.Replace(s); err != nil {
		return nil, err
	}
	return t, nil
}

// Replace makes s the content of the table in one write transaction, or changes nothing and returns an error that joins
// everything that [Check] finds. Snapshots taken before stay as they are. The caller may change s afterwards.
func (t *Table) Replace(s *Set) error {
	p := newPlan(s)
	if len(p.conflicts) > 0 {
		return refused(p.conflicts)
	}
	t.replace.Lock()
	defer t.replace.Unlock()
	txn := t.db.Txn(true)
	for table := range schema.Tables {
		_, err := txn.DeletePrefix(table, "id_prefix", "")
		must(err)
	}
	p.insert(txn)
	txn.Commit()
	t.current.Store(newSnapshot(t.db))
	return nil
}

func refused(conflicts []Conflict) error {
	errs := make([]error, len(conflicts))
	for i, c := range conflicts {
		errs[i] = c
	}
	return fmt.Errorf("route: table refused: %w", errors.Join(errs...))
}

// Snapshot returns the present content. It costs one atomic load.
func (t *Table) Snapshot() *Snapshot { return t.current.Load() }

// Snapshot is a consistent view of the table; it stays as it is while the table changes. Any number of
// goroutines may use one, and it needs no closing.
type Snapshot struct {
	txn *memdb.Txn // read-only: every use of it is a read of the immutable trees below its root
	// expressions is tableExpressions read once: they are tried one after the other, and most tables have none.
	expressions []*expressionRow
}

func newSnapshot(db *memdb.MemDB) *Snapshot {
	s := &Snapshot{txn: db.Txn(false)}
	for row := range rows[expressionRow](s.txn, tableExpressions) {
		s.expressions = append(s.expressions, row)
	}
	return s
}

// Routes returns all routes in file order. They are read only; the slice is the caller's.
func (s *Snapshot) Routes() (routes []*Route) {
	for r := range rows[Route](s.txn, tableRoutes) {
		routes = append(routes, r)
	}
	return routes
}

// Pools returns the names of all pools in file order. The slice is the caller's.
func (s *Snapshot) Pools() (names []string) {
	for p := range rows[poolRow](s.txn, tablePools) {
		names = append(names, p.name)
	}
	return names
}

// listener returns the listener of that name, or nil.
func (s *Snapshot) listener(name string) *Listener {
	obj, err := s.txn.First(tableListeners, "id", name)
	must(err)
	l, _ := obj.(*Listener)
	return l
}

// longest returns the most specific host whose key is a prefix of key, or nil.
func (s *Snapshot) longest(key *searchKey) *hostRow {
	obj, err := s.txn.LongestPrefix(tableHosts, "id_prefix", key)
	must(err)
	row, _ := obj.(*hostRow)
	return row
}
