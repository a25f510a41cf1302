package control

import (
	"maps"
	"sync"
	"sync/atomic"
)

// snapshot is what readers see. It is never changed once it is in a view.
type snapshot struct {
	Status
	running *desired // nil before Start
	onDisk  string   // digest of the file as it was last seen; "" if it could not be read
	handled string   // digest of the file that was last loaded or refused; "" if it could not be read
}

// view holds the snapshot of the moment. Reading it takes no lock, so that it does not wait for a change that is being
// made; whoever writes to it waits for other writers only, each of whom takes microseconds.
type view struct {
	mu  sync.Mutex
	now atomic.Pointer[snapshot] // never nil after init
}

func (v *view) init(path string) {
	v.now.Store(&snapshot{Status: Status{
		File: path, Overlay: []OverlayEntry{}, Revisions: []Revision{},
		Reloads: map[string]uint64{resultApplied: 0, resultUnchanged: 0, resultRefused: 0, resultRolledBack: 0},
	}})
}

// change stores a copy that f has changed. f replaces lists and maps, and changes none of those there are.
func (v *view) change(f func(*snapshot)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := *v.now.Load()
	f(&s)
	s.FileDiffers = s.running != nil && s.onDisk != s.Digest
	v.now.Store(&s)
}

// count notes how an attempt to load a file went.
func (s *snapshot) count(result string, last LastReload) {
	s.LastReload = last
	s.Reloads = maps.Clone(s.Reloads)
	s.Reloads[result]++
}

// Status says what runs and how it came about. It never waits for a change that is being made.
func (m *Manager) Status() Status { return m.shown.now.Load().Status }

// Running returns what runs as text. It never waits for a change that is being made. Before Start it is empty.
func (m *Manager) Running() Running {
	s := m.shown.now.Load()
	if s.running == nil {
		return Running{File: s.File, Overlay: []OverlayEntry{}}
	}
	text := string(s.running.source.unpack().data)
	return Running{Revision: s.Revision, Digest: s.Digest, File: s.File, Text: text, Overlay: s.Overlay}
}

// publish shows readers what runs.
func (m *Manager) publish() {
	current := m.history.current()
	m.shown.change(func(s *snapshot) {
		s.running = m.running
		s.Revision, s.Digest, s.Loaded, s.Origin = current.Number, current.Digest, current.At, current.Origin
		s.Overlay, s.Revisions = m.overlay(), m.history.revisions()
		s.StateFile = m.running.process.stateFile
		if s.LastReload.At.IsZero() {
			s.LastReload = LastReload{At: current.At, OK: true}
		}
	})
}
