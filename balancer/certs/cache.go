package certs

import (
	"container/list"
	"io/fs"
	"iter"
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
	mu              sync.Mutex
	present, absent lru // under mu
}

func newCache(size int) *cache {
	return &cache{present: newLRU(size), absent: newLRU(size)}
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

// of yields the entries of a directory, in no order. The caller holds mu.
func (m *cache) of(dir string) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		dir := filepath.Clean(dir)
		for _, list := range []*lru{&m.present, &m.absent} {
			for key, at := range list.at {
				if filepath.Dir(key) == dir && !yield(at.Value.(*entry)) {
					return
				}
			}
		}
	}
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
	cache *cache
	key   string                  // path without what the variants add
	last  atomic.Pointer[finding] // nil before the first look
	mu    sync.Mutex              // held while files are looked at
	pairs [4]*pair                // by variants, under mu; nil: there is none
}

// finding is what a look at an entry has found. It is not changed.
type finding struct {
	list  []*Choice
	wrong []*Error // files that are there and have never been good
	stale []*Error // files that were good, and are not what is in list any more
	at    time.Time
}

// look returns what the files hold, not older than fresh.
func (e *entry) look(log *slog.Logger) *finding {
	if now := e.known(); time.Since(now.at) < fresh {
		return now
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.known()
	if time.Since(before.at) < fresh {
		return before // by whoever held the lock
	}
	now := &finding{at: time.Now()}
	for i, f := range variants(e.key) {
		if err := e.lookAt(i, f, log); err != nil {
			now.wrong = append(now.wrong, err...)
		} else if p := e.pairs[i]; p != nil {
			now.list = append(now.list, p.cert)
			if wrong := p.wrong.Load(); wrong != nil {
				now.stale = append(now.stale, *wrong...)
			}
		}
	}
	if before.wrong == nil {
		for _, w := range now.wrong {
			log.Error("certificate of a directory not taken", w.attrs()...)
		}
	}
	e.last.Store(now)
	if now.list != nil || before.list != nil {
		e.cache.move(e, now.list != nil)
	}
	return now
}

// lookAt reads the files of one variant, if they are there.
func (e *entry) lookAt(i int, f PairFile, log *slog.Logger) Errors {
	p := e.pairs[i]
	missing, wrong := absent(f.Cert)
	switch {
	case missing:
		e.pairs[i] = nil
		return nil
	case wrong != nil && p == nil:
		return Errors{wrong}
	case p != nil:
		p.refresh(log)
		return nil
	}
	p, bad := openPair(0, f) // which waits for a key that is on its way: there is no pair before it to show
	if bad == nil {
		e.pairs[i] = p
	}
	return bad
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
