package control

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// pace is how fast a watcher is.
type pace struct {
	quiet time.Duration // that a change needs to settle: editors write, rename and set modes in several steps
	most  time.Duration // that settling takes, should there be no quiet
	poll  time.Duration // between looks at what no event may tell of
}

var usualPace = pace{quiet: 250 * time.Millisecond, most: 2 * time.Second, poll: 2 * time.Second}

// watch looks at the file whenever it may have changed, until ctx is done.
func (m *Manager) watch(ctx context.Context) {
	w := &watcher{path: m.path, pace: m.pace, log: m.log, look: m.look, asked: m.lookAgain}
	w.run(ctx)
}

// look reads the file, and loads it if its content is neither what was loaded last nor what was refused last: what a
// rollback has put back stays until the file changes again. The error says why it is to be looked at again, though it may not
// change any more: it is still being written, or there are no descriptors, or there is no answer, for it or for what it names.
func (m *Manager) look() error {
	f, err := m.readFile(m.ctx)
	if passes(err) {
		return err
	}
	var load bool
	m.shown.change(func(s *snapshot) {
		s.onDisk = digestOf(f)
		load = s.onDisk != s.handled && s.running != nil && s.running.process.watch
	})
	if !load {
		return nil
	}
	if m.hung.err != nil && m.hung.digest == digestOf(f) && m.apart.left.Load() > 0 {
		return m.hung.err // it has the turn for long, and one that waits is enough
	}
	if _, err = m.Reload(m.ctx, ReloadRequest{Origin: OriginWatch}); passes(err) {
		m.hung = hung{digest: digestOf(f)}
		if _, unanswered := errors.AsType[*UnansweredError](err); unanswered {
			m.hung.err = err
		}
		return err
	}
	return nil // whatever came of it is in the log
}

// hung is a content that the watcher could not load, since files that it names lie where nobody answers. It belongs to the watcher.
type hung struct {
	digest string
	err    error // nil: there is none
}

// watcher finds out when the file at a path may have become another one. It watches directories and not files: a file that
// is renamed over the old one, and a link that is turned to another file, are news of the directory. What no event tells
// of, on a network file system or where there are no more watches to be had, is found by looking at the file's stamp
// from time to time.
type watcher struct {
	path  string
	pace  pace
	log   *slog.Logger
	look  func() error    // not nil: it is to be looked at again
	asked <-chan struct{} // somebody asks for a look

	events   *fsnotify.Watcher // nil: there are none
	dirs     map[string]stamp  // that are watched; with device and inode only
	names    map[string]bool   // entries of dirs that the file depends on
	seen     stamp             // of the file when it was last looked at
	again    bool              // the last look came to nothing
	wanting  bool              // for want of descriptors, memory or an answer, and the log says so
	warned   bool              // that events may be missed
	timer    *time.Timer       // until the change has settled
	since    time.Time         // when the change that settles was first noticed; zero: none does
	settling stamp             // of the file when it was last noticed
}

// run looks once, and then after each change, until ctx is done.
func (w *watcher) run(ctx context.Context) {
	w.open()
	defer w.close()
	poll := time.NewTicker(w.pace.poll)
	defer poll.Stop()
	w.timer = time.NewTimer(w.pace.quiet)
	defer w.timer.Stop()
	w.settle()
	for {
		select {
		case <-ctx.Done():
			return
		case ev := <-w.happened():
			if w.concerns(ev.Name) {
				w.settle()
			}
		case err := <-w.failed():
			w.warn(err) // events were lost
			w.settle()
		case <-w.asked:
			w.settle()
		case <-poll.C:
			if w.follow(); w.since.IsZero() && (w.again || stampAt(w.path) != w.seen) {
				w.settle()
			}
		case <-w.timer.C:
			w.follow() // before the look, so that nothing is missed in between
			w.seen = stampAt(w.path)
			if w.seen != w.settling && time.Since(w.since) < w.pace.most {
				w.settle() // no event has told of it
				continue
			}
			w.since = time.Time{}
			w.looked(w.look())
		}
	}
}

// looked notes what came of a look. One that came to nothing is made again with the next poll, and not at once: where descriptors
// are wanting the load of a large file must not be one more burden. The log speaks of the want once, until it is over.
func (w *watcher) looked(err error) {
	w.again = err != nil
	wanting := w.again && !errors.Is(err, errUnsettled)
	if wanting && !w.wanting {
		w.log.Warn("the configuration file is not loaded yet, and is tried again",
			append([]any{"path", w.path, "period_s", w.pace.poll.Seconds()}, reasons(err)...)...)
	}
	w.wanting = wanting
}

// settle puts the next look off until there is quiet.
func (w *watcher) settle() {
	now := time.Now()
	if w.since.IsZero() {
		w.since = now
	}
	w.settling = stampAt(w.path)
	w.timer.Reset(min(w.pace.quiet, w.since.Add(w.pace.most).Sub(now)))
}

// open asks for events. Without them there are looks.
func (w *watcher) open() {
	var err error
	if w.events, err = fsnotify.NewWatcher(); err != nil {
		w.events = nil
		w.warn(err)
	}
	w.dirs = map[string]stamp{}
}

func (w *watcher) close() {
	if w.events != nil {
		_ = w.events.Close()
	}
}

func (w *watcher) happened() <-chan fsnotify.Event {
	if w.events == nil {
		return nil
	}
	return w.events.Events
}

func (w *watcher) failed() <-chan error {
	if w.events == nil {
		return nil
	}
	return w.events.Errors
}

// concerns reports whether an event at a path can be about the file: on its trail, or a directory that is watched.
func (w *watcher) concerns(path string) bool {
	_, dir := w.dirs[path]
	return dir || w.names[path]
}

// follow watches the directories that the file depends on now, and no others. A directory that another one has taken
// the place of is watched anew.
func (w *watcher) follow() {
	w.names = map[string]bool{}
	wanted := map[string]stamp{}
	for _, name := range trail(w.path) {
		dir := filepath.Dir(name)
		s := stampAt(dir)
		w.names[name], wanted[dir] = true, stamp{device: s.device, inode: s.inode}
	}
	if w.events == nil {
		return
	}
	for dir, s := range w.dirs {
		if wanted[dir] != s {
			_ = w.events.Remove(dir) // the kernel may have done so
			delete(w.dirs, dir)
		}
	}
	for dir, s := range wanted {
		if _, ok := w.dirs[dir]; ok {
			continue
		}
		switch err := w.events.Add(dir); {
		case err == nil:
			w.dirs[dir] = s
		case !errors.Is(err, fs.ErrNotExist): // one that is missing is looked for again
			w.warn(err)
		}
	}
}

// warn says once that the file is looked at, and not watched, at least in part.
func (w *watcher) warn(err error) {
	if w.warned {
		return
	}
	w.warned = true
	w.log.Warn("watching the configuration file: events may be missing; it is looked at every few seconds",
		"path", w.path, "period_s", w.pace.poll.Seconds(), "error", err)
}
