package health

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// A thousand members in ten pools each are a thousand addresses: R16 of the promises.
func TestOneCheckHoweverManyPools(t *testing.T) {
	const n, pools, interval = 1000, 10, 5 * time.Second
	synctest.Test(t, func(t *testing.T) {
		l := newLab(works)
		defer l.Close()
		var told atomic.Int64
		for range pools {
			check := &pool.Check{Interval: interval, ExpectStatus: []int{200}} // equal, and not the same
			for i := range n {
				l.Watch(nth(i, 443), check, netip.Addr{}, func(Report) { told.Add(1) })
			}
		}
		time.Sleep(interval + time.Millisecond)
		synctest.Wait()
		each := map[netip.AddrPort]int{}
		for _, d := range l.dials() {
			each[d.to]++
		}
		if len(each) != n {
			t.Fatalf("%d addresses were checked, want %d", len(each), n)
		}
		for to, got := range each {
			if got > 2 { // the first one, and after at most 5 s the second
				t.Errorf("%s was checked %d times in an interval", to, got)
			}
		}
		if got := len(l.dials()); int(told.Load()) != got*pools {
			t.Errorf("%d reports of %d checks to %d pools", told.Load(), got, pools)
		}
	})
}

// A first check may be over before the call that asked for it is, and a check while one watcher follows another.
func TestNoReportIsLostWhileWatchBegins(t *testing.T) {
	at, check := place{to: backendA}, settled(&pool.Check{Interval: time.Second})
	synctest.Test(t, func(t *testing.T) {
		l := newLab(works)
		defer l.Close()
		var first, second heard
		one, other := &watcher{told: first.told}, &watcher{told: second.told}
		aSecond := func() { time.Sleep(time.Second + time.Millisecond); synctest.Wait() }

		target := l.join(at, check, one)
		aSecond()
		target.add(one)
		if got, checks := len(first.reports()), len(l.dials()); got == 0 || got != checks {
			t.Errorf("%d reports of %d checks before Watch has returned", got, checks)
		}
		if log := l.lines.String(); !strings.Contains(log, "backend is up") {
			t.Errorf("the change was not logged: %s", log)
		}

		target.remove(one)
		if l.join(at, check, other) != target {
			t.Fatal("the second watcher has got another target")
		}
		l.leave(target)
		checks := len(l.dials())
		aSecond()
		target.add(other)
		got := second.reports()
		if len(l.dials()) == checks || len(got) != 1 || time.Since(got[0].Last) > time.Second+time.Millisecond {
			t.Errorf("who comes after %d more checks is told %+v", len(l.dials())-checks, got)
		}
	})
}

func TestWhoSharesACheck(t *testing.T) {
	base := pool.Check{Interval: time.Second}
	with := func(edit func(*pool.Check)) *pool.Check { c := base; edit(&c); return &c }
	source := netip.MustParseAddr("192.0.2.99")
	for _, c := range []struct {
		name    string
		addr    netip.AddrPort
		check   *pool.Check
		source  netip.Addr
		targets int
	}{
		{"an equal check", backendA, with(func(*pool.Check) {}), netip.Addr{}, 1},
		{"a check to the same address by another way", backendB, with(func(c *pool.Check) { c.Address = backendA.Addr() }), netip.Addr{}, 1},
		{"another address does not", backendB, &base, netip.Addr{}, 2},
		{"another port does not", backendA, with(func(c *pool.Check) { c.Port = 80 }), netip.Addr{}, 2},
		{"another source does not", backendA, &base, source, 2},
		{"another check does not", backendA, with(func(c *pool.Check) { c.Fall = 9 }), netip.Addr{}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := New(nil)
			defer l.Close()
			l.Watch(backendA, &base, netip.Addr{}, func(Report) {})
			l.Watch(c.addr, c.check, c.source, func(Report) {})
			if got := int(l.count.Load()); got != c.targets {
				t.Errorf("%d targets, want %d", got, c.targets)
			}
		})
	}
}

func TestLateWatcherIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(works)
		defer l.Close()
		check := &pool.Check{Interval: time.Second}
		var first, late heard
		l.Watch(backendA, check, netip.Addr{}, first.told)
		if told, checks := first.count(), len(l.dials()); told > checks { // the first may be due at once
			t.Errorf("%d reports of %d checks", told, checks)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		l.Watch(backendA, check, netip.Addr{}, late.told)
		if diff := cmp.Diff(first.last(), late.last()); diff != "" || late.last().State != pool.StateUp {
			t.Errorf("the late watcher was told otherwise (-first +late):\n%s", diff)
		}
	})
}
