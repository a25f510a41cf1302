//go:build linux

package poll

import (
	"errors"
	"io"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var local = netip.MustParseAddrPort("127.0.0.1:0")

func newLoop(t *testing.T) *Loop {
	t.Helper()
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// pair is the two ends of a connection; whoever takes an end over closes it.
func pair(t *testing.T) (client, server int) {
	t.Helper()
	listener, addr, err := Listen(local)
	if err != nil {
		t.Fatal(err)
	}
	defer CloseFD(listener)
	client, err = Connect(netip.MustParseAddr("127.0.0.7"), addr)
	if err != nil {
		t.Fatal(err)
	}
	for {
		server, err = Accept(listener)
		if err == nil {
			return client, server
		}
		if !errors.Is(err, ErrAgain) {
			t.Fatal(err)
		}
	}
}

// handler counts its calls.
type handler struct {
	calls int
	ended bool
	then  func()
}

func (h *handler) Ready(ended bool) {
	h.calls++
	h.ended = h.ended || ended
	if h.then != nil {
		h.then()
	}
}

// until runs the loop until done.
func until(t *testing.T, l *Loop, done func() bool) {
	t.Helper()
	give := time.Now().Add(30 * time.Second)
	err := l.Run(func() (time.Duration, bool) {
		if time.Now().After(give) {
			t.Fatal("nothing happened in 30 s")
		}
		return time.Millisecond, !done()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestHandlerIsToldOfBytesAndOfTheEnd(t *testing.T) {
	l := newLoop(t)
	client, server := pair(t)
	var h handler
	if err := l.Add(server, &h); err != nil {
		t.Fatal(err)
	}
	until(t, l, func() bool { return h.calls > 0 }) // there is room to write
	if _, err := Write(client, []byte("bytes")); err != nil {
		t.Fatal(err)
	}
	calls := h.calls
	until(t, l, func() bool { return h.calls > calls })
	var b [16]byte
	if n, err := Read(server, b[:]); n != 5 || err != nil || h.ended {
		t.Errorf("read %d, %v, ended %v; want 5 bytes", n, err, h.ended)
	}
	if _, err := Read(server, b[:]); !errors.Is(err, ErrAgain) {
		t.Errorf("read of a drained socket: %v, want ErrAgain", err)
	}
	CloseFD(client)
	until(t, l, func() bool { return h.ended })
	if _, err := Read(server, b[:]); !errors.Is(err, io.EOF) {
		t.Errorf("read after the end: %v, want EOF", err)
	}
}

func TestDiscardCountsAndCopiesNothing(t *testing.T) {
	client, server := pair(t)
	defer CloseFD(client)
	defer CloseFD(server)
	if _, err := Write(client, []byte("bytes")); err != nil {
		t.Fatal(err)
	}
	var scratch [3]byte
	for _, want := range []int{3, 2} {
		n, err := 0, ErrAgain
		for errors.Is(err, ErrAgain) {
			n, err = Discard(server, scratch[:])
		}
		if n != want || err != nil || scratch != [3]byte{} {
			t.Errorf("discarded %d, %v, scratch %q; want %d", n, err, scratch, want)
		}
	}
}

func TestResetOnClose(t *testing.T) {
	client, server := pair(t)
	defer CloseFD(server)
	ResetOnClose(client)
	CloseFD(client)
	err := ErrAgain
	for errors.Is(err, ErrAgain) {
		_, err = Read(server, make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %v, want a reset", err)
	}
}

// The kernel hands a closed descriptor's number out again at once, perhaps within the batch that still has an event
// for its former owner.
func TestEventForAFormerOwnerIsDropped(t *testing.T) {
	l := newLoop(t)
	client1, server1 := pair(t)
	client2, server2 := pair(t)
	defer CloseFD(client1)
	defer CloseFD(client2)
	var h1, h2, heir handler
	drop := func(fd int) func() {
		return func() {
			for _, h := range []*handler{&h1, &h2} {
				h.then = nil
			}
			l.Drop(fd)
			l.own(fd, &heir)
		}
	}
	h1.then, h2.then = drop(server2), drop(server1)
	if err := errors.Join(l.Add(server1, &h1), l.Add(server2, &h2)); err != nil {
		t.Fatal(err)
	}
	if err := l.Poll(); err != nil { // both are writable: whoever comes first replaces the other
		t.Fatal(err)
	}
	if h1.calls+h2.calls != 1 || heir.calls != 0 {
		t.Errorf("calls %d, %d and %d of the heir; want one and none", h1.calls, h2.calls, heir.calls)
	}
	for _, fd := range []int{server1, server2} {
		if l.slots[fd].handler == &heir {
			l.slots[fd].handler = nil // nothing is open under that number
		}
	}
}

func TestRunSleepsAndWakes(t *testing.T) {
	l := newLoop(t)
	const nap = 5 * time.Millisecond
	began, turns := time.Now(), 0
	err := l.Run(func() (time.Duration, bool) { turns++; return nap, turns < 2 })
	if slept := time.Since(began); err != nil || slept < nap {
		t.Errorf("slept %v, %v; want at least %v", slept, err, nap)
	}
	go l.Wake()
	turns = 0
	if err := l.Run(func() (time.Duration, bool) { turns++; return Forever, turns < 2 }); err != nil {
		t.Error(err)
	}
}

// A wake-up that comes late is written to nobody who has got the number of the loop's descriptor since.
func TestALateWakeIsWrittenToNobody(t *testing.T) {
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	number := l.wake
	l.Close()
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer CloseFD(ends[0])
	defer CloseFD(ends[1])
	if err := unix.Dup3(ends[1], number, unix.O_CLOEXEC); err != nil { // the pipe has taken the two below
		t.Fatal(err)
	}
	defer CloseFD(number)
	l.Wake()
	if n, err := unix.Read(ends[0], make([]byte, 8)); err != unix.EAGAIN {
		t.Errorf("%d bytes were written to another's descriptor (%v)", n, err)
	}
}
