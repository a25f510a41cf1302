package certs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// place is a directory of certificates as the file system has it. That a file is not there says that there is no certificate
// of its name only as long as the directory is there itself, and is the one that it was: one that was unmounted leaves an
// empty one behind.
type place struct {
	path string
	seen atomic.Pointer[fs.FileInfo] // the directory at the last look that was sound; nil: none was yet
	full atomic.Pointer[fs.FileInfo] // the directory when there was last something in it; nil: never
	told sparing
	away atomic.Pointer[Error] // why nothing can be told of what is in it, at the last look; nil: it can, or nobody has looked

	// A file system that does not answer keeps whoever asks it, and a thread of the process each. So few may, and the others
	// wait for them only so long.
	inside   chan struct{} // holds a value for each who is in the file system
	stuck    atomic.Int64  // until when nobody waits, in ns since the epoch: somebody has waited in vain
	patience time.Duration
}

const (
	mostInside = 8
	patience   = 3 * time.Second // the default handshake_timeout is 10 s
)

func newPlace(path string) *place {
	return &place{path: path, inside: make(chan struct{}, mostInside), patience: patience}
}

// enter waits until turn is free, which holds a value while it is not, and there is room for one more in the file system. The
// caller owes a leave. If it has to wait too long, those before it are held by the file system: that is the error.
func (p *place) enter(turn chan struct{}) (leave func(), stuck *Error) {
	var late <-chan time.Time
	for i, room := range []chan struct{}{turn, p.inside} {
		select {
		case room <- struct{}{}:
			continue
		default:
		}
		if late == nil {
			wait := p.patience
			if time.Now().UnixNano() < p.stuck.Load() {
				wait = 0
			}
			due := time.NewTimer(wait)
			defer due.Stop()
			late = due.C
		}
		select {
		case room <- struct{}{}:
		case <-late:
			if i > 0 {
				<-turn
			}
			return nil, p.hangs()
		}
	}
	return func() { <-p.inside; <-turn }, nil
}

// hangs notes that somebody has waited in vain.
func (p *place) hangs() *Error {
	p.stuck.Store(time.Now().Add(p.patience).UnixNano())
	return &Error{File: p.path, Why: "does not answer", Hint: "look at the file system", outage: true}
}

// placeTries is how often files are looked for in a directory that is another one after each look.
const placeTries = 4

// during calls look, which looks for files in the directory, until the directory was the same one before and after it. The
// error, and that of look, is about the directory: nothing can be told of what is in it.
func (p *place) during(look func() error) *Error {
	lost := p.tries(look)
	p.away.Store(lost)
	return lost
}

func (p *place) tries(look func() error) *Error {
	for range placeTries {
		before := p.seen.Load()
		if err := look(); err != nil {
			return p.lost(err)
		}
		same, lost := p.stays(before)
		if same || lost != nil {
			return lost
		}
	}
	return &Error{File: p.path, Why: "was replaced again and again while it was looked at", outage: true}
}

// again looks at a directory that could not be read at the last look: nobody need ask for a name of it for that to be over.
func (p *place) again() {
	p.during(func() error {
		_, err := os.Lstat(p.path + "/.") // as for a file in it
		return err
	})
}

// stays reports whether the directory is the one that it was.
func (p *place) stays(before *fs.FileInfo) (same bool, lost *Error) {
	now, err := os.Stat(p.path)
	switch {
	case err != nil:
		return false, p.lost(err)
	case !now.IsDir():
		return false, p.lost(syscall.ENOTDIR)
	case before != nil && os.SameFile(*before, now):
		return true, nil
	}
	if full := p.full.Load(); full != nil && !os.SameFile(*full, now) {
		return false, p.replaced()
	}
	p.seen.Store(&now)
	return false, nil
}

// replaced looks at a directory in the place of one that had something in it.
func (p *place) replaced() *Error {
	now, empty, err := p.survey()
	switch {
	case err != nil:
		return p.lost(err)
	case empty:
		return &Error{File: p.path, Why: "is empty, and not the directory that it was", outage: true,
			Hint: "mount again what was there; if it is meant to be empty, put any file into it"}
	}
	p.full.Store(&now)
	p.seen.Store(&now)
	return nil
}

// survey looks whether there is anything in the directory.
func (p *place) survey() (info fs.FileInfo, empty bool, err error) {
	f, err := os.Open(p.path)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, false, err
	}
	if _, err = f.Readdirnames(1); err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	return info, err != nil, nil
}

// accept takes the directory as it is for what is meant: whoever puts a configuration in force has seen it. But an empty one in
// the place of one that had something in it is none, whatever is put in force meanwhile: others go by the directory, too.
func (p *place) accept() {
	now, empty, err := p.survey()
	if err != nil {
		return // it stays what it was
	}
	if full := p.full.Load(); empty && full != nil && !os.SameFile(*full, now) {
		return
	}
	p.seen.Store(&now)
	p.away.Store(nil)
	if empty {
		p.full.Store(nil)
		return
	}
	p.full.Store(&now)
}

// filled notes that there was something in the directory.
func (p *place) filled() {
	if now := p.seen.Load(); now != p.full.Load() {
		p.full.Store(now)
	}
}

// lost says that nothing can be told of what is in the directory.
func (p *place) lost(err error) *Error {
	e := unreadable(p.path, err)
	e.outage, e.Hint = true, remedy(e.err)
	if errors.Is(err, fs.ErrNotExist) {
		e.Hint = "put it back, or mount it again: it is looked at when somebody asks for a name"
	}
	return e
}

// isOutage reports whether an error of a file says nothing of what the file holds, but that the system would not tell.
func isOutage(err error) bool {
	return err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ELOOP)
}

// remedy says what to do where the system would not tell what a file holds.
func remedy(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "let the user of this process read it"
	case errors.Is(err, syscall.EMFILE):
		return "raise LimitNOFILE (ulimit -n), or lower max_connections"
	case errors.Is(err, syscall.ENFILE):
		return "raise fs.file-max"
	}
	return "look at the file system"
}

// tell logs that something of the directory cannot be read, once a minute: whoever can connect must not be able to fill the log.
func (p *place) tell(e *Error, log *slog.Logger) {
	if !log.Enabled(context.Background(), slog.LevelError) {
		return // a Set that is not in force uses up no line
	}
	if n, ok := p.told.allows(time.Now()); ok {
		log.Error("certificates of a directory cannot be read: clients are refused where none is in memory",
			"directory", p.path, "file", e.File, "error", e.Why, "hint", e.Hint, "suppressed", n)
	}
}

// sparing lets one line through in a minute.
type sparing struct {
	next atomic.Int64 // when there may be one, in ns since the epoch
	held atomic.Uint64
}

// allows reports whether there may be a line now, and how many there were not since the last one.
func (s *sparing) allows(now time.Time) (held uint64, ok bool) {
	next := s.next.Load()
	if now.UnixNano() < next || !s.next.CompareAndSwap(next, now.Add(time.Minute).UnixNano()) {
		s.held.Add(1)
		return 0, false
	}
	return s.held.Swap(0), true
}
