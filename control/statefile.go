package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/configs"
)

// stateVersion is the version of the state file that is written, and the only one that is read.
const stateVersion = 1

// maxStateFile is the largest state file that is read, in bytes.
const maxStateFile = 256 << 20

// state is the content of a state file: what was changed at run time, and how far revisions have been numbered.
type state struct {
	Version  int            `json:"version"`
	Revision uint64         `json:"revision"` // the last number that was given
	Digest   string         `json:"digest"`   // of the file that the entries lay on
	Entries  []stateEntry   `json:"entries"`
	Backends []stateBackend `json:"backends"`
}

type stateEntry struct {
	configs.Entry
	made
}

type stateBackend struct {
	Pool    string `json:"pool"`
	Address string `json:"address"`
	State   string `json:"state"`
	Weight  *int   `json:"weight,omitempty"`
	Origin  string `json:"origin"`
	made
}

// stored is what a state file is known to hold.
type stored struct {
	path    string // "": none was written
	overlay []byte // entries and backends as JSON
}

func stateOf(d *desired, settings []setting, revision uint64) *state {
	s := &state{Version: stateVersion, Revision: revision, Digest: d.source.digest, Entries: []stateEntry{}, Backends: []stateBackend{}}
	for i := range d.entries {
		s.Entries = append(s.Entries, stateEntry{d.entries[i].Entry, d.entries[i].made})
	}
	for i := range settings {
		x := &settings[i]
		s.Backends = append(s.Backends, stateBackend{x.Pool, x.Address, x.State.String(), x.Weight, x.origin, x.made})
	}
	return s
}

// overlay is the part of s that must not be lost, as JSON.
func (s *state) overlay() []byte {
	data, err := json.Marshal([]any{s.Entries, s.Backends})
	if err != nil {
		panic(fmt.Sprintf("control: state as JSON: %v", err)) // strings, numbers and times
	}
	return data
}

// entriesOf and settingsOf are what s keeps.
func (s *state) entriesOf() (all entries) {
	for _, e := range s.Entries {
		all = append(all, entry{Entry: e.Entry, made: e.made})
	}
	return all
}

func (s *state) settingsOf() (all []setting, err error) {
	for _, b := range s.Backends {
		override, ok := pool.ParseOverride(b.State)
		if !ok {
			return nil, fmt.Errorf("backend %s/%s has the state %q", b.Pool, b.Address, b.State)
		}
		x := setting{made: b.made, origin: b.Origin}
		x.Pool, x.Address, x.State, x.Weight = b.Pool, b.Address, override, b.Weight
		all = append(all, x)
	}
	return all, nil
}

// save writes the state file of d, if it has one. The error is a [*SaveError]. Where only a number would be lost, it is a
// line in the log: a full disk must not stand in the way of a reload or a rollback.
func (m *Manager) save(d *desired, settings []setting, revision uint64) error {
	path := d.process.stateFile
	if path == "" {
		m.saved = stored{}
		return nil
	}
	s := stateOf(d, settings, revision)
	overlay := s.overlay()
	err := writeState(path, s)
	switch {
	case err == nil:
		m.saved = stored{path, overlay}
	case m.saved.path == path && bytes.Equal(m.saved.overlay, overlay):
		m.log.Warn("state file not written: after a restart revisions may repeat their numbers", "path", path, "error", err)
	default:
		return &SaveError{Path: path, Err: err}
	}
	return nil
}

// unsave writes the state file for what runs again, after a change has failed that it was written for.
func (m *Manager) unsave() {
	if err := m.save(m.running, m.settings, m.history.last); err != nil {
		m.log.Error("the state file has what was not changed", "error", err)
	}
}

// writeState puts s in the place of the file at path, in one step: whoever reads it, after a crash too, finds the old
// state or the new one.
func writeState(path string, s *state) (err error) {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := ownFile(path); err != nil {
		return err
	}
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) { // left by a process that was killed
		return err
	}
	// With O_EXCL a link is not followed (open(2)).
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(next)
		}
	}()
	_, err = f.Write(append(data, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename in dir last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ownFile refuses what is at path unless it is a regular file of this user's, or nothing.
func ownFile(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file; move it away")
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("it belongs to user %d; move it away", st.Uid)
	}
	return nil
}

// errUnreadable says that a state file is none.
var errUnreadable = errors.New("not a state file")

// readState reads the state file at path.
func readState(path string) (*state, error) {
	if err := ownFile(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxStateFile))
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	s := &state{}
	if err := d.Decode(s); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("%w of version %d", errUnreadable, s.Version)
	}
	if _, err := s.settingsOf(); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return s, nil
}

