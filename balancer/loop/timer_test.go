package loop

import (
	"math/rand/v2"
	"testing"
)

// Every timer fires exactly at its tick, whatever was set, moved and stopped in between and however far the
// wheel jumps at once: checked against a plain list.
func TestWheelFiresEachTimerAtItsTick(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := &wheel{now: uint64(r.IntN(1 << 20))}
		timers := make([]Timer, 200)
		due := map[*Timer]uint64{}
		for step := range 3000 {
			tm := &timers[r.IntN(len(timers))]
			switch r.IntN(4) {
			case 0, 1:
				ahead := uint64(1) << r.IntN(22)
				at := w.now + 1 + r.Uint64N(ahead)
				w.set(tm, at)
				due[tm] = at
			case 2:
				w.stop(tm)
				delete(due, tm)
			case 3:
				to := w.now + r.Uint64N(uint64(1)<<r.IntN(16))
				w.advance(to, func(f *Timer) {
					if want, ok := due[f]; !ok || want != w.now {
						t.Fatalf("seed %d step %d: fired at %d, want %d (set: %v)", seed, step, w.now, want, ok)
					}
					delete(due, f)
				})
				for f, at := range due {
					if at <= w.now {
						t.Fatalf("seed %d step %d: a timer due at %d is still set at %d: %+v", seed, step, at, w.now, f)
					}
				}
			}
			if w.count != len(due) {
				t.Fatalf("seed %d step %d: wheel counts %d timers, %d are set", seed, step, w.count, len(due))
			}
			earliest := uint64(never)
			for _, at := range due {
				earliest = min(earliest, at)
			}
			if n := w.next(); n > earliest || n <= w.now {
				t.Fatalf("seed %d step %d: next is %d at %d, but a timer is due at %d", seed, step, n, w.now, earliest)
			}
		}
	}
}

func TestWheelTimerInThePastFiresAtTheNextTick(t *testing.T) {
	w := &wheel{now: 1000}
	var tm Timer
	w.set(&tm, 3)
	var fired uint64
	w.advance(1001, func(*Timer) { fired = w.now })
	if fired != 1001 {
		t.Errorf("fired at %d, want 1001", fired)
	}
}

func TestWheelTimerMayBeSetAgainWhileItFires(t *testing.T) {
	w := &wheel{}
	var tm Timer
	w.set(&tm, 10)
	var at []uint64
	w.advance(100, func(f *Timer) {
		at = append(at, w.now)
		w.set(f, w.now+30)
	})
	if want := []uint64{10, 40, 70, 100}; len(at) != 4 || at[0] != want[0] || at[3] != want[3] {
		t.Errorf("fired at %v, want %v", at, want)
	}
}

func TestWheelSetAndStopAllocateNothing(t *testing.T) {
	w := &wheel{}
	var tm Timer
	if n := testing.AllocsPerRun(100, func() { w.set(&tm, w.now+500); w.stop(&tm) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkWheelSetStop(b *testing.B) {
	w := &wheel{}
	var tm Timer
	for b.Loop() {
		w.set(&tm, w.now+500)
		w.stop(&tm)
	}
}
