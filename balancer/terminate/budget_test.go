package terminate

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// One turn at a time, and never more; those that go on come before those that begin.
func TestTurnsAreBoundedAndThoseThatGoOnComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Budget{turns: 1, queue: 8, patience: time.Second}
		first, err := b.begin(nil, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		waits := first // half through, it waits for its client
		waits.yield()
		second, _ := b.begin(nil, time.Hour)
		var order []string
		var mu sync.Mutex
		note := func(what string) { mu.Lock(); order = append(order, what); mu.Unlock() }
		var wg sync.WaitGroup
		wg.Go(func() {
			third, err := b.begin(nil, time.Hour)
			if err != nil {
				t.Error(err)
				return
			}
			note("new")
			third.yield()
		})
		synctest.Wait()
		wg.Go(func() {
			waits.take()
			note("goes on")
			waits.yield()
		})
		synctest.Wait()
		if s := b.Stats(); s != (BudgetStats{Turns: 1, Running: 1, Waiting: 2}) {
			t.Errorf("doing %+v", s)
		}
		second.yield()
		wg.Wait()
		if order[0] != "goes on" || order[1] != "new" {
			t.Errorf("the order was %v", order)
		}
		if s := b.Stats(); s.Running != 0 || s.Waiting != 0 {
			t.Errorf("at the end %+v", s)
		}
	})
}

// Many who come at once are all served, if that takes less than burst and there are no more than there is room for.
func TestABurstOfHandshakesIsWorkedOff(t *testing.T) {
	const most, takes = 64 * burstRoom, burst / (64 * burstRoom * 5 / 4)
	for _, c := range []struct {
		name            string
		n               int
		takes, wait     time.Duration
		served, refused int
		longest         time.Duration
	}{
		{"as many as there is room for", most + 1, takes, time.Hour, most + 1, 0, most * takes},
		{"more", most + 11, takes, time.Hour, most + 1, 10, most * takes},
		{"that take too long", 201, burst / 100, time.Hour, 101, 100, burst}, // the 101st is given its turn in the last moment
		{"of those who do not wait so long", 201, burst / 100, burst / 4, 26, 175, burst / 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &Budget{turns: 1, queue: 64, patience: time.Second}
				began := time.Now()
				var served, refused, longest atomic.Int64
				var wg sync.WaitGroup
				for range c.n {
					wg.Go(func() {
						turn, err := b.begin(nil, c.wait)
						longest.Store(max(longest.Load(), int64(time.Since(began))))
						if err != nil {
							refused.Add(1)
							return
						}
						served.Add(1)
						time.Sleep(c.takes)
						turn.yield()
					})
					synctest.Wait()
				}
				wg.Wait()
				// At one moment, a turn that becomes free and the end of a wait may come in either order.
				if got := int(served.Load()); got < c.served-1 || got > c.served || got+int(refused.Load()) != c.n {
					t.Errorf("%d served and %d refused, want %d and %d", got, refused.Load(), c.served, c.refused)
				}
				if got := time.Duration(longest.Load()); got > c.longest || got < c.longest-2*c.takes {
					t.Errorf("the longest has waited %v, want %v", got, c.longest)
				}
				if s := b.Stats(); s.Running != 0 || s.Waiting != 0 || b.crowded.Load() || b.turning != (standing{}) {
					t.Errorf("at the end %+v, crowded: %v, standing since %v", s, b.crowded.Load(), time.Time(b.turning))
				}
			})
		})
	}
}

// A flood, which does not end, is told from a burst: from then on the queue is short, and whoever is served has waited for less than
// patience.
func TestInAFloodTheQueueOfHandshakesIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Budget{turns: 1, queue: 64, patience: time.Second}
		const takes, every = 10 * time.Millisecond, 5 * time.Millisecond // twice as many as can be served
		var served, late atomic.Int64
		var wg sync.WaitGroup
		began := time.Now()
		for time.Since(began) < time.Minute {
			wg.Go(func() {
				came := time.Now()
				turn, err := b.begin(nil, time.Hour)
				if err != nil {
					return
				}
				served.Add(1)
				if came.Sub(began) > 2*burst && time.Since(came) > b.patience {
					late.Add(1)
				}
				time.Sleep(takes)
				turn.yield()
			})
			time.Sleep(every)
		}
		synctest.Wait()
		if s := b.Stats(); s.Waiting > 64 {
			t.Errorf("after a minute %d wait", s.Waiting)
		}
		wg.Wait()
		if n, most := int(served.Load()), int(time.Minute/takes); n < most*99/100 || late.Load() > 0 {
			t.Errorf("%d were served, of %d possible; %d had waited for too long", n, most, late.Load())
		}
		if _, err := b.begin(nil, time.Hour); err != nil || b.room(b.turning, time.Now()) != 64*burstRoom {
			t.Errorf("once it is over: %v, with room for %d", err, b.room(b.turning, time.Now()))
		}
	})
}

