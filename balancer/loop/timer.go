package loop

import "math/bits"

// Tick is the resolution of timers in nanoseconds: 10 ms.
const Tick = 10_000_000

// Timer is one deadline of its owner, to be embedded in it. The zero Timer is not set. It belongs to the loop
// that set it; setting and stopping cost a few nanoseconds and no allocation.
type Timer struct {
	next, prev *Timer
	due        uint64 // tick
	slot       uint16 // where it hangs in the wheel, plus one; 0: not set
	Token      uint64 // for the owner: whose timer this is
}

// The wheel has four levels of coarser and coarser slots (Varghese and Lauck, SOSP 1987, scheme 7). A timer far
// away hangs in a coarse slot; when the wheel gets there, the slot's timers are spread over the finer level.
const (
	level0Bits = 8 // 256 slots of one tick: 2.56 s
	levelBits  = 6 // then 64 slots each: 164 s, 2.9 h, 7.8 days
	levels     = 4
	slots      = 1<<level0Bits + (levels-1)<<levelBits
	maxAhead   = 1<<(level0Bits+(levels-1)*levelBits) - 1
)

// wheel keeps timers by their tick. never is its idea of "no timer".
type wheel struct {
	now   uint64 // every timer due at or before now has fired
	count int
	head  [slots]*Timer
	used  [slots/64 + 1]uint64 // bit per slot that may hold timers
}

const never = ^uint64(0)

// set hangs t into the wheel, due at tick due; a tick that is past fires at the next one.
func (w *wheel) set(t *Timer, due uint64) {
	w.stop(t)
	due = max(due, w.now+1)
	if due-w.now > maxAhead {
		due = w.now + maxAhead
	}
	t.due = due
	w.hang(t)
	w.count++
}

// stop takes t out; a timer that is not set stays so.
func (w *wheel) stop(t *Timer) {
	if t.slot == 0 {
		return
	}
	w.unhang(t)
	w.count--
}

func (w *wheel) hang(t *Timer) {
	s := w.slotFor(t.due)
	t.slot = uint16(s + 1)
	t.prev, t.next = nil, w.head[s]
	if t.next != nil {
		t.next.prev = t
	}
	w.head[s] = t
	w.used[s/64] |= 1 << (s % 64)
}

func (w *wheel) unhang(t *Timer) {
	s := int(t.slot - 1)
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		w.head[s] = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	if w.head[s] == nil {
		w.used[s/64] &^= 1 << (s % 64)
	}
	t.next, t.prev, t.slot = nil, nil, 0
}

// slotFor is the slot of the finest level that reaches to due.
func (w *wheel) slotFor(due uint64) int {
	if due>>level0Bits == w.now>>level0Bits {
		return int(due & (1<<level0Bits - 1))
	}
	base, shift := 1<<level0Bits, uint(level0Bits)
	for l := 1; l < levels-1; l++ {
		if due>>(shift+levelBits) == w.now>>(shift+levelBits) {
			break
		}
		base, shift = base+1<<levelBits, shift+levelBits
	}
	return base + int(due>>shift)&(1<<levelBits-1)
}

// advance moves the wheel to tick to and calls fire for every timer that is due; fire may set and stop timers.
func (w *wheel) advance(to uint64, fire func(*Timer)) {
	w.fireSlot(fire) // what an earlier call left, which a panic in fire had ended
	for w.now < to {
		next := w.next()
		if next > to {
			w.now = to // nothing hangs before: whole slots are jumped over
			return
		}
		w.now = next
		w.cascade()
		w.fireSlot(fire)
	}
}

// fireSlot fires the timers of the present tick. No later one hangs in its slot: those are a level up.
func (w *wheel) fireSlot(fire func(*Timer)) {
	s := int(w.now & (1<<level0Bits - 1))
	for t := w.head[s]; t != nil; t = w.head[s] {
		w.stop(t)
		fire(t)
	}
}

// cascade spreads the coarse slots that begin at now over finer ones.
func (w *wheel) cascade() {
	shift, base := uint(level0Bits), 1<<level0Bits
	for l := 1; l < levels && w.now&(1<<shift-1) == 0; l++ {
		s := base + int(w.now>>shift)&(1<<levelBits-1)
		for t := w.head[s]; t != nil; t = w.head[s] {
			w.unhang(t)
			w.hang(t)
		}
		shift, base = shift+levelBits, base+1<<levelBits
	}
}

// next is the first tick after now at which something is to be done: a timer fires, or a coarse slot is spread.
func (w *wheel) next() uint64 {
	if w.count == 0 {
		return never
	}
	first := uint64(never)
	shift, base := uint(0), 0
	for l := range levels {
		n := levelBits
		if l == 0 {
			n = level0Bits
		}
		if at, ok := w.nextInLevel(base, n, shift); ok {
			first = min(first, at)
		}
		base, shift = base+1<<n, shift+uint(n)
	}
	return first
}

// nextInLevel is the tick at which the next used slot of a level of 1<<n slots begins.
func (w *wheel) nextInLevel(base, n int, shift uint) (uint64, bool) {
	mask := uint64(1)<<n - 1
	here := w.now >> shift & mask
	for i := uint64(1); i <= mask+1; {
		s := base + int((here+i)&mask)
		word := w.used[s/64] >> (s % 64)
		if word == 0 { // on to the next word, or to the end of the level if that comes first
			i += min(uint64(64-s%64), mask+1-(here+i)&mask)
			continue
		}
		skip := uint64(bits.TrailingZeros64(word))
		if skip == 0 {
			return (w.now>>shift + i) << shift, true
		}
		if (here+i)&mask+skip > mask {
			skip = mask + 1 - (here+i)&mask
		}
		i += skip
	}
	return 0, false
}
