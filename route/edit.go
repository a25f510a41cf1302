package route

import "slices"

// Edit is a change of a few rows of a [Table], by name. All of it is made, or nothing. No name may be put twice, deleted
// twice, or put and deleted.
type Edit struct {
	// PutRoutes are added, or replace the route of their name in its place in the file order. New ones come after all
	// others, in this order. [Table] sets Index.
	PutRoutes    []Route
	DeleteRoutes []string // names; each must be there
	// PutPools are names of pools. Those that are there already stay as they are.
	PutPools []string
	// DeletePools are names of pools: each must be there, and no route and no listener may name it afterwards.
	DeletePools []string
}

// edit writes what p says.
func (d *draft) edit(p *editPlan) (c Changes) {
	var changed []*Route
	for i, r := range p.stored[:len(p.edit.PutRoutes)] {
		switch old := p.former[i]; {
		case old == r:
			continue
		case old == nil:
			c.Added = append(c.Added, r.Name)
		default:
			changed = append(changed, r)
		}
		d.put(tableRoutes, r)
	}
	for _, r := range p.deleted {
		d.drop(tableRoutes, r)
	}
	d.writeGroups(&p.plan)
	d.editPools(p.edit)
	d.sizes.routes += len(c.Added) - len(p.deleted)
	d.nextRoute += len(c.Added)
	c.Changed = namesOf(slices.SortedFunc(slices.Values(changed), byIndex))
	c.Removed = namesOf(slices.SortedFunc(slices.Values(p.deleted), byIndex))
	return c
}

func (d *draft) editPools(e *Edit) {
	for _, name := range e.PutPools {
		if d.base.pool(name) == nil {
			d.put(tablePools, &poolRow{order: d.nextPool, name: name})
			d.nextPool++
		}
	}
	for _, name := range e.DeletePools {
		d.drop(tablePools, &poolRow{name: name})
	}
}
