package certs

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// entry is the files of one base name of a directory.
type entry struct {
	cache  *cache
	place  *place                  // the directory
	key    string                  // path without what the variants add
	last   atomic.Pointer[finding] // nil before the first look
	turn   chan struct{}           // holds a value while files are looked at
	pairs  [4]*pair                // by variants, of whoever has the turn; nil: there is none
	doubts [4]doubt                // likewise, about those that there are none of
}

// finding is what a look at an entry has found. It is not changed.
type finding struct {
	list  []*Choice
	wrong []*Error // files that are there and have never been good
	stale []*Error // files that were good, and are not what is in list any more
	lost  *Error   // why nothing can be told of the files: what was there before stays; nil: it can
	at    time.Time
	pause time.Duration // after which it is to be looked again, since files may be on their way; 0: they are not
	told  bool          // the log says what is wrong
}

// isOld reports whether it is time to look again.
func (f *finding) isOld() bool {
	if f.pause > 0 {
		return time.Since(f.at) >= f.pause
	}
	return time.Since(f.at) >= fresh
}

// look returns what the files hold, not older than fresh. Where files are on their way it waits for them, as asking does and
// without holding anything; where the file system does not answer, it returns what was there before.
func (e *entry) look(log *slog.Logger, asking *asking) *finding {
	for {
		now := e.known()
		if now.isOld() {
			var found *finding
			if wrong := asking.aside(e.place, func() { found = e.lookOnce(log) }); wrong != nil {
				return now.without(wrong)
			}
			now = found
		}
		if now.pause == 0 || !asking.Wait(now.pause-time.Since(now.at)) {
			return now
		}
	}
}

// lookOnce looks at the files unless somebody else has meanwhile. If whoever is at them does not come back, it is as if the
// directory could not be read.
func (e *entry) lookOnce(log *slog.Logger) *finding {
	leave, stuck := e.place.enter(e.turn)
	before := e.known()
	if stuck != nil {
		return before.without(stuck) // which is not kept: the next one may find that it goes on
	}
	defer leave()
	if !before.isOld() {
		return before // by whoever had the turn
	}
	now := e.find(log)
	now.told = before.told && now.settled()
	if now.settled() && !now.told && log.Enabled(context.Background(), slog.LevelError) { // a Set that is not in force tells nothing
		now.told = true
		for _, w := range now.wrong {
			if !w.outage { // otherwise the place tells it
				log.Error("certificate of a directory not taken", w.attrs()...)
			}
		}
	}
	e.last.Store(now)
	if now.there() || before.there() {
		e.cache.move(e, now.there())
	}
	return now
}

// without is what is told where it cannot be looked again, and why: what was there before.
func (f *finding) without(why *Error) *finding {
	now := &finding{list: f.list, stale: f.stale, at: time.Now()}
	if why.outage {
		now.lost = why
	}
	if now.list == nil {
		now.wrong = []*Error{why}
	}
	return now
}

// there reports whether there is a file, be it good or not. Names that somebody has made up drive out none of these.
func (f *finding) there() bool { return f.list != nil || f.broken() }

// settled reports whether a file is not good, and not on its way either.
func (f *finding) settled() bool { return f.pause == 0 && f.broken() }

// broken reports whether a file has been read and is not good.
func (f *finding) broken() bool {
	return slices.ContainsFunc(f.wrong, func(e *Error) bool { return !e.outage })
}

// find looks at the files of all variants.
func (e *entry) find(log *slog.Logger) *finding {
	now, files := &finding{at: time.Now()}, variants(e.key)
	var there [len(files)]presence
	now.lost = e.place.during(func() (err error) {
		for i := range files {
			if there[i], err = look(files[i].Cert); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range files {
		if now.lost == nil {
			pause, wrong := e.lookAt(i, files[i], there[i], log)
			now.wrong, now.pause = append(now.wrong, wrong...), max(now.pause, pause)
			if there[i].is {
				e.place.filled()
			}
		}
		if p := e.pairs[i]; p != nil {
			now.list = append(now.list, p.cert)
			if stale := p.wrong.Load(); stale != nil {
				now.stale = append(now.stale, *stale...)
			}
		}
	}
	if now.lost != nil && now.list == nil {
		now.wrong = []*Error{now.lost}
	}
	if now.pause > 0 {
		now.at = time.Now() // reading may have taken longer than the pause
	}
	return now
}

// lookAt reads the files of one variant, if they are there.
func (e *entry) lookAt(i int, f PairFile, there presence, log *slog.Logger) (pause time.Duration, all Errors) {
	p, d := e.pairs[i], &e.doubts[i]
	switch {
	case !there.is:
		e.pairs[i], *d = nil, doubt{}
		return 0, nil
	case p != nil:
		p.refresh(log)
		return 0, nil
	case there.wrong != nil:
		return 0, Errors{there.wrong}
	}
	if all = d.remains(f); all != nil {
		return 0, all
	}
	l, all := e.cache.load(f)
	if all == nil {
		e.pairs[i] = &pair{file: f, loaded: l}
	}
	for _, w := range all {
		if w.outage = isOutage(w.err); w.outage {
			w.Hint = remedy(w.err)
		}
	}
	return d.note(l.stamps, all), all // there is no pair before it to show: a key that is on its way is waited for
}

// presence is whether there is a file of a name.
type presence struct {
	is    bool
	wrong *Error // where its link leads cannot be told
}

// look looks for a file in a directory. A link that is there and leads nowhere, or to what must not be looked at, is there:
// somebody else's certificate must not be shown in its place. The error is about the directory.
func look(path string) (there presence, err error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENAMETOOLONG): // a name that is too long is a stranger's
		return presence{}, nil
	case err != nil: // Lstat asks for nothing but the way to the file
		return presence{}, err
	}
	there.is = true
	if info.Mode().Type() == fs.ModeSymlink {
		if _, err := os.Stat(path); err != nil {
			there.wrong = unreadable(path, err)
			if there.wrong.outage = isOutage(err); there.wrong.outage {
				there.wrong.Hint = remedy(err)
			}
		}
	}
	return there, nil
}

var nothing finding

func (e *entry) known() *finding {
	if now := e.last.Load(); now != nil {
		return now
	}
	return &nothing
}
