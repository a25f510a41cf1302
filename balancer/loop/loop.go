package loop

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// Handler is what a Loop calls. All calls come from the loop's goroutine, one at a time.
type Handler interface {
	// Event says that a watched descriptor is ready; bits are sys.Event… bits.
	Event(token uint64, bits uint32)
	// Timer says that a timer is due. It is not set any more, and may be set again.
	Timer(t *Timer)
	// Again is the turn that the handler asked for with Later.
	Again(token uint64)
	// Panicked is told of a panic in one of the other three, with its stack; the loop goes on with the next.
	Panicked(reason any)
}

// Own tokens of the loop; a handler's tokens are below.
const (
	tokenTimer uint64 = ^uint64(0) - iota
	tokenPost
)

// busy is how many events in one turn make it likely that more are there by now: a look costs a call, parking and
// waking up again several and perhaps a thread switch.
const busy = 2

// batch is how many events one epoll_wait takes: enough to spare calls under load, few enough (12 KiB) to stay
// in the cache.
const batch = 512

// Loop waits for descriptors and timers. Make one with New; its methods belong to the goroutine in Run, and
// before Run to whoever prepares it. Only Post may be called from anywhere.
type Loop struct {
	ep      int
	timerFD int
	postFD  int
	file    *os.File // ep, known to the netpoller
	conn    syscall.RawConn
	poll    func(fd uintptr) bool

	events  [batch]sys.Event
	n, at   int // events[at:n] are not handled yet
	again   []uint64
	later   []uint64 // what again held when this turn began
	laterAt int      // later[laterAt:] is not handled yet
	look    bool     // do not park yet
	handler Handler

	base    time.Time
	now     int64  // nanoseconds since base
	wheel   wheel  // in ticks since base
	armed   uint64 // tick the timerfd fires at; never if it does not
	closing bool

	posted  atomic.Pointer[task]
	posting atomic.Int32 // calls of Post under way: postFD stays open for them
}

// task is one posted function; the list is last in, first out until the loop turns it round.
type task struct {
	next *task
	f    func()
}

// New makes a loop. Close releases it if Run is never called.
func New() (*Loop, error) {
	if !sys.Supported {
		return nil, fmt.Errorf("loop: event loops need Linux: %w", errors.ErrUnsupported)
	}
	l := &Loop{ep: -1, timerFD: -1, postFD: -1, base: time.Now(), armed: never}
	if err := l.open(); err != nil {
		l.Close()
		return nil, err
	}
	l.poll = l.turns
	return l, nil
}

func (l *Loop) open() error {
	var e syscall.Errno
	if l.ep, e = sys.EpollCreate(); e != 0 {
		return fmt.Errorf("loop: epoll_create1: %w", e)
	}
	l.file = os.NewFile(uintptr(l.ep), "epoll")
	var err error
	if l.conn, err = l.file.SyscallConn(); err != nil {
		return fmt.Errorf("loop: epoll descriptor: %w", err)
	}
	if l.timerFD, e = sys.TimerFD(); e != 0 {
		return fmt.Errorf("loop: timerfd_create: %w", e)
	}
	if l.postFD, e = sys.EventFD(); e != 0 {
		return fmt.Errorf("loop: eventfd2: %w", e)
	}
	if e = sys.WatchReadable(l.ep, l.timerFD, tokenTimer); e == 0 {
		e = sys.WatchReadable(l.ep, l.postFD, tokenPost)
	}
	if e != 0 {
		return fmt.Errorf("loop: epoll_ctl: %w", e)
	}
	return nil
}

// Close releases the loop's own descriptors. Run calls it; a second call does nothing.
func (l *Loop) Close() {
	for _, fd := range []*int{&l.timerFD, &l.postFD} {
		if *fd >= 0 {
			sys.Close(*fd)
			*fd = -1
		}
	}
	if l.file != nil {
		l.file.Close() // closes ep
		l.file, l.ep = nil, -1
	} else if l.ep >= 0 {
		sys.Close(l.ep)
		l.ep = -1
	}
}

// Watch registers a connection's descriptor under token: edge-triggered, until it is closed. Whether it is
// writable is not told before WatchWritable.
func (l *Loop) Watch(fd int, token uint64) syscall.Errno { return sys.Watch(l.ep, fd, token) }

// WatchBoth registers a descriptor for reading and writing.
func (l *Loop) WatchBoth(fd int, token uint64) syscall.Errno { return sys.WatchBoth(l.ep, fd, token) }

// WatchWritable makes the loop tell when a descriptor that Watch registered takes bytes again.
func (l *Loop) WatchWritable(fd int, token uint64) syscall.Errno {
	return sys.WatchWritable(l.ep, fd, token)
}

// WatchListener registers a listening socket under token: level-triggered, until it is closed or taken out.
func (l *Loop) WatchListener(fd int, token uint64) syscall.Errno {
	return sys.WatchListener(l.ep, fd, token)
}

// Unwatch takes fd out.
func (l *Loop) Unwatch(fd int) { sys.Unwatch(l.ep, fd) }

// Now is the time of the present turn in nanoseconds on the loop's own monotonic clock.
func (l *Loop) Now() int64 { return l.now }

// Refresh reads the clock within a turn, for durations shorter than one.
func (l *Loop) Refresh() { l.now = int64(time.Since(l.base)) }

