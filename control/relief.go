package control

import (
	"sync"
	"time"
)

// reliefDelay is how long no other reload may follow.
const reliefDelay = 2 * time.Second

// relief gives memory back to the operating system after a reload: the parse of a file takes some twenty times its size
// for a moment, and a small one leaves the heap a few megabytes larger than the process needs. It does so once, when
// reloads have ceased: a collection costs more than a moment of memory, and the next reload would take it again.
type relief struct {
	free   func() // debug.FreeOSMemory; set before the first use
	mu     sync.Mutex
	timer  *time.Timer
	closed bool
	work   sync.WaitGroup
}

// after notes that a file was loaded.
func (r *relief) after() {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
	case r.timer == nil:
		r.timer = time.AfterFunc(reliefDelay, r.give)
	default:
		r.timer.Reset(reliefDelay)
	}
}

func (r *relief) give() {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	r.work.Add(1)
	r.mu.Unlock()
	defer r.work.Done()
	r.free()
}

// close ends it, after what is being given back.
func (r *relief) close() {
	r.mu.Lock()
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
	}
	r.mu.Unlock()
	r.work.Wait()
}
