package balancer

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// Backends that fail while clients come, at a rate and each for one answer: nobody is to notice.

// crowding is clients that come at a rate.
type crowding struct {
	served, failed atomic.Int64
	first          atomic.Pointer[string] // failure
	stop           func()                 // ends it, and waits for those under way
}

// clients has rate clients a second come to addr until stop: each sends its hello and reads the first bytes of an answer.
func clients(t testing.TB, addr string, rate int) *crowding {
	s := &crowding{}
	end := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		began := time.Now()
		for n := 0; ; n++ {
			select {
			case <-end:
				return
			case <-time.After(time.Until(began.Add(time.Duration(n) * time.Second / time.Duration(rate)))):
				running.Go(func() { s.one(addr) })
			}
		}
	})
	s.stop = sync.OnceFunc(func() { close(end); running.Wait() })
	t.Cleanup(s.stop)
	return s
}

func (s *crowding) one(addr string) {
	if err := answered(addr); err != nil {
		text := err.Error()
		s.first.CompareAndSwap(nil, &text)
		s.failed.Add(1)
		return
	}
	s.served.Add(1)
}

// answered makes one connection, and returns why it got no answer.
func answered(addr string) error {
	c, err := net.DialTimeout("tcp", addr, 30*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := c.Write(helloA); err != nil {
		return err
	}
	got := make([]byte, len(serverHelloLike))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if got[0] != serverHelloLike[0] {
		return fmt.Errorf("answered % x", got)
	}
	return nil
}

// unharmed ends it, and reports the clients that failed.
func (s *crowding) unharmed(t testing.TB) {
	t.Helper()
	s.stop()
	if n := s.failed.Load(); n > 0 {
		t.Errorf("%d of %d clients failed, the first with: %s", n, n+s.served.Load(), *s.first.Load())
	}
	t.Logf("%d clients served", s.served.Load())
}

const backendEnv = "SWITCHYARD_TEST_BACKEND"

// TestBackendProcess is not a test: it is a backend that can be killed.
func TestBackendProcess(t *testing.T) {
	if os.Getenv(backendEnv) == "" {
		t.Skip("runs in the processes that other tests start")
	}
	fmt.Println(answering(t, serverHelloLike))
	io.Copy(io.Discard, os.Stdin)
}

// backendProcess starts one, and returns its address.
func backendProcess(t testing.TB) (addr string, cmd *exec.Cmd) {
	t.Helper()
	cmd = exec.Command(os.Args[0], "-test.run=^TestBackendProcess$")
	cmd.Env = append(os.Environ(), backendEnv+"=1")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); io.Copy(io.Discard, out); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), cmd
}

// R13, R14: one backend of three is killed while clients come. Those that it has not answered are served by the others.
func TestKilledBackendFailsNobody(t *testing.T) {
	t.Parallel()
	rate, half := sized(200, 1000), sized(700*time.Millisecond, 10*time.Second)
	victim, cmd := backendProcess(t)
	p := ejecting(victim, answering(t, serverHelloLike), answering(t, serverHelloLike))
	p.ConnectTimeout, p.AnswerTimeout = 3*time.Second, 5*time.Second
	s := serve(t, oneHost("a.example.com", p), func(o *Options) { o.LogConnections = false })
	c := clients(t, s.addr, rate)
	time.Sleep(half)
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	eventually(t, func() bool { return s.stateOf(t, victim).State == pool.StateEjected }, func() string { return "the ejection" })
	took := time.Since(killed)
	time.Sleep(half)
	c.unharmed(t)
	s.quiet(t)
	s.balanced(t)
	t.Logf("ejected %v after it was killed, %d attempts failed", took.Round(time.Millisecond), s.stateOf(t, victim).Failures)
	if full() && took > time.Second {
		t.Errorf("ejected after %v, want 1 s", took)
	}
}

// R14: a backend that accepts and resets each connection is ejected within a second, and nobody notices.
func TestResettingBackendFailsNobody(t *testing.T) {
	t.Parallel()
	resets := listenTCP(t, func(c *net.TCPConn) { c.SetLinger(0) })
	p := ejecting(resets, answering(t, serverHelloLike), answering(t, serverHelloLike))
	p.ConnectTimeout, p.AnswerTimeout = 3*time.Second, 5*time.Second
	s := serve(t, oneHost("a.example.com", p), func(o *Options) { o.LogConnections = false })
	began := time.Now()
	c := clients(t, s.addr, sized(200, 1000))
	eventually(t, func() bool { return s.stateOf(t, resets).State == pool.StateEjected }, func() string { return "the ejection" })
	took := time.Since(began)
	time.Sleep(sized(200*time.Millisecond, 5*time.Second))
	c.unharmed(t)
	t.Logf("ejected after %v and %d failures", took.Round(time.Millisecond), s.stateOf(t, resets).Failures)
	if full() && took > time.Second {
		t.Errorf("ejected after %v, want 1 s", took)
	}
}

