package control

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/configs"
)

// What becomes of a change made at run time when the file is loaded again.
const (
	onReloadKeep = "keep"
	onReloadDrop = "drop"
)

// The kinds of what the overlay changes.
const (
	kindRoute   = "route"
	kindPool    = "pool"
	kindBackend = "backend"
)

// made is when a change of the overlay came about, and how long it lasts.
type made struct {
	At       time.Time `json:"at"`
	OnReload string    `json:"on_reload"`
}

// entry is a change of one route or pool. It is never changed once it is in a list.
type entry struct {
	configs.Entry
	made
	inFile bool // the file has something of that name by itself
}

// String names e: "route api".
func (e *entry) String() string { return e.Kind + " " + e.Name }

// laid is e as configs lays it on a file. Its origin, which messages have in place of a file's name, is of this entry
// alone.
func (e *entry) laid() configs.Entry {
	on := e.Entry
	on.Origin = fmt.Sprintf("overlay: %s (%s)", e, e.Origin)
	return on
}

// entries are the changes of routes and pools, one for each name, in the order in which they came. A list is never
// changed; each change makes another.
type entries []entry

func (list entries) laid() []configs.Entry {
	all := make([]configs.Entry, len(list))
	for i := range list {
		all[i] = list[i].laid()
	}
	return all
}

// String names a few of the entries.
func (list entries) String() string {
	var all []string
	for i := range list {
		all = append(all, list[i].String())
	}
	return listHint("one of", all)
}

func (list entries) find(kind, name string) int {
	return slices.IndexFunc(list, func(e entry) bool { return e.Kind == kind && e.Name == name })
}

// with is list after a change that has been made to what ran. served reports whether that had something of a name.
func (list entries) with(changes []configs.Entry, origin string, how made, served func(kind, name string) bool) entries {
	list = slices.Clone(list)
	for _, c := range changes {
		e := entry{Entry: c, made: how}
		e.Origin = origin
		i := list.find(c.Kind, c.Name)
		switch {
		case i < 0:
			e.inFile = served(c.Kind, c.Name) // from where else
			list = append(list, e)
		case c.Text == "" && !list[i].inFile:
			list = slices.Delete(list, i, i+1)
		default:
			e.inFile = list[i].inFile
			list[i] = e
		}
	}
	return list
}

// reloaded parts what outlives a reload of the file from what does not.
func (list entries) reloaded(dropAll bool) (kept entries, dropped []string) {
	for _, e := range list {
		if dropAll || e.OnReload == onReloadDrop {
			dropped = append(dropped, e.String())
			continue
		}
		kept = append(kept, e)
	}
	return kept, dropped
}

// same reports whether two lists lay the same on a file.
func (list entries) same(other entries) bool {
	return slices.EqualFunc(list, other, func(a, b entry) bool {
		return a.Kind == b.Kind && a.Name == b.Name && a.Text == b.Text && a.OnReload == b.OnReload
	})
}

// over is list as it lies on a file, which has what inFile says of each: a deletion of what is not there is done with.
func (list entries) over(inFile []bool) (kept entries, done []string) {
	for i, e := range list {
		e.inFile = inFile[i]
		if e.Text == "" && !e.inFile {
			done = append(done, e.String())
			continue
		}
		kept = append(kept, e)
	}
	return kept, done
}

// setting is what was said of one backend. It is never changed once it is in a list.
type setting struct {
	balancer.Setting
	made
	origin string // who said it
}

// String names s: "backend web/10.0.0.7:443".
func (s *setting) String() string { return kindBackend + " " + s.Pool + "/" + s.Address }

// isZero reports whether s leaves the backend as the file has it.
func (s *setting) isZero() bool { return s.State == pool.OverrideNone && s.Weight == nil }

// change says what s changes: "drain", "weight 3", "drain, weight 3".
func (s *setting) change() string {
	var parts []string
	if s.State != pool.OverrideNone {
		parts = append(parts, s.State.String())
	}
	if s.Weight != nil {
		parts = append(parts, fmt.Sprintf("weight %d", *s.Weight))
	}
	if len(parts) == 0 {
		return pool.OverrideNone.String()
	}
	return strings.Join(parts, ", ")
}

// setTo is list with s in it; one that changes nothing is left out.
func setTo(list []setting, s setting) []setting {
	list = slices.Clone(list)
	i := slices.IndexFunc(list, s.about)
	switch {
	case i >= 0 && s.isZero():
		return slices.Delete(list, i, i+1)
	case i >= 0:
		list[i] = s
	case !s.isZero():
		list = append(list, s)
	}
	return list
}

// reloadedSettings are the settings that outlive a reload of the file.
func reloadedSettings(list []setting, dropAll bool) (kept []setting) {
	for _, s := range list {
		if !dropAll && s.OnReload != onReloadDrop {
			kept = append(kept, s)
		}
	}
	return kept
}

// fitting are the settings that can be about something where there are these pools.
func fitting(list []setting, pools []pool.Config) (kept []setting) {
	for _, s := range list {
		if fits(&s, pools) {
			kept = append(kept, s)
		}
	}
	return kept
}

// missing are the settings of list whose backends other says nothing of.
func missing(list, other []setting) (gone []setting) {
	for _, s := range list {
		if !slices.ContainsFunc(other, s.about) {
			gone = append(gone, s)
		}
	}
	return gone
}

// about reports whether s and o are said of the same.
func (s *setting) about(o setting) bool { return o.Pool == s.Pool && o.Address == s.Address }

// fits reports whether s can be about a backend of pools: one that is written so, or an address of one that has a name.
func fits(s *setting, pools []pool.Config) bool {
	i := slices.IndexFunc(pools, func(p pool.Config) bool { return p.Name == s.Pool })
	return i >= 0 && slices.ContainsFunc(pools[i].Backends, func(b pool.BackendConfig) bool {
		return b.Named() != "" || b.Text() == s.Address
	})
}

// toBalancer are the settings without how they came about.
func toBalancer(list []setting) []balancer.Setting {
	all := make([]balancer.Setting, len(list))
	for i := range list {
		all[i] = list[i].Setting
	}
	return all
}

// overlay is everything that lies on the file, as readers see it.
func (m *Manager) overlay() []OverlayEntry {
	all := make([]OverlayEntry, 0, len(m.running.entries)+len(m.settings))
	for i := range m.running.entries {
		e := &m.running.entries[i]
		change := "put"
		if e.Text == "" {
			change = "delete"
		}
		all = append(all, OverlayEntry{Kind: e.Kind, Name: e.Name, Change: change, At: e.At, OnReload: e.OnReload, Origin: e.Origin})
	}
	for i := range m.settings {
		s := &m.settings[i]
		all = append(all, OverlayEntry{
			Kind: kindBackend, Name: s.Pool + "/" + s.Address, Change: s.change(), At: s.At, OnReload: s.OnReload, Origin: s.origin,
		})
	}
	return all
}
