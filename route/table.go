package route

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-memdb"
)

// Table is the live routing table. Its methods may be called by any number of goroutines: readers are never blocked, and
// changes wait for each other.
type Table struct {
	db      *memdb.MemDB
	write   sync.Mutex               // held from the start of a change until db and current have changed together
	current atomic.Pointer[Snapshot] // of what db holds; never nil
}

// NewTable builds a table from s. The error joins everything that [Check] finds, each a [Conflict].
func NewTable(s *Set) (*Table, error) {
	db, err := memdb.NewMemDB(schema)
	must(err)
	t := &Table{db: db}
	t.current.Store(newSnapshot(db.Txn(false), sizes{}))
	if err := t.Replace(s); err != nil {
		return nil, err
	}
	return t, nil
}

// Replace is [Table.Prepare] and [Pending.Commit] in one.
func (t *Table) Replace(s *Set) error {
	p, err := t.Prepare(s)
	if err != nil {
		return err
	}
	p.Commit()
	return nil
}

// Prepare makes s the whole content of the table, in one write transaction that is not committed yet. An error joins
// everything that [Check] finds, each a [Conflict], and then nothing is pending. The caller may change s afterwards.
//
// Only rows that are not as they were are written. A route of which nothing changed stays the same *Route, from snapshot
// to snapshot; so do the rows of its hosts, unless another route of the same host changed. Checking and comparing take
// time that grows with s all the same: some 0.13 s for 100 000 routes. A route that comes between two others may move
// the Index of those behind it, once: after that there is room.
//
// It waits until no other change is pending.
func (t *Table) Prepare(s *Set) (*Pending, error) {
	p := newPlan(s, t.Snapshot())
	if len(p.conflicts) > 0 {
		return nil, refused(p.conflicts)
	}
	d := t.begin()
	defer d.end()
	return d.pending(d.replace(p)), nil
}

// PrepareEdit changes a few rows, in one write transaction that is not committed yet. What comes out is held to all that
// [Check] says of a whole [Set]; an error joins what is wrong, each a [Conflict] that points into e, and then nothing is
// pending. The caller may change e afterwards.
//
// Its time grows with the routes of e and with those that share a host with them, not with the table; only who names a
// deleted pool is looked for in all routes. If a "*." host or an expression is concerned, all expressions are looked at.
//
// It waits until no other change is pending.
func (t *Table) PrepareEdit(e *Edit) (*Pending, error) {
	d := t.begin()
	defer d.end()
	p := newEditPlan(d.base, e)
	if len(p.conflicts) > 0 {
		return nil, refused(p.conflicts)
	}
	return d.pending(d.edit(p)), nil
}

// PrepareSnapshot goes back to s, an earlier snapshot of the same table, in one write transaction that is not committed
// yet. Nothing needs to be checked, so it cannot fail: s was the content once. The rows become those of s, the same
// objects.
//
// It waits until no other change is pending.
func (t *Table) PrepareSnapshot(s *Snapshot) *Pending {
	d := t.begin()
	defer d.end()
	return d.pending(d.restore(s))
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
