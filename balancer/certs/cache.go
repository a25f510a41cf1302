package certs

import (
	"container/list"
	"iter"
	"path/filepath"
	"sync"
	"time"
)

// maxEntries is how many base names of directories are remembered with their files, and how many others that there
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
	present, absent lru               // under mu
	places          map[string]*place // by path, under mu; those that were configured at one time or another
}

func newCache(size int) *cache {
	return &cache{load: load, present: newLRU(size), absent: newLRU(size), places: map[string]*place{}}
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
	e := &entry{cache: m, place: m.placeOf(dir), key: key, turn: make(chan struct{}, 1)}
	m.absent.put(e)
	return e
}

// place returns what is known of a directory.
func (m *cache) place(dir string) *place {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.placeOf(dir)
}

// placeOf is place for whoever holds mu.
func (m *cache) placeOf(dir string) *place {
	p := m.places[dir]
	if p == nil {
		p = newPlace(dir)
		m.places[dir] = p
	}
	return p
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
