package top

import (
	"time"

	"github.com/seed-23b4a313/switchyard/admin"
	"github.com/seed-23b4a313/switchyard/balancer"
)

// Sample is what the balancer said at one moment.
type Sample struct {
	At     time.Time
	Status admin.Status
	Names  balancer.Names
}

// View is what is shown: the last two samples, from which rates come, and how they are looked at. The zero View shows
// nothing yet. It belongs to one goroutine.
type View struct {
	now, before *Sample // before is nil until there are two
	trouble     string  // why the last sample could not be had; "": it could
	paused      bool
	focus       int // index of the table that keys are for
	tables      [numTables]tableView
}

// tableView is how one table is looked at.
type tableView struct {
	sort   int // index of the column it is sorted by, among those it can be sorted by
	scroll int // rows above the first one that is shown
}

// Add takes a sample in, unless the view is paused. It is not to be changed any more.
func (v *View) Add(s *Sample) {
	if v.paused {
		return
	}
	v.trouble = ""
	v.before, v.now = v.now, s
	if v.before != nil && !v.before.Status.Started.Equal(s.Status.Started) {
		v.before = nil // another process: its counters began anew
	}
}

// Fail says that no sample could be had. What was there stays on the screen.
func (v *View) Fail(err error) { v.trouble = err.Error() }

// Paused reports whether samples are passed over.
func (v *View) Paused() bool { return v.paused }

// Press does what a key stands for, and reports whether it was the last one.
func (v *View) Press(k Key) (quit bool) {
	t := &v.tables[v.focus]
	switch k {
	case KeyQuit:
		return true
	case KeyPause:
		v.paused = !v.paused
	case KeySort:
		t.sort = (t.sort + 1) % len(orders[v.focus])
		t.scroll = 0
	case KeyNext:
		v.focus = (v.focus + 1) % numTables
	case KeyPrevious:
		v.focus = (v.focus + numTables - 1) % numTables
	case KeyUp:
		t.scroll--
	case KeyDown:
		t.scroll++
	case KeyPageUp:
		t.scroll -= pageRows
	case KeyPageDown:
		t.scroll += pageRows
	case KeyTop:
		t.scroll = 0
	}
	t.scroll = max(t.scroll, 0) // its upper end is known when it is drawn
	return false
}

// pageRows is how far a page key goes.
const pageRows = 10

// seconds is the time between the two samples, 0 if there is only one.
func (v *View) seconds() float64 {
	if v.before == nil {
		return 0
	}
	return v.now.At.Sub(v.before.At).Seconds()
}

// rate is how much a counter grows in a second. One that has shrunk has begun anew.
func (v *View) rate(now, before uint64) float64 {
	s := v.seconds()
	if s <= 0 || now < before {
		return 0
	}
	return float64(now-before) / s
}
