package certs

import (
	"log/slog"
	"sync"
	"time"
)

// interval is the time between two looks at the files of pairs. A look costs two stat calls for each pair.
const interval = time.Second

// Follower is something else than a Set whose files are followed: a pointer, by which it is known again.
type Follower interface {
	// Follow takes files that have changed and are good, and writes to the log what there is to say of them.
	Follow(now time.Time, log *slog.Logger)
}

// Keeper keeps the Sets that are in force fresh: it takes changed files within two seconds, and lets ACME order and renew.
// A changed pair is taken whole or not at all: what is broken is logged once, and the pair before it stays. It is
// safe for any number of goroutines.
type Keeper struct {
	log  *slog.Logger
	wake chan struct{}
	quit chan struct{}
	job  sync.WaitGroup // the goroutine that looks

	mu     sync.Mutex
	sets   map[*Set]bool
	others []Follower
	closed bool

	slow map[any]<-chan struct{} // looks that are still under way, by whose they are; of the goroutine that looks
}

// NewKeeper starts a Keeper without Sets; nil for log discards. The caller must Close it.
func NewKeeper(log *slog.Logger) *Keeper {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{log: log, wake: make(chan struct{}, 1), quit: make(chan struct{}), slow: map[any]<-chan struct{}{}}
	k.job.Go(k.run)
	return k
}

// Keep says which Sets are in force from now on: after a reload, all those of the new configuration, whether they were in
// force before or not. A Set may be kept again after it was not. The same goes for others, which is not changed afterwards.
func (k *Keeper) Keep(sets []*Set, others ...Follower) {
	next := make(map[*Set]bool, len(sets))
	for _, s := range sets {
		next[s] = true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed {
		k.others = others
		k.replace(next)
	}
}

// replace starts what is new and stops what is no longer there. The caller holds mu.
func (k *Keeper) replace(next map[*Set]bool) {
	for s := range next {
		if !k.sets[s] {
			s.start(k.log)
		}
	}
	for s := range k.sets {
		if !next[s] {
			s.stop()
		}
	}
	k.sets = next
	select {
	case k.wake <- struct{}{}: // what was not in force for a while is looked at right now
	default:
	}
}

// Close keeps no Set any more and waits for what is under way, but not for a file system that does not answer. A second call
// does nothing.
func (k *Keeper) Close() {
	k.mu.Lock()
	if !k.closed {
		k.others = nil
		k.replace(nil)
		k.closed = true
		close(k.quit)
	}
	k.mu.Unlock()
	k.job.Wait()
}

func (k *Keeper) run() {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-k.quit:
			return
		case <-k.wake:
		case <-tick.C:
		}
		k.sweep()
		now := time.Now()
		sets, others := k.kept()
		for _, s := range sets {
			k.look(s, func() { s.refresh(now) })
			for _, d := range s.dirs {
				if p := d.place(); p.away.Load() != nil {
					k.look(p, p.again)
				}
			}
		}
		for _, o := range others {
			k.look(o, func() { o.Follow(now, k.log) })
		}
	}
}

// look has a look at the files of one of those that are kept. Where the file system does not answer, the others go on without
// it, and it is not looked again before it does.
func (k *Keeper) look(whose any, f func()) {
	if k.slow[whose] != nil {
		return
	}
	if later := within(f, patience); later != nil {
		k.slow[whose] = later
	}
}

// sweep forgets the looks that have come to their end since.
func (k *Keeper) sweep() {
	for whose, done := range k.slow {
		select {
		case <-done:
			delete(k.slow, whose)
		default:
		}
	}
}

func (k *Keeper) kept() ([]*Set, []Follower) {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]*Set, 0, len(k.sets))
	for s := range k.sets {
		all = append(all, s)
	}
	return all, k.others
}

// start puts a Set in force.
func (s *Set) start(log *slog.Logger) {
	s.log.Store(log)
	for _, d := range s.dirs {
		d.place().accept()
	}
	if s.acme != nil {
		s.acme.Start(log)
	}
}

func (s *Set) stop() {
	if s.acme != nil {
		s.acme.Stop()
	}
}
