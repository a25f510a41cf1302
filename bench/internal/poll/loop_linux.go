package poll

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// batch is how many events one epoll_wait may return. A larger one only delays what the turn function starts.
const batch = 256

// Loop waits for sockets and for time. Make one with [New], end it with [Loop.Close].
type Loop struct {
	epoll, timer int
	waking       sync.Mutex
	wake         int    // -1: closed; from open on guarded by waking where it is written to and closed
	slots        []slot // by descriptor
	events       [batch]unix.EpollEvent
}

// slot is who owns a descriptor. The generation tells an event for an earlier owner of the same number apart: the
// kernel may hand both out in one batch.
type slot struct {
	handler    Handler
	generation int32
}

// New makes an empty loop.
func New() (*Loop, error) {
	l := &Loop{epoll: -1, timer: -1, wake: -1}
	if err := l.open(); err != nil {
		l.Close()
		return nil, fmt.Errorf("poll: %w", err)
	}
	return l, nil
}

func (l *Loop) open() (err error) {
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return fmt.Errorf("timerfd_create: %w", err)
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	return errors.Join(l.control(l.timer, unix.EPOLLIN), l.control(l.wake, unix.EPOLLIN))
}

// Close closes everything that is registered, and the loop's own descriptors.
func (l *Loop) Close() {
	for fd, s := range l.slots {
		if s.handler != nil {
			_ = unix.Close(fd)
		}
	}
	l.waking.Lock()
	defer l.waking.Unlock()
	for _, fd := range []int{l.epoll, l.timer, l.wake} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	l.wake = -1
}

// Add registers a connection for both directions, once and edge-triggered. The loop owns it from then on, even when
// Add fails: end it with Drop.
func (l *Loop) Add(fd int, h Handler) error {
	l.own(fd, h)
	return l.control(fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET)
}

// AddListener registers a listening socket, level-triggered: a handler may accept a few and leave the rest.
func (l *Loop) AddListener(fd int, h Handler) error {
	l.own(fd, h)
	return l.control(fd, unix.EPOLLIN)
}

func (l *Loop) own(fd int, h Handler) {
	for fd >= len(l.slots) {
		l.slots = append(l.slots, slot{})
	}
	l.slots[fd].handler = h
	l.slots[fd].generation++
}

func (l *Loop) control(fd int, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if fd < len(l.slots) {
		ev.Pad = l.slots[fd].generation
	}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("poll: epoll_ctl: %w", err)
	}
	return nil
}

// Drop forgets a descriptor and closes it; closing is what takes it out of the epoll set.
func (l *Loop) Drop(fd int) {
	if fd < len(l.slots) {
		l.slots[fd].handler = nil
	}
	_ = unix.Close(fd)
}

// Wake ends the current wait. It may be called from any goroutine. Once the loop is closed it does nothing: a late one
// would else write to whoever has got the number of the descriptor since.
func (l *Loop) Wake() {
	l.waking.Lock()
	defer l.waking.Unlock()
	if l.wake < 0 {
		return
	}
	// EAGAIN would mean that a wake-up is already pending, which is as good.
	_, _ = unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// Run calls turn, sleeps for as long as it says at most (Forever: until an event), tells the handlers, and starts
// again, until turn answers false.
func (l *Loop) Run(turn func() (sleep time.Duration, more bool)) error {
	for {
		sleep, more := turn()
		if !more {
			return nil
		}
		if err := l.wait(sleep); err != nil {
			return err
		}
	}
}

// Poll tells the handlers what is there now, without sleeping.
func (l *Loop) Poll() error { return l.wait(0) }

// wait sleeps through the timer descriptor and not through epoll_wait's own timeout, whose millisecond is as long as
// a whole interval of an open loop at 1 000 connections a second.
func (l *Loop) wait(sleep time.Duration) error {
	timeout := -1
	switch {
	case sleep == 0:
		timeout = 0
	case sleep > 0:
		if err := l.arm(sleep); err != nil {
			return err
		}
	}
	n, err := unix.EpollWait(l.epoll, l.events[:], timeout)
	if err == unix.EINTR {
		return nil
	}
	if err != nil {
		return fmt.Errorf("poll: epoll_wait: %w", err)
	}
	for i := range l.events[:n] {
		l.tell(&l.events[i])
	}
	return nil
}

func (l *Loop) arm(sleep time.Duration) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(sleep))}
	if err := unix.TimerfdSettime(l.timer, 0, &spec, nil); err != nil {
		return fmt.Errorf("poll: timerfd_settime: %w", err)
	}
	return nil
}

func (l *Loop) tell(ev *unix.EpollEvent) {
	fd := int(ev.Fd)
	if fd == l.timer || fd == l.wake {
		var count [8]byte
		_, _ = unix.Read(fd, count[:]) // EAGAIN: the timer was armed anew after it fired
		return
	}
	s := l.slots[fd]
	if s.handler == nil || s.generation != ev.Pad {
		return // closed earlier in this batch
	}
	s.handler.Ready(ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
}
