package balancer

import (
	"net/netip"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// A descriptor that was got while a socket's spare is lent may be that one: where no other is free, it is given back, and the
// connection told that there is none. Else it would be held as long as the connection lasts, and nobody could be refused any
// more. Where there are others, everybody is served.
func TestNobodyIsServedWithALentSpare(t *testing.T) {
	t.Parallel()
	s, _ := mixed(t, func(p *pool.Config) { p.MaxConnections = 10 })
	var free atomic.Bool
	s.spares.open = func() (int, syscall.Errno) {
		if !free.Load() {
			return -1, syscall.EMFILE
		}
		return sys.OpenSpare()
	}
	s.onEachWorker(func(w *worker) {
		if !w.sockets[0].spare.give(&w.server.spares) {
			t.Error("the socket has no spare")
		}
	})
	if got, err := exchange(t, s.addr, helloA); err != nil || string(got) != string(alertOf(80)) {
		t.Errorf("passed through: % x, %v, want the alert internal_error", got, err)
	}
	s.closed(t, CauseFDLimit, 1)
	c := shaken(t, s)
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("terminated: it was served")
	}
	s.closed(t, CauseFDLimit, 2)

	free.Store(true)
	open(t, s.addr, helloA, helloA).Close()
	if s.spares.n.Load() == 0 {
		t.Error("the spare is back too soon for this test")
	}

	s.onEachWorker(func(w *worker) { w.pause(w.sockets[0]) }) // as the socket does that could not take its spare back
	eventually(t, func() bool { return s.spares.n.Load() == 0 }, func() string { return "the spare, which is missing after the pause" })
	s.balanced(t)
}

func TestASpareIsCountedWhileItIsLent(t *testing.T) {
	var all spares
	a, b := newSpare(), newSpare()
	defer a.close()
	steps := []struct {
		name string
		do   func() bool
		want bool
		lent bool
	}{
		{"held", func() bool { return a.fd >= 0 && b.fd >= 0 }, true, false},
		{"given", func() bool { return a.give(&all) }, true, true},
		{"given again", func() bool { return a.give(&all) }, false, true},
		{"another given", func() bool { return b.give(&all) }, true, true},
		{"the first taken", a.take, true, true},
		{"and again", a.take, true, true},
		{"the other closed", func() bool { b.close(); return b.fd < 0 }, true, false},
		{"and again", func() bool { b.close(); return b.fd < 0 }, true, false},
		{"nothing to give", func() bool { return b.give(&all) }, false, false},
	}
	for _, s := range steps {
		if got, lent := s.do(), all.n.Load() > 0; got != s.want || lent != s.lent {
			t.Fatalf("%s: %v, lent %v, want %v, %v", s.name, got, lent, s.want, s.lent)
		}
	}
}

// A socket that could refuse nobody is not opened: where the last descriptor was just enough for it, clients would wait in its
// queue until others are free. It takes a process of its own, for the limit.
func TestNoSocketIsBoundWithoutASpare(t *testing.T) {
	const env = "SWITCHYARD_TEST_BIND"
	if os.Getenv(env) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNoSocketIsBoundWithoutASpare$")
		cmd.Env = append(os.Environ(), env+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	next := newSpare() // the lowest number that is free
	fd := next.fd
	next.close()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	one := syscall.Rlimit{Cur: uint64(fd) + 1, Max: before.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &one); err != nil {
		t.Fatal(err)
	}
	b, err := bind("public", netip.MustParseAddrPort("127.0.0.1:0"), 1)
	next = newSpare()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err == nil {
		b.close()
		t.Error("there is a socket without a spare")
	}
	if next.fd != fd {
		t.Error("the descriptor was not given back")
	}
	next.close()
}
