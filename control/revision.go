package control

import (
	"context"
	"fmt"
	"slices"
	"strconv"
)

// keptRevisions is how many revisions are kept, the current one included.
const keptRevisions = 10

// revision is a Revision with what it takes to put it back.
type revision struct {
	Revision
	desired *desired
	putBack bool // a guard has put back what was before it
}

// history are the last revisions, oldest first; the last one is current. Numbers grow by one, over restarts too where
// there is a state file.
type history struct {
	list []revision
	last uint64 // number of the last revision there was, in an earlier process perhaps
}

// add makes r, which describes d, the current revision and gives it its number.
func (h *history) add(r Revision, d *desired) {
	h.last++
	r.Number, r.Digest, r.Overlay = h.last, d.source.digest, len(d.entries)
	list := append(slices.Clone(h.list), revision{Revision: r, desired: d})
	h.list = slices.Clone(list[max(0, len(list)-keptRevisions):])
}

// current is the revision that runs. There is one from Start on.
func (h *history) current() *revision { return &h.list[len(h.list)-1] }

// find returns the revision of that number, or nil.
func (h *history) find(number uint64) *revision {
	i := slices.IndexFunc(h.list, func(r revision) bool { return r.Number == number })
	if i < 0 {
		return nil
	}
	return &h.list[i]
}

// previous returns the last revision before the current one that it makes sense to go back to: it differs from what
// runs, and no guard has rejected it. Nil if none is kept.
func (h *history) previous() *revision {
	now := h.current().desired
	for _, r := range slices.Backward(h.list[:len(h.list)-1]) {
		if d := r.desired; !r.putBack && (d.source.digest != now.source.digest || !d.entries.same(now.entries)) {
			return h.find(r.Number)
		}
	}
	return nil
}

// revisions are the revisions as readers see them.
func (h *history) revisions() []Revision {
	all := make([]Revision, len(h.list))
	for i := range h.list {
		all[i] = h.list[i].Revision
	}
	all[len(all)-1].Current = true
	return all
}

// revision starts the description of a revision that comes into force now.
func (m *Manager) revision(origin, summary string) Revision {
	return Revision{At: m.now(), Origin: origin, Summary: summary}
}

// Rollback puts an earlier revision back: the file as it was then, and the changes of routes and pools that lay on it.
// Zero means the one before the current, leaving out those that are the same and those that a guard has put back.
// What is put back becomes a new revision, so a second Rollback undoes the first. It is checked like a reload, because
// what the file names, such as certificates, may have changed. A guard that watches is ended. The file on disk stays
// as it is, and the watcher does not load it before it changes again. What was said of backends stays in force.
//
// The error is a [*NotFoundError] if the revision is not kept; otherwise see [Manager.Reload].
func (m *Manager) Rollback(ctx context.Context, number uint64, origin string) (*Result, error) {
	if err := m.begin(ctx); err != nil {
		return nil, err
	}
	defer m.end()
	r, err := m.wanted(number)
	if err != nil {
		return nil, err
	}
	l := loading{
		file: r.desired.source.unpack(), source: r.desired.source, entries: r.desired.entries, settings: m.settings,
		origin: origin, about: fmt.Sprintf("rollback to %d", r.Number),
	}
	return m.load(ctx, &l)
}

// wanted finds the revision to go back to.
func (m *Manager) wanted(number uint64) (*revision, error) {
	if number == 0 {
		if r := m.history.previous(); r != nil {
			return r, nil
		}
		return nil, &NotFoundError{Kind: "revision", Name: "before the current one", Hint: m.history.previousHint()}
	}
	if r := m.history.find(number); r != nil {
		return r, nil
	}
	return nil, &NotFoundError{Kind: "revision", Name: strconv.FormatUint(number, 10), Hint: m.history.hint()}
}

// previousHint says why there is no revision before the current one to go back to. Revisions keep texts: what the files held that a
// text names is kept by none.
func (h *history) previousHint() string {
	if len(h.list) == 1 {
		return h.hint()
	}
	return h.hint() + ", and all have the text that runs, or were put back by a guard; files that it names are not kept: put them back, and reload"
}

// hint says which revisions are kept.
func (h *history) hint() string {
	return fmt.Sprintf("kept are %d to %d", h.list[0].Number, h.current().Number)
}