// restore lays what the state file keeps on the file, which was read as cfg, for the start.
func (m *Manager) restore(f *file, cfg *configs.Config) {
	s := m.stateAtStart(cfg.Admin.StateFile)
	m.history.last = s.Revision
	list, dropped := s.entriesOf().reloaded(false)
	if s.Digest == f.digest { // the file was not changed meanwhile
		list, dropped = s.entriesOf(), nil
	}
	list, done := list.over(list.in(cfg))
	for _, what := range append(dropped, done...) {
		m.log.Info("state file: dropped, for the file has changed", "entry", what)
	}
	if len(list) > 0 {
		list, cfg = m.layAtStart(f, cfg, list)
	}
	settings, err := s.settingsOf()
	if err != nil {
		settings = nil // readState has seen to it
	}
	m.settings = fitting(settings, cfg.Balancer.Pools)
	for _, gone := range missing(settings, m.settings) {
		m.log.Error("state file: left out, for there is no such backend", "entry", gone.String())
	}
	cfg.Balancer.Settings = toBalancer(m.settings)
	m.first = cfg
	m.running = &desired{source: f.pack(), entries: list, tests: cfg.Tests, process: processOf(cfg)}
}

// in tells of each entry whether cfg, a file alone, has something of its kind and name.
func (list entries) in(cfg *configs.Config) []bool {
	has := map[[2]string]bool{}
	for i := range cfg.Balancer.Routes {
		has[[2]string{kindRoute, cfg.Balancer.Routes[i].Name}] = true
	}
	for i := range cfg.Balancer.Pools {
		has[[2]string{kindPool, cfg.Balancer.Pools[i].Name}] = true
	}
	found := make([]bool, len(list))
	for i, e := range list {
		found[i] = has[[2]string{e.Kind, e.Name}]
	}
	return found
}

// stateAtStart reads the state file; without one, or one that can be read, the state is empty. One that is broken is
// moved out of the way, for somebody to look at.
func (m *Manager) stateAtStart(path string) *state {
	none := &state{}
	if path == "" {
		return none
	}
	s, err := readState(path)
	switch {
	case err == nil:
		m.saved = stored{path, s.overlay()}
		return s
	case errors.Is(err, fs.ErrNotExist):
		return none
	}
	attrs := []any{"path", path, "error", err}
	if errors.Is(err, errUnreadable) {
		aside := path + ".unreadable"
		if moved := os.Rename(path, aside); moved != nil {
			attrs = append(attrs, "not_moved", moved)
		} else {
			attrs = append(attrs, "moved_to", aside)
		}
	}
	m.log.Error("state file cannot be read: starting without what was changed at run time", attrs...)
	return none
}

// layAtStart lays list on f. An entry that does not fit is left out, so that the rest of it and the file are served.
func (m *Manager) layAtStart(f *file, cfg *configs.Config, list entries) (entries, *configs.Config) {
	for len(list) > 0 {
		with, err := contained(m.log, func() (*configs.Config, error) { return m.parseFile(nil, f.name, f.data, f.dir, list.laid()) })
		if err == nil {
			return list, with
		}
		found := mistakes(err)
		bad := len(list) - 1 // the last one, if the mistake is in the file; without any entry it has none
		why := found[0]
	search:
		for _, mistake := range found {
			for i := range list {
				if mistake.File == list[i].laid().Origin {
					bad, why = i, mistake
					break search
				}
			}
		}
		m.log.Error("state file: left out, for it does not fit the file", "entry", list[bad].String(),
			"error", fmt.Sprintf("%s:%d:%d: %s", why.File, why.Line, why.Col, why.Message))
		list = append(list[:bad:bad], list[bad+1:]...)
	}
	return nil, cfg
}

// savePeriod is how long a write of the state file may take before it is worth a line.
const savePeriod = time.Second

// saveFor writes the state file that c makes, before c is made.
func (m *Manager) saveFor(c *change) error {
	began := m.now()
	err := m.save(c.to, c.settings, m.history.last+1)
	if took := m.now().Sub(began); took > savePeriod {
		m.log.Warn("the state file took long to write", "path", c.to.process.stateFile, "duration_s", took.Seconds())
	}
	return err
}
