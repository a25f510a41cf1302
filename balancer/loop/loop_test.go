package loop

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/sys"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorderHandler does what the test says and notes what it was told.
type recorderHandler struct {
	event  func(token uint64, bits uint32)
	timer  func(*Timer)
	again  func(token uint64)
	panics []any
}

func (h *recorderHandler) Event(token uint64, bits uint32) { h.event(token, bits) }
func (h *recorderHandler) Timer(t *Timer)                  { h.timer(t) }
func (h *recorderHandler) Again(token uint64)              { h.again(token) }
func (h *recorderHandler) Panicked(reason any)             { h.panics = append(h.panics, reason) }

// start runs a loop until the test ends.
func start(t *testing.T, h Handler) *Loop {
	t.Helper()
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); l.Run(h) }()
	t.Cleanup(func() {
		l.Post(l.End)
		<-done
	})
	return l
}

// on runs f on the loop and waits for it.
func on(t *testing.T, l *Loop, f func()) {
	t.Helper()
	done := make(chan struct{})
	if !l.Post(func() { f(); close(done) }) {
		t.Fatal("the loop takes no tasks")
	}
	<-done
}

func TestPostedTasksRunInOrder(t *testing.T) {
	l := start(t, &recorderHandler{})
	var got []int
	for i := range 1000 {
		l.Post(func() { got = append(got, i) })
	}
	on(t, l, func() {})
	for i, v := range got {
		if i != v {
			t.Fatalf("task %d ran as number %d", v, i)
		}
	}
	if len(got) != 1000 {
		t.Errorf("%d tasks ran, want 1000", len(got))
	}
}

func TestPostFromManyGoroutinesLosesNothing(t *testing.T) {
	l := start(t, &recorderHandler{})
	var wg sync.WaitGroup
	ran := 0
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				l.Post(func() { ran++ })
			}
		})
	}
	wg.Wait()
	on(t, l, func() {})
	if ran != 16000 {
		t.Errorf("%d tasks ran, want 16000", ran)
	}
}

func TestPostAfterTheEndIsRefused(t *testing.T) {
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); l.Run(&recorderHandler{}) }()
	l.Post(l.End)
	<-done
	if l.Post(func() {}) {
		t.Error("a loop that has ended took a task")
	}
}

func TestTimerWakesAParkedLoop(t *testing.T) {
	fired := make(chan int64, 1)
	h := &recorderHandler{}
	var l *Loop
	h.timer = func(*Timer) { fired <- l.Now() }
	l = start(t, h)
	var tm Timer
	var set int64
	on(t, l, func() { set = l.Now(); l.Set(&tm, 30e6) })
	if at := <-fired; at-set < 30e6 {
		t.Errorf("fired after %v, before its 30ms", time.Duration(at-set))
	}
}

func TestAReadyDescriptorWakesAParkedLoop(t *testing.T) {
	got := make(chan uint64, 16)
	h := &recorderHandler{event: func(token uint64, bits uint32) {
		if bits&sys.EventIn != 0 {
			got <- token
		}
	}}
	l := start(t, h)
	fd, e := sys.EventFD()
	if e != 0 {
		t.Fatal(e)
	}
	defer sys.Close(fd)
	on(t, l, func() { l.Watch(fd, 42) })
	sys.Wake(fd)
	if token := <-got; token != 42 {
		t.Errorf("token %d, want 42", token)
	}
	sys.Clear(fd)
	sys.Wake(fd) // a second edge
	if token := <-got; token != 42 {
		t.Errorf("second edge: token %d, want 42", token)
	}
}

// A panic ends only the call it came from: the rest of the batch, and of the turns put off, is served.
func TestPanicEndsOnlyItsCall(t *testing.T) {
	var seen []uint64
	h := &recorderHandler{again: func(token uint64) {
		seen = append(seen, token)
		if token == 2 {
			panic("two")
		}
	}}
	l := start(t, h)
	on(t, l, func() { l.Later(1); l.Later(2); l.Later(3) })
	for n := 0; n < 3; {
		on(t, l, func() { n = len(seen) })
	}
	if len(h.panics) != 1 || h.panics[0] != "two" {
		t.Errorf("panics told: %v, want one: two", h.panics)
	}
}

func TestPanicInATimerLetsTheOthersFire(t *testing.T) {
	fired := make(chan *Timer, 3)
	h := &recorderHandler{}
	var a, b Timer
	h.timer = func(tm *Timer) {
		fired <- tm
		if tm == &a {
			panic("a")
		}
	}
	l := start(t, h)
	on(t, l, func() { l.Set(&a, 10e6); l.Set(&b, 10e6) })
	first, second := <-fired, <-fired
	if first == second {
		t.Error("one timer fired twice")
	}
}

func TestLaterAllocatesNothingInTheLongRun(t *testing.T) {
	turns := 0
	h := &recorderHandler{}
	var l *Loop
	done := make(chan uint64)
	var before runtime.MemStats
	h.again = func(token uint64) {
		switch turns++; turns {
		case 100:
			runtime.ReadMemStats(&before)
		case 10100:
			var after runtime.MemStats
			runtime.ReadMemStats(&after)
			done <- after.Mallocs - before.Mallocs
			return
		}
		l.Later(token)
	}
	l = start(t, h)
	on(t, l, func() { l.Later(7) })
	if n := <-done; n > 100 {
		t.Errorf("%d allocations in 10 000 turns, want next to none", n)
	}
}
