package route

import (
	"sync"

	"github.com/hashicorp/go-memdb"
)

// Pending is a change of a [Table]: checked, visible in its own snapshot, and not made yet. It holds the table's
// write lock, so that every other change waits, while readers go on with what is there. Exactly one of
// Commit and Abort ends it; whatever is called after that does nothing. Its methods may be called by any
// number of goroutines.
type Pending struct {
	table    *Table
	txn      *memdb.Txn
	snapshot *Snapshot
	changes  Changes
	written  int // rows inserted and deleted
	end      sync.Once
}

// Snapshot returns what the table will be after Commit; the same that [Table.Snapshot] returns then. It may be used
// as any other before and after the end, and stays as it is after Abort too. If nothing changes, it is what the table
// has already.
func (p *Pending) Snapshot() *Snapshot { return p.snapshot }

// Changes says which routes are not as they were. Its slices are read only.
func (p *Pending) Changes() Changes { return p.changes }

// Commit makes the change: [Table.Snapshot] has it once Commit has returned.
func (p *Pending) Commit() {
	p.end.Do(func() {
		p.txn.Commit()
		p.table.current.Store(p.snapshot)
		p.table.write.Unlock()
	})
}

// Abort leaves the table as it is.
func (p *Pending) Abort() {
	p.end.Do(func() {
		p.txn.Abort()
		p.table.write.Unlock()
	})
}