// A backend that is there for a second, and not for the next: checks and real connections find out each time, nobody
// notices, and the log has a line for each change and no more.
func TestFlappingBackendFailsNobody(t *testing.T) {
	t.Parallel()
	flaps, beat := newToggled(t), sized(300*time.Millisecond, time.Second)
	flaps.answer.Store(true)
	p := ejecting(flaps.addr, answering(t, serverHelloLike), answering(t, serverHelloLike))
	p.ConnectTimeout, p.AnswerTimeout = 3*time.Second, 5*time.Second
	p.Outlier.Eject = 100 * time.Millisecond
	p.Health = &pool.Check{Interval: beat / 4, Timeout: 20 * time.Second, Rise: 1, Fall: 1} // that is busy is no change
	s := serve(t, oneHost("a.example.com", p), func(o *Options) { o.LogConnections = false })
	c := clients(t, s.addr, sized(100, 500))
	beats := sized(4, 20)
	for range beats {
		time.Sleep(beat)
		flaps.l.Close()
		time.Sleep(beat)
		flaps.listen(t, flaps.addr)
	}
	c.unharmed(t)
	b := s.stateOf(t, flaps.addr)
	lines := strings.Count(s.log.String(), "backend changed")
	t.Logf("%d times away: %d failures, %d ejections, %d lines of log", beats, b.Failures, b.Ejections, lines)
	if most := 2*beats + 2*int(b.Ejections) + 2; lines > most {
		t.Errorf("%d lines of log, want at most %d: two for each time away, and for each ejection", lines, most)
	}
}

// R15: a node that comes back has a small part of its share after a tenth of its slow start, and its fair share after it.
func TestReturningBackendGetsItsShareSlowly(t *testing.T) {
	t.Parallel()
	slow := sized(time.Second, 10*time.Second)
	back := newToggled(t)
	back.answer.Store(true)
	p := ejecting(back.addr, answering(t, serverHelloLike), answering(t, serverHelloLike))
	p.SlowStart, p.Outlier, p.PanicBelow = slow, nil, 0
	p.Health = quickCheck()
	s := serve(t, oneHost("a.example.com", p), func(o *Options) { o.LogConnections = false })
	state := func(want pool.State) time.Time {
		eventually(t, func() bool { return s.stateOf(t, back.addr).State == want }, want.String)
		return time.Now()
	}
	state(pool.StateUp)
	back.l.Close()
	state(pool.StateDown)
	back.listen(t, back.addr)
	began := state(pool.StateUp)
	share := func(least int, until time.Time) float64 {
		before, n := s.stateOf(t, back.addr).Total, 0
		for ; n < least || time.Now().Before(until); n++ {
			if err := answered(s.addr); err != nil {
				t.Error(err)
			}
		}
		return float64(s.stateOf(t, back.addr).Total-before) / float64(n) * 3
	}
	got := share(1, began.Add(slow/10))
	t.Logf("%.1f %% of its fair share in the first tenth of its slow start", 100*got)
	if full() && got > 0.15 {
		t.Errorf("%.1f %% of its fair share in the first second, want at most 15 %%", 100*got)
	}
	time.Sleep(time.Until(began.Add(slow + 50*time.Millisecond)))
	got = share(sized(900, 9000), time.Time{})
	t.Logf("%.1f %% of its fair share in the end", 100*got)
	if math.Abs(got-1) > 0.05 {
		t.Errorf("%.1f %% of its fair share after its slow start, want 95 to 105 %%", 100*got)
	}
}

// R16: a change is seen within interval times fall and half a second.
func TestChecksSeeAChangeInTime(t *testing.T) {
	t.Parallel()
	b := newToggled(t)
	p := testPool("pool", b.addr, answering(t, serverHelloLike))
	p.Health = &pool.Check{Interval: 200 * time.Millisecond, Timeout: 200 * time.Millisecond, Rise: 1, Fall: 3}
	s := serve(t, oneHost("a.example.com", p))
	eventually(t, func() bool { return s.stateOf(t, b.addr).State == pool.StateUp }, func() string { return "up" })
	b.l.Close()
	closed := time.Now()
	eventually(t, func() bool { return s.stateOf(t, b.addr).State == pool.StateDown }, func() string { return "down" })
	took := time.Since(closed)
	t.Logf("down after %v", took.Round(time.Millisecond))
	if most := 3*p.Health.Interval + 500*time.Millisecond; full() && took > most {
		t.Errorf("down after %v, want %v at most", took, most)
	}
}

