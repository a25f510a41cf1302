package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

func TestRiseAndFall(t *testing.T) {
	for _, c := range []struct {
		name       string
		rise, fall int
		checks     string
		states     string // ? unknown, U up, D down
	}{
		{"unknown until rise has decided", 3, 3, "+++", "??U"},
		{"unknown until fall has decided", 3, 2, "--", "?D"},
		{"unknown goes on while neither is reached", 2, 2, "+-+-+-++", "???????U"},
		{"one check is enough where one is asked for", 1, 1, "+-+", "UDU"},
		{"fewer failures than fall change nothing", 2, 3, "++--+--+---", "?UUUUUUUUUD"},
		{"fewer passes than rise change nothing", 3, 1, "-++-+++", "DDDDDDU"},
		{"more of the same changes nothing", 2, 2, "++++----", "?UUUUDDD"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(scripted(c.checks))
				defer l.Close()
				var h heard
				l.Watch(backendA, &pool.Check{Interval: time.Second, Rise: c.rise, Fall: c.fall}, netip.Addr{}, h.told)
				for range c.checks {
					time.Sleep(time.Second)
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
				got := ""
				for _, r := range h.reports()[:len(c.states)] {
					got += "?UD"[r.State : r.State+1]
				}
				if got != c.states {
					t.Errorf("checks %s with rise %d and fall %d gave %s, want %s", c.checks, c.rise, c.fall, got, c.states)
				}
			})
		})
	}
}

func TestReportSaysWhatHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(scripted("+--"))
		defer l.Close()
		var h heard
		l.Watch(backendA, &pool.Check{Interval: time.Second, Fall: 2}, netip.Addr{}, h.told)
		time.Sleep(4 * time.Second)
		all := h.reports()
		up, failing, down := all[0], all[1], all[2]
		for i := range all {
			all[i].Latency = 0 // of a connect that takes no time
		}
		refused := "connect: connection refused"
		want := []Report{
			{State: pool.StateUp, Since: up.Last, Last: up.Last, Successes: 1},
			{State: pool.StateUp, Since: up.Last, Last: failing.Last, Failures: 1, Error: refused},
			{State: pool.StateDown, Since: down.Last, Last: down.Last, Failures: 2, Error: refused},
		}
		if diff := cmp.Diff(want, all[:3]); diff != "" {
			t.Errorf("reports (-want +got):\n%s", diff)
		}
	})
}

// Intervals are from start to start, at most as long as configured, at least nine tenths less a beat of that; the
// fast one counts while the state is unknown, about to change, or back from that.
func TestIntervals(t *testing.T) {
	const slow, fast = 10 * time.Second, 2 * time.Second
	synctest.Test(t, func(t *testing.T) {
		l := newLab(scripted("+++-++---+-+++"))
		defer l.Close()
		want := []time.Duration{fast, slow, slow, fast, slow, slow, fast, fast, slow, fast, slow, fast, slow, slow}
		l.Watch(backendA, &pool.Check{Interval: slow, FastInterval: fast, Rise: 2, Fall: 3}, netip.Addr{}, func(Report) {})
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		d := l.dials()
		if d[0].at > fast {
			t.Errorf("the first check began after %v, want up to %v", d[0].at, fast)
		}
		for i, w := range want {
			if got := d[i+1].at - d[i].at; got > w || got < w*85/100 {
				t.Errorf("check %d began %v after the one before, want up to %v", i+1, got, w)
			}
		}
	})
}

// A check that takes as long as its interval is followed by the next, not joined by it.
func TestSlowChecksDoNotOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		under, most := 0, 0
		l := newLab(works)
		l.Checker.dial = func(ctx context.Context, _ netip.AddrPort, _ netip.Addr) (net.Conn, error) {
			under++
			most = max(most, under)
			<-ctx.Done()
			under--
			return nil, ctx.Err()
		}
		defer l.Close()
		var h heard
		l.Watch(backendA, &pool.Check{Interval: time.Second, Timeout: 3 * time.Second}, netip.Addr{}, h.told)
		time.Sleep(time.Minute)
		l.Close()
		n := h.count()
		if most != 1 || n < 19 || n > 20 {
			t.Errorf("%d checks at one time, %d in a minute of 3 s each", most, n)
		}
	})
}

