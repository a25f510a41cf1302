package certs

import (
	"container/list"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// maxEntries is how many base names of directories are remembered with their certificates, and how many others that there
// are no files of. A certificate on P-256 takes 4.5 KiB with its chain: 18 MiB in all.
const maxEntries = 4096

// fresh is how long what is remembered is believed.
const fresh = time.Second

// memory is what is known of directories. It is one for the process, and not of a Set, so that routes that share
// a directory share its certificates, reloads keep them, and the bound is one bound.
var memory = newCache(maxEntries)

// cache remembers entries, and of those that are too many forgets the ones that were not asked for the longest. Names that
// there are no files of are remembered apart: a flood of them drives out no certificate.
type cache struct {
	load            func(PairFile) (loaded, Errors) // reads files; tests count how often
	mu              sync.Mutex
	present, absent lru // under mu
}

func newCache(size int) *cache {
	return &cache{load: load, present: newLRU(size), absent: newLRU(size)}
}

// entry returns what is known of a base name of a directory, which is nothing at first.
func (m *cache) entry(dir, base string) *entry {
	key := filepath.Join(dir, base)
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.present.get(key); e != nil {
		return e
	}
	if e := m.absent.get(key); e != nil {
		return e
	}
	e := &entry{cache: m, key: key}
	m.absent.put(e)
	return e
}

// move puts an entry where it belongs by what was found.
func (m *cache) move(e *entry, found bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, to := &m.present, &m.absent
	if found {
		from, to = to, from
	}
	from.remove(e.key)
	to.put(e)
}

// earliest returns the certificate of a directory that expires first, among those in memory; nil if there are none.
func (m *cache) earliest(dir string) (first *Choice) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, at := range m.present.at {
		if filepath.Dir(key) != filepath.Clean(dir) {
			continue
		}
		for _, c := range at.Value.(*entry).known().list {
			if first == nil || c.NotAfter.Before(first.NotAfter) {
				first = c
			}
		}
	}
	return first
}

// lru is entries in the order in which they were last asked for.
type lru struct {
	size  int
	order *list.List // of *entry, the latest first
	at    map[string]*list.Element
}

func newLRU(size int) lru { return lru{size: size, order: list.New(), at: map[string]*list.Element{}} }

func (l *lru) get(key string) *entry {
	at := l.at[key]
	if at == nil {
		return nil
	}
	l.order.MoveToFront(at)
	return at.Value.(*entry)
}

func (l *lru) put(e *entry) {
	if l.get(e.key) != nil {
		return
	}
	l.at[e.key] = l.order.PushFront(e)
	if l.order.Len() > l.size {
		l.remove(l.order.Back().Value.(*entry).key)
	}
}

func (l *lru) remove(key string) {
	if at := l.at[key]; at != nil {
		l.order.Remove(at)
		delete(l.at, key)
	}
}

// entry is the files of one base name of a directory.
type entry struct {
	cache  *cache
	key    string                  // path without what the variants add
	last   atomic.Pointer[finding] // nil before the first look
	mu     sync.Mutex              // held while files are looked at
	pairs  [4]*pair                // by variants, under mu; nil: there is none
	doubts [4]doubt                // likewise, about those that there are none of
}

// finding is what a look at an entry has found. It is not changed.
type finding struct {
	list  []*Choice
	wrong []*Error // files that are there and have never been good
	at    time.Time
	pause time.Duration // after which it is to be looked again, since files may be on their way; 0: they are not
}

// isOld reports whether it is time to look again.
func (f *finding) isOld() bool {
	if f.pause > 0 {
		return time.Since(f.at) >= f.pause
	}
	return time.Since(f.at) >= fresh
}

// look returns what the files hold, not older than fresh. Where files are on their way it waits for them, by wait and without
// holding anything.
func (e *entry) look(log *slog.Logger, wait func(time.Duration) bool) *finding {
	for {
		now := e.lookOnce(log)
		if now.pause == 0 || !wait(now.pause-time.Since(now.at)) {
			return now
		}
	}
}

func (e *entry) lookOnce(log *slog.Logger) *finding {
	if now := e.known(); !now.isOld() {
		return now
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.known()
	if !before.isOld() {
		return before // by whoever held the lock
	}
	now := e.find(log)
	if now.pause == 0 && (before.wrong == nil || before.pause > 0) {
		for _, w := range now.wrong {
			log.Error("certificate of a directory not taken", "file", w.File, "error", w.Why, "hint", w.Hint)
		}
	}
	e.last.Store(now)
	if now.list != nil || before.list != nil {
		e.cache.move(e, now.list != nil)
	}
	return now
}

// find looks at the files of all variants.
func (e *entry) find(log *slog.Logger) *finding {
	now := &finding{at: time.Now()}
	for i, f := range variants(e.key) {
		pause, err := e.lookAt(i, f, log)
		if err != nil {
			now.wrong = append(now.wrong, err...)
		} else if p := e.pairs[i]; p != nil {
			now.list = append(now.list, p.cert)
		}
		now.pause = max(now.pause, pause)
	}
	if now.pause > 0 {
		now.at = time.Now() // reading may have taken longer than the pause
	}
	return now
}

// lookAt reads the files of one variant, if they are there.
func (e *entry) lookAt(i int, f PairFile, log *slog.Logger) (pause time.Duration, all Errors) {
	p, d := e.pairs[i], &e.doubts[i]
	missing, wrong := absent(f.Cert)
	switch {
	case missing:
		e.pairs[i], *d = nil, doubt{}
		return 0, nil
	case wrong != nil && p == nil:
		return 0, Errors{wrong}
	case p != nil:
		p.refresh(log)
		return 0, nil
	}
	if all = d.remains(f); all != nil {
		return 0, all
	}
	l, all := e.cache.load(f)
	if all == nil {
		e.pairs[i] = &pair{file: f, loaded: l}
	}
	return d.note(l.stamps, all), all // there is no pair before it to show: a key that is on its way is waited for
}

// absent reports whether a directory has no file of that name. A link that is there and leads nowhere, or to what must not be
// looked at, is not absent: somebody else's certificate must not be shown in its place.
func absent(path string) (is bool, wrong *Error) {
	info, err := os.Lstat(path)
	if err != nil { // a name that is too long is a stranger's
		return true, nil
	}
	if info.Mode().Type() == fs.ModeSymlink {
		_, err = os.Stat(path)
	}
	if err != nil {
		return false, unreadable(path, err)
	}
	return false, nil
}

var nothing finding

func (e *entry) known() *finding {
	if now := e.last.Load(); now != nil {
		return now
	}
	return &nothing
}
