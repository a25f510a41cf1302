package terminate

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// Budget bounds the handshakes that are computed at one time. Connections that pass through never wait for it. It is
// safe for any number of goroutines.
//
// A handshake takes a turn to compute, and gives it up whenever it waits for its client: slow clients take nothing from
// the others. Of those that wait for a turn, the ones that are half through come first, since ending them frees what they
// hold. New ones wait in a bounded queue, and for a bounded time.
type Budget struct {
	turns    int           // at one time
	queue    int           // new handshakes that may wait
	patience time.Duration // how long they may

	mu      sync.Mutex
	running int
	begun   []*turn // handshakes that go on, the first to be served at the front
	fresh   []*turn // new ones
}

// BudgetStats are what a Budget is doing.
type BudgetStats struct {
	Turns   int // the most handshakes that are computed at one time
	Running int // those that are
	Waiting int // new ones, and those that go on
}

// errBusy says that a handshake got no turn.
var errBusy = errors.New("too many handshakes at once")

// turn is the right of one handshake to compute. A nil *turn needs none.
type turn struct {
	budget *Budget
	held   bool
	ready  chan struct{} // has room for one: the turn was given
}

// Stats tells what b is doing now.
func (b *Budget) Stats() BudgetStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return BudgetStats{b.turns, b.running, len(b.begun) + len(b.fresh)}
}

// begin waits for the first turn of a handshake. The error is errBusy. The caller owes a yield.
func (b *Budget) begin(stop <-chan struct{}) (*turn, error) {
	t := &turn{budget: b, ready: make(chan struct{}, 1)}
	b.mu.Lock()
	if b.running < b.turns {
		b.running++
		b.mu.Unlock()
		t.held = true
		return t, nil
	}
	if len(b.fresh) >= b.queue {
		b.mu.Unlock()
		return nil, errBusy
	}
	b.fresh = append(b.fresh, t)
	b.mu.Unlock()
	late := time.NewTimer(b.patience)
	defer late.Stop()
	select {
	case <-t.ready:
		t.held = true
		return t, nil
	case <-late.C:
	case <-stop:
	}
	b.leave(t)
	return nil, errBusy
}

// leave takes t out of the queue. If it was given its turn meanwhile, that goes to the next.
func (b *Budget) leave(t *turn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.fresh, t); i >= 0 {
		b.fresh = slices.Delete(b.fresh, i, i+1)
		return
	}
	b.next()
}

// take waits until the handshake may go on. It does nothing if it may already.
func (t *turn) take() {
	if t == nil || t.held {
		return
	}
	b := t.budget
	b.mu.Lock()
	if b.running < b.turns {
		b.running++
		b.mu.Unlock()
	} else {
		b.begun = append(b.begun, t)
		b.mu.Unlock()
		<-t.ready // soon: those that compute do not wait for anything
	}
	t.held = true
}

// yield gives the turn up, if it is held.
func (t *turn) yield() {
	if t == nil || !t.held {
		return
	}
	t.held = false
	t.budget.mu.Lock()
	defer t.budget.mu.Unlock()
	t.budget.next()
}

// next hands a turn that became free on. b.mu is held.
func (b *Budget) next() {
	queue := &b.begun
	if len(b.begun) == 0 {
		queue = &b.fresh
	}
	if len(*queue) == 0 {
		b.running--
		return
	}
	t := (*queue)[0]
	*queue = slices.Delete(*queue, 0, 1)
	t.ready <- struct{}{}
}