// Base is the wall-clock time at which Now was 0.
func (l *Loop) Base() time.Time { return l.base }

// Set makes t fire once, at the first tick at or after d nanoseconds from now, instead of whenever it was set to.
func (l *Loop) Set(t *Timer, d int64) {
	l.wheel.set(t, uint64((l.now+d+Tick-1)/Tick))
	if t.due < l.armed {
		l.armed = 0 // wait arms the timerfd anew
	}
}

// Stop takes t out if it is set.
func (l *Loop) Stop(t *Timer) { l.wheel.stop(t) }

// Later asks for a turn of its own for token, after the other descriptors had theirs.
func (l *Loop) Later(token uint64) { l.again = append(l.again, token) }

// Post runs f on the loop's goroutine, soon and in the order of the calls. It may be called from any goroutine.
// It reports false if the loop takes no more: then f does not run. After true, f runs unless the loop ends first.
func (l *Loop) Post(f func()) bool {
	l.posting.Add(1)
	defer l.posting.Add(-1)
	t := &task{f: f}
	for {
		head := l.posted.Load()
		if head == closedList {
			return false
		}
		t.next = head
		if !l.posted.CompareAndSwap(head, t) {
			continue
		}
		if head == nil { // later ones ride on the first one's wake-up
			sys.Wake(l.postFD)
		}
		return true
	}
}

// closedList marks a loop that takes no more tasks.
var closedList = &task{}

// End makes Run return after the present turn. Only the loop's goroutine may call it, by Post for instance.
func (l *Loop) End() { l.closing = true }

// Run serves until End, then releases the loop. It is the body of the loop's goroutine.
//
// All of it happens inside one RawConn.Read: its callback serves a turn and says "not ready yet", upon which Read
// parks until the epoll descriptor becomes readable. Whatever becomes ready while a turn is served makes that
// parking end at once, so no look at an empty epoll is needed before it. (A Read per turn would need one: it
// forgets what became ready before it began.)
func (l *Loop) Run(h Handler) {
	l.handler = h
	for !l.closing {
		if err := l.conn.Read(l.poll); err != nil {
			break // the descriptor is closed: nothing can become ready any more
		}
	}
	l.posted.Swap(closedList)
	for l.posting.Load() > 0 {
		runtime.Gosched() // somebody is about to write to postFD, which may be another's number once it is closed
	}
	l.Close()
}

// turns serves until there is nothing to do; false lets the goroutine park.
func (l *Loop) turns(fd uintptr) bool {
	for {
		l.look = false
		l.at, l.n = 0, 0
		l.n, _ = sys.EpollWait(int(fd), l.events[:])
		l.turn()
		if l.closing {
			return true
		}
		l.arm()
		if len(l.again) == 0 && l.n < busy && !l.look {
			return false
		}
	}
}

// turn serves what is ready, what was put off, and the timers.
func (l *Loop) turn() {
	l.Refresh()
	for l.at < l.n {
		l.serve()
	}
	l.later, l.again, l.laterAt = l.again, l.later[:0], 0
	for l.laterAt < len(l.later) {
		l.serve()
	}
	l.fireTimers()
}

// Look makes the loop look for events once more before it parks: a level-triggered socket may still be ready.
func (l *Loop) Look() { l.look = true }

// serve handles what is left of this turn. A panic ends only the call it came from: the deferred recover leaves
// at and laterAt behind the culprit, and Run calls again.
func (l *Loop) serve() {
	defer l.recover()
	for l.at < l.n {
		ev := &l.events[l.at]
		l.at++
		switch token := ev.Token(); token {
		case tokenTimer:
			sys.Clear(l.timerFD)
			l.armed = 0
		case tokenPost:
			sys.Clear(l.postFD)
			l.runPosted()
		default:
			l.handler.Event(token, ev.Bits())
		}
	}
	for l.laterAt < len(l.later) {
		l.laterAt++
		l.handler.Again(l.later[l.laterAt-1])
	}
}

func (l *Loop) recover() {
	if r := recover(); r != nil {
		l.look = true // whatever was cut short may have left a level-triggered socket ready
		l.handler.Panicked(r)
	}
}

func (l *Loop) runPosted() {
	var inOrder *task
	for t := l.posted.Swap(nil); t != nil; {
		next := t.next
		t.next = inOrder
		inOrder, t = t, next
	}
	for t := inOrder; t != nil; t = t.next {
		l.runTask(t.f)
	}
}

// runTask keeps a panic in one task from the next ones.
func (l *Loop) runTask(f func()) {
	defer l.recover()
	f()
}

func (l *Loop) fireTimers() {
	for to := uint64(l.now / Tick); !l.advance(to); {
	}
}

// advance reports whether every timer that is due was fired; a panic in one leaves the others for the next call.
func (l *Loop) advance(to uint64) (done bool) {
	defer l.recover()
	l.wheel.advance(to, l.handler.Timer)
	return true
}

// arm sets the timerfd to the next tick at which the wheel has something to do, if that became earlier or the
// timerfd has fired. A timer that was stopped leaves it as it is: it fires once for nothing at the most.
func (l *Loop) arm() {
	if l.armed != 0 {
		return
	}
	l.armed = l.wheel.next()
	if l.armed != never {
		sys.ArmTimer(l.timerFD, int64(l.armed)*Tick-l.now)
	}
}
