package terminate

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Budget bounds the handshakes that are computed at one time, and if it is told to, those that are begun in a second.
// Connections that pass through never wait for it. It is safe for any number of goroutines.
//
// A handshake takes a turn to compute, and gives it up whenever it waits for its client: slow clients take nothing from
// the others. Of those that wait for a turn, the ones that are half through come first, since ending them frees what they
// hold.
//
// New ones wait in a queue. One that many have come to at once, as after a backend or a network was gone, is worked off: it
// may be long, and whoever is in it may wait for [burst]. One that has not been empty for so long is of a flood, which no
// waiting helps: it is kept short, so that whoever is served has not waited for long.
type Budget struct {
	turns    int           // at one time
	queue    int           // new handshakes that may wait in a flood; in a burst, burstRoom times as many
	patience time.Duration // how long they may

	crowded atomic.Bool // a new one would be refused: told without a lock, and perhaps late
	mu      sync.Mutex
	every   time.Duration // between the beginnings of two, on average; 0: no bound
	due     time.Time     // when the next one may begin
	paced   int           // those that wait for that
	pacing  standing      // as for them
	running int
	begun   []*turn  // handshakes that go on, the first to be served at the front
	fresh   []*turn  // new ones
	turning standing // as for them
}

// What a burst is allowed, see [Budget]. A handshake takes 0.2 ms, with RSA 1.5, so that for each turn some thousands are through
// within burst; one that waits holds its hello and a goroutine, some 12 KiB.
const (
	burst     = 8 * time.Second // the default handshake_timeout is 10 s
	burstRoom = 16              // of Budget.queue
)

// standing is since when there has always been somebody in a queue; the zero value: there is nobody.
type standing time.Time

// note takes down how many there are.
func (s *standing) note(n int, now time.Time) {
	switch {
	case n == 0:
		*s = standing{}
	case time.Time(*s).IsZero():
		*s = standing(now)
	}
}

// at is for how long that has been at now.
func (s standing) at(now time.Time) time.Duration {
	if time.Time(s).IsZero() {
		return 0
	}
	return now.Sub(time.Time(s))
}

// room is how many may wait in a queue at now.
func (b *Budget) room(s standing, now time.Time) int {
	if s.at(now) < burst {
		return b.queue * burstRoom
	}
	return b.queue
}

// wait is how long somebody may who comes into a queue at now; those of a flood that has just begun not all until the same moment.
func (b *Budget) wait(s standing, now time.Time, most time.Duration) time.Duration {
	return min(max(b.patience, burst-s.at(now)/2), most)
}

// BudgetStats are what a Budget is doing.
type BudgetStats struct {
	Turns   int           // the most handshakes that are computed at one time
	Running int           // those that are
	Waiting int           // new ones, and those that go on
	Every   time.Duration // between the beginnings of two, on average; 0: no bound
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
	return BudgetStats{b.turns, b.running, len(b.begun) + len(b.fresh) + b.paced, b.every}
}

// pace sets the time between the beginnings of two handshakes; 0 is no bound. Those that wait already keep their time.
func (b *Budget) pace(every time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.every != every {
		b.every, b.due = every, time.Time{}
		b.note()
	}
}

// paceSlack is how far handshakes may lag behind their times and catch up: it evens out how they arrive.
const paceSlack = 20 * time.Millisecond

// note keeps crowded, and since when there is somebody who waits, what they are. b.mu is held.
func (b *Budget) note() {
	now := time.Now()
	b.turning.note(len(b.fresh), now)
	b.pacing.note(b.paced, now)
	full := len(b.fresh) >= b.room(b.turning, now)
	if b.every > 0 {
		within := b.wait(b.pacing, now, burst) / b.every
		full = full || b.paced >= max(min(b.room(b.pacing, now), int(within)), 1)
	}
	b.crowded.Store(full)
}

// reserve is how long a new handshake has to wait for its time, in the order of the calls. ok is false if it would be too
// long. The caller owes a paced-- where it is not 0. b.mu is held.
func (b *Budget) reserve(most time.Duration) (wait time.Duration, ok bool) {
	if b.every <= 0 {
		return 0, true
	}
	now := time.Now()
	if early := now.Add(-paceSlack); b.due.Before(early) {
		b.due = early
	}
	wait = max(b.due.Sub(now), 0)
	if wait > b.wait(b.pacing, now, most) || wait > 0 && b.paced >= b.room(b.pacing, now) {
		return 0, false
	}
	b.due = b.due.Add(b.every)
	if wait > 0 {
		b.paced++
		b.note()
	}
	return wait, true
}

// await waits for the time of a new handshake. The error is errBusy.
func (b *Budget) await(stop <-chan struct{}, most time.Duration) error {
	b.mu.Lock()
	wait, ok := b.reserve(most)
	b.mu.Unlock()
	switch {
	case !ok:
		return errBusy
	case wait == 0:
		return nil
	}
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.paced--
		b.note()
	}()
	due := time.NewTimer(wait)
	defer due.Stop()
	select {
	case <-due.C:
		return nil
	case <-stop:
		return errBusy
	}
}

// begin waits for the first turn of a handshake, and not longer than most. The error is errBusy. The caller owes a yield.
func (b *Budget) begin(stop <-chan struct{}, most time.Duration) (*turn, error) {
	began := time.Now()
	if err := b.await(stop, most); err != nil {
		return nil, err
	}
	t := &turn{budget: b, ready: make(chan struct{}, 1)}
	b.mu.Lock()
	if b.running < b.turns {
		b.running++
		b.mu.Unlock()
		t.held = true
		return t, nil
	}
	now := time.Now()
	if len(b.fresh) >= b.room(b.turning, now) {
		b.mu.Unlock()
		return nil, errBusy
	}
	b.fresh = append(b.fresh, t)
	b.note()
	wait := b.wait(b.turning, now, max(most-now.Sub(began), b.patience))
	b.mu.Unlock()
	late := time.NewTimer(wait)
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
		b.note()
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
	b.note()
	t.ready <- struct{}{}
}