func TestTheQueueOfNewHandshakesIsBoundedInLengthAndTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Budget{turns: 1, queue: 3, patience: burst / 4}
		held, _ := b.begin(nil, time.Hour)
		for _, then := range []time.Duration{0, burst * 98 / 100, burst / 2} { // one that waits is always there
			time.Sleep(then)
			go func() { _, _ = b.begin(nil, time.Hour) }()
			synctest.Wait()
		}
		time.Sleep(burst * 24 / 100)
		stop := make(chan struct{})
		var late, stopped error
		var wg sync.WaitGroup
		wg.Go(func() { _, late = b.begin(nil, time.Hour) })
		wg.Go(func() { _, stopped = b.begin(stop, time.Hour) })
		synctest.Wait()
		if _, err := b.begin(nil, time.Hour); !errors.Is(err, errBusy) || !b.crowded.Load() {
			t.Errorf("a fourth in a queue of three: %v; crowded: %v", err, b.crowded.Load())
		}
		close(stop)
		began := time.Now()
		wg.Wait()
		if waited := time.Since(began); waited != b.patience || !errors.Is(late, errBusy) || !errors.Is(stopped, errBusy) {
			t.Errorf("%v and %v after %v", late, stopped, waited)
		}
		held.yield()
		if s := b.Stats(); s.Running != 0 || s.Waiting != 0 || b.crowded.Load() {
			t.Errorf("at the end %+v, crowded: %v", s, b.crowded.Load())
		}
	})
}

// Handshakes that come faster than they may begin are spread over time, in their order; what would wait too long, or too many, is
// refused at once, and one that is stopped waits no longer.
func TestHandshakesArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Budget{turns: 1, queue: 16, patience: time.Second}
		const every = burst / 10
		b.pace(every)
		began := time.Now()
		var at []time.Duration
		refused := 0
		var mu sync.Mutex
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for i := range 20 {
			wg.Go(func() {
				turn, err := b.begin(map[bool]chan struct{}{i == 5: stop}[true], time.Hour)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					refused++
					return
				}
				at = append(at, time.Since(began).Round(10*time.Millisecond))
				turn.yield()
			})
			synctest.Wait()
		}
		if s := b.Stats(); s.Waiting != 10 || s.Every != every || !b.crowded.Load() {
			t.Errorf("doing %+v, crowded: %v", s, b.crowded.Load())
		}
		close(stop)
		wg.Wait()
		want := []time.Duration{0}
		for i := range 10 {
			if i != 4 { // the one that was stopped; its time is nobody's
				want = append(want, time.Duration(i+1)*every-paceSlack)
			}
		}
		if !slices.Equal(at, want) || refused != 10 {
			t.Errorf("begun after %v, want %v; %d refused", at, want, refused)
		}
		if s := b.Stats(); s.Running != 0 || s.Waiting != 0 || b.crowded.Load() {
			t.Errorf("at the end %+v, crowded: %v", s, b.crowded.Load())
		}
		b.pace(0)
		for range 20 {
			turn, err := b.begin(nil, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			turn.yield()
		}
	})
}

// Not more wait for their time than for a turn.
func TestThoseThatArePacedAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Budget{turns: 100, queue: 2, patience: time.Second} // nobody waits for a turn
		b.pace(time.Millisecond)
		var refused atomic.Int64
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				turn, err := b.begin(nil, time.Hour)
				if err != nil {
					refused.Add(1)
					return
				}
				turn.yield()
			})
		}
		wg.Wait()
		if passed := 100 - refused.Load(); passed < 20+2*burstRoom || passed > 24+2*burstRoom { // those that the slack lets through at once, and two
			t.Errorf("%d passed", passed)
		}
	})
}

// Whatever the order in which turns are taken, given up and given up on, none is lost and none is had twice.
func TestNoTurnIsLost(t *testing.T) {
	b := &Budget{turns: 2, queue: 64, patience: time.Millisecond}
	var running, most atomic.Int64
	compute := func() {
		n := running.Add(1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		running.Add(-1)
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 200 {
				turn, err := b.begin(nil, time.Millisecond)
				if err != nil {
					continue
				}
				compute()
				turn.yield()
				turn.yield()
				turn.take()
				turn.take()
				compute()
				turn.yield()
			}
		})
	}
	wg.Wait()
	if s := b.Stats(); s.Running != 0 || s.Waiting != 0 || most.Load() > 2 {
		t.Errorf("%+v, at most %d at one time", s, most.Load())
	}
}