func TestChecksOfManyAreSpread(t *testing.T) {
	const n, interval = 1000, 5 * time.Second
	synctest.Test(t, func(t *testing.T) {
		l := newLab(works)
		defer l.Close()
		for i := range n {
			l.Watch(nth(i, 443), &pool.Check{Interval: interval}, netip.Addr{}, func(Report) {})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		perSecond := map[time.Duration]int{}
		perInstant := map[time.Duration]int{}
		for _, d := range l.dials() {
			perSecond[d.at/time.Second]++
			perInstant[d.at]++
		}
		for s, got := range perSecond {
			if s == 60 {
				continue // its first instant only
			}
			if got < 100 || got > 320 { // 200 on average; 2 % more for the jitter
				t.Errorf("%d checks in second %d", got, s)
			}
		}
		for at, got := range perInstant {
			if got > 40 { // 10 on average
				t.Errorf("%d checks at once after %v", got, at)
			}
		}
	})
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(works)
		defer l.Close()
		check := &pool.Check{Interval: time.Second}
		var a, b heard
		stopA := l.Watch(backendA, check, netip.Addr{}, a.told)
		stopB := l.Watch(backendA, check, netip.Addr{}, b.told)
		time.Sleep(time.Second)
		synctest.Wait()
		stopA()
		stopA()
		wasA, wasB := a.count(), b.count()
		time.Sleep(time.Minute)
		synctest.Wait()
		if a.count() != wasA || b.count() < wasB+55 {
			t.Errorf("after one of two has stopped, it was told %d times, and the other %d times in a minute", a.count()-wasA, b.count()-wasB)
		}
		stopB()
		before := len(l.dials())
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := len(l.dials()); got != before || len(l.targets) != 0 || l.count.Load() != 0 {
			t.Errorf("%d checks after the last has stopped; %d places left", got-before, len(l.targets))
		}
		var again heard
		l.Watch(backendA, check, netip.Addr{}, again.told)
		if r := again.last(); r.Successes > 1 { // one, if the first check was due at once
			t.Errorf("what was found out before is not forgotten: %+v", r)
		}
	})
}

// stop waits for a call of told that is under way, and none begins after it. Without a bubble, whose clock would wait
// for the mutex.
func TestNothingIsToldAfterStop(t *testing.T) {
	l := newLab(works)
	defer l.Close()
	inside, release := make(chan bool), make(chan bool)
	var calls, ended atomic.Int32
	stop := l.Watch(backendA, &pool.Check{Interval: 10 * time.Millisecond}, netip.Addr{}, func(Report) {
		if calls.Add(1) == 1 {
			close(inside)
		}
		<-release
		ended.Add(1)
	})
	<-inside
	time.AfterFunc(50*time.Millisecond, func() { close(release) })
	stop()
	if n := calls.Load(); n == 0 || n != ended.Load() {
		t.Errorf("stop has returned, and of %d calls of told %d", n, ended.Load())
	}
	before := calls.Load()
	again := make(chan bool)
	l.Watch(backendA, &pool.Check{Interval: 10 * time.Millisecond}, netip.Addr{}, func(r Report) {
		if r.Successes == 3 {
			close(again)
		}
	})
	<-again
	if n := calls.Load(); n != before {
		t.Errorf("told %d times after stop", n-before)
	}
}

func TestStopWhileACheckIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(func(netip.AddrPort) error { time.Sleep(time.Second / 2); return syscall.ECONNREFUSED })
		defer l.Close()
		stop := l.Watch(backendA, &pool.Check{Interval: time.Second}, netip.Addr{}, func(Report) { t.Error("told after stop") })
		for len(l.dials()) == 0 {
			time.Sleep(time.Second / 10)
		}
		stop()
		time.Sleep(time.Minute)
		if n := len(l.dials()); n != 1 || l.lines.String() != "" {
			t.Errorf("%d checks, log %q; want the one that was under way, and no line about it", n, l.lines.String())
		}
	})
}

func TestCloseEndsChecksUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(works)
		silent := func(ctx context.Context, _ netip.AddrPort, _ netip.Addr) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go io.Copy(io.Discard, theirs) //nolint:errcheck // until ours is closed
			return ours, ctx.Err()
		}
		l.Checker.dial = silent
		check := &pool.Check{Type: pool.CheckTLS, Interval: time.Hour, FastInterval: time.Second, Timeout: time.Hour}
		for i := range 10 {
			l.Watch(nth(i, 443), check, netip.Addr{}, func(Report) { t.Error("told after Close") })
		}
		time.Sleep(2 * time.Second)
		before := time.Now()
		l.Close()
		l.Close()
		if took := time.Since(before); took != 0 {
			t.Errorf("Close took %v", took)
		}
		stop := l.Watch(backendA, check, netip.Addr{}, func(Report) { t.Error("told by a closed Checker") })
		time.Sleep(2 * time.Hour)
		stop()
	})
}

func TestChecksAtOnceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		under, most, told := 0, 0, map[netip.AddrPort]bool{}
		l := newLab(works)
		l.Checker.dial = func(ctx context.Context, _ netip.AddrPort, _ netip.Addr) (net.Conn, error) {
			mu.Lock()
			under++
			most = max(most, under)
			mu.Unlock()
			<-ctx.Done()
			mu.Lock()
			under--
			mu.Unlock()
			return nil, ctx.Err()
		}
		defer l.Close()
		for i := range 4 * checksAtOnce {
			a := nth(i, 443)
			l.Watch(a, &pool.Check{Interval: 5 * time.Second, Timeout: 5 * time.Second}, netip.Addr{}, func(Report) {
				mu.Lock()
				told[a] = true
				mu.Unlock()
			})
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if most != checksAtOnce || len(told) != 4*checksAtOnce {
			t.Errorf("%d checks at one time, want %d; %d of %d backends had their turn", most, checksAtOnce, len(told), 4*checksAtOnce)
		}
	})
}

// R16 of the promises: whenever a backend fails, that is known after interval times fall and half a second.
func TestFailureIsNoticedInTime(t *testing.T) {
	const interval, fall = 2 * time.Second, 3
	for after := range 40 {
		synctest.Test(t, func(t *testing.T) {
			var broken atomic.Bool
			l := newLab(func(netip.AddrPort) error {
				if broken.Load() {
					return syscall.ECONNREFUSED
				}
				return nil
			})
			defer l.Close()
			down := make(chan time.Time, 1)
			l.Watch(backendA, &pool.Check{Interval: interval, Fall: fall}, netip.Addr{}, func(r Report) {
				if r.State == pool.StateDown && len(down) == 0 {
					down <- time.Now()
				}
			})
			time.Sleep(20*time.Second + time.Duration(after)*interval/40)
			broken.Store(true)
			failed := time.Now()
			if took := (<-down).Sub(failed); took > interval*fall+time.Second/2 {
				t.Errorf("noticed after %v", took)
			}
		})
	}
}

func TestOneLinePerChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(scripted("-----" + "-----" + "++++" + "-+-+" + "---+"))
		l.Watch(backendA, &pool.Check{Type: pool.CheckTCP, Interval: time.Second, Rise: 2, Fall: 3}, netip.Addr{}, func(Report) {})
		time.Sleep(time.Minute)
		l.Close()
		var got []string
		for line := range strings.Lines(l.lines.String()) {
			before, rest, _ := strings.Cut(line, " after_s=")
			_, after, _ := strings.Cut(rest, " ")
			got = append(got, before+" "+strings.TrimSuffix(after, "\n")) // without the time, which is random
		}
		const down, up = `level=WARN msg="backend is down" address=192.0.2.1:443 check=tcp was=`, `level=INFO msg="backend is up" address=192.0.2.1:443 check=tcp was=`
		want := []string{
			down + `unknown failures=3 error="connect: connection refused"`,
			up + `down successes=2`,
			down + `up failures=3 error="connect: connection refused"`,
			up + `down successes=2`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

func TestPanicInACheckIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sound atomic.Bool
		l := newLab(func(netip.AddrPort) error {
			if !sound.Load() {
				panic("a defect")
			}
			return nil
		})
		var h heard
		l.Watch(backendA, &pool.Check{Interval: time.Second, Fall: 2}, netip.Addr{}, h.told)
		l.Watch(backendB, &pool.Check{Interval: time.Second, Fall: 2}, netip.Addr{}, func(Report) {})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if last := h.last(); last.State != pool.StateDown || last.Error != "panic: see the log" {
			t.Errorf("state %v, error %q", last.State, last.Error)
		}
		if n := strings.Count(l.lines.String(), "a check panicked"); n != 2 {
			t.Errorf("%d lines about the panics of two targets, want one for each:\n%s", n, l.lines.String())
		}
		sound.Store(true)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		l.Close()
		if last := h.last(); last.State != pool.StateUp {
			t.Errorf("state %v after the panics have ended", last.State)
		}
	})
}

func TestPanicOfAReceiverIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(works)
		var h heard
		check := &pool.Check{Interval: time.Second}
		l.Watch(backendA, check, netip.Addr{}, func(Report) { panic(errors.New("a defect")) })
		l.Watch(backendA, check, netip.Addr{}, h.told)
		time.Sleep(time.Minute)
		l.Close()
		if h.count() < 55 {
			t.Errorf("the other receiver was told %d times in a minute", h.count())
		}
		if s := l.lines.String(); !strings.Contains(s, `msg="a receiver of check results panicked" address=192.0.2.1:443`) {
			t.Errorf("nothing in the log: %s", s)
		}
	})
}

func TestWhatACheckLeavesOpen(t *testing.T) {
	got := settled(&pool.Check{Address: backendB.Addr(), Port: 1, FastInterval: time.Hour})
	want := &pool.Check{Interval: 5 * time.Second, FastInterval: 5 * time.Second, Timeout: time.Second, Rise: 1, Fall: 1}
	if !got.Equal(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := settled(&pool.Check{Interval: time.Second / 2}).Timeout; got != time.Second/2 {
		t.Errorf("timeout %v with an interval of half a second", got)
	}
}

// The reports of a flapping backend are in order, whoever looks.
func TestFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(scripted(strings.Repeat("+-", 500)))
		defer l.Close()
		check := &pool.Check{Interval: time.Second}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 3 * time.Second)
				last := Report{}
				stop := l.Watch(backendA, check, netip.Addr{}, func(r Report) {
					if r.Last.Before(last.Last) || r.State == last.State && !r.Last.Equal(last.Last) {
						t.Errorf("%v after %v", r, last)
					}
					last = r
				})
				time.Sleep(time.Minute)
				stop()
			})
		}
		wg.Wait()
		lines := strings.Count(l.lines.String(), "\n")
		if n := len(l.dials()); lines > n || lines < n-2 {
			t.Errorf("%d lines for %d changes", lines, n)
		}
	})
}

// Between checks, a target is a struct and a timer.
func TestNothingIsHeldBetweenChecks(t *testing.T) {
	const n = 300
	addr := serve(t, over(&tls.Config{Certificates: []tls.Certificate{newAuthority().issue(nil)}}, silent))
	c := New(nil)
	defer c.Close()
	goroutines, descriptors := runtime.NumGoroutine(), openFiles(t)
	told := make(chan string, n)
	for i := range n {
		check := &pool.Check{Type: pool.CheckTLS, Interval: time.Hour, FastInterval: time.Second, Timeout: time.Minute, Path: fmt.Sprint(i)}
		c.Watch(addr, check, netip.Addr{}, func(r Report) { told <- r.Error })
	}
	for range n {
		if err := <-told; err != "" {
			t.Error(err)
		}
	}
	c.running.Wait()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) { // the backend's end too
		g, d := runtime.NumGoroutine(), openFiles(t)
		if g <= goroutines && d <= descriptors {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines and %d descriptors more for %d targets", g-goroutines, d-descriptors, n)
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("descriptors cannot be counted here: %v", err)
	}
	return len(all)
}