// A machine that is gone without a word, in network namespaces: its cable is pulled while clients come. They wait for
// connect_timeout at most; it is ejected, and found down, and comes back with the cable.
//
//	 network namespace of the test                 of the balancer
//	┌────────────────────────────────┐          ┌──────────────────────┐
//	│ clients       10.78.1.1 (hc) ──┼── veth ──┼─ (gc) 10.78.1.2:port │
//	│ two backends  10.78.1.1        │          │                      │
//	│ the one lost  10.78.2.1 (hb) ──┼── veth ──┼─ (gb) 10.78.2.2      │
//	└────────────────────────────────┘          └──────────────────────┘
func TestLostMachineFailsNobody(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("makes network namespaces: needs root")
	}
	if _, err := exec.LookPath("nsenter"); err != nil {
		t.Skip("needs nsenter (util-linux) and ip (iproute2)")
	}
	runtime.LockOSThread() // and never unlocked: the thread, which is in another namespace, ends with the test
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		t.Fatalf("unshare: %v", err)
	}
	ip(t, "link add hc type veth peer name gc", "link add hb type veth peer name gb",
		"addr add 10.78.1.1/24 dev hc", "addr add 10.78.2.1/24 dev hb", "link set lo up", "link set hc up", "link set hb up")
	var addrs []string
	for _, host := range []string{"10.78.2.1", "10.78.1.1", "10.78.1.1"} {
		l, err := net.Listen("tcp4", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		serveOn(t, l, func(c *net.TCPConn) {
			if _, err := readHelloRecord(c); err == nil {
				c.Write(serverHelloLike)
				io.Copy(io.Discard, c)
			}
		})
		addrs = append(addrs, l.Addr().String())
	}
	b := start(t, childSpec{
		Bind: []string{"0.0.0.0:0"}, Backends: addrs, Connect: 200 * time.Millisecond,
		Outlier: &pool.Outlier{Failures: 3, Eject: 2 * time.Second, MaxEjected: 50},
		Health:  &pool.Check{Interval: 200 * time.Millisecond, Timeout: 200 * time.Millisecond, Rise: 1, Fall: 3},
	}, true)
	pid := fmt.Sprint(b.cmd.Process.Pid)
	ip(t, "link set gc netns "+pid, "link set gb netns "+pid)
	for _, args := range []string{"link set lo up", "addr add 10.78.1.2/24 dev gc", "addr add 10.78.2.2/24 dev gb", "link set gc up", "link set gb up"} {
		run(t, "nsenter", append([]string{"-t", pid, "-n", "ip"}, strings.Fields(args)...)...)
	}
	_, port, _ := net.SplitHostPort(b.Addr)
	to := "10.78.1.2:" + port
	slowest := time.Duration(0)
	serveFor := func(d time.Duration) { // in this goroutine: its thread is the one in the namespace
		for end := time.Now().Add(d); time.Now().Before(end); {
			began := time.Now()
			if err := answered(to); err != nil {
				t.Errorf("a client failed: %v", err)
				return
			}
			slowest = max(slowest, time.Since(began))
		}
	}
	becomes := func(want ...pool.State) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); ; serveFor(50 * time.Millisecond) {
			got := b.report(t).Stats.Pools[0].Backends[0].State
			for _, w := range want {
				if got == w {
					return
				}
			}
			if time.Now().After(end) || t.Failed() {
				t.Fatalf("the lost backend is %v, want %v", got, want)
			}
		}
	}
	becomes(pool.StateUp)
	serveFor(200 * time.Millisecond)
	ip(t, "link set hb down")
	pulled := time.Now()
	becomes(pool.StateDown, pool.StateEjected)
	t.Logf("%v after the cable was pulled it was left out", time.Since(pulled).Round(time.Millisecond))
	serveFor(sized(500*time.Millisecond, 5*time.Second))
	ip(t, "link set hb up")
	becomes(pool.StateUp)
	serveFor(200 * time.Millisecond)
	t.Logf("the slowest client took %v", slowest.Round(time.Millisecond))
	if full() && slowest > 500*time.Millisecond {
		t.Errorf("the slowest client took %v, want little more than connect_timeout, 200 ms", slowest)
	}
}
