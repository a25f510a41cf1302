package resolve

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answer is what the fake name server says.
type answer struct {
	addrs string // separated by spaces
	ttl   time.Duration
	err   error
}

// script answers lookups one after the other, the last answer again and again, and notes when each was asked.
type script struct {
	mu      sync.Mutex
	begin   time.Time
	answers []answer
	asked   []time.Duration // since begin
}

func newScript(answers ...answer) *script { return &script{begin: time.Now(), answers: answers} }

func (s *script) lookup(context.Context, string) ([]netip.Addr, time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.answers[min(len(s.asked), len(s.answers)-1)]
	s.asked = append(s.asked, time.Since(s.begin))
	return addrs(a.addrs), a.ttl, a.err
}

func addrs(list string) (all []netip.Addr) {
	for _, a := range strings.Fields(list) {
		all = append(all, netip.MustParseAddr(a))
	}
	return all
}

// told collects what a watcher hears.
type told struct {
	mu    sync.Mutex
	heard []string
}

func (t *told) changed(addrs []netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var words []string
	for _, a := range addrs {
		words = append(words, a.String())
	}
	t.heard = append(t.heard, strings.Join(words, " "))
}

// check compares what was heard so far.
func (t *told) check(tb *testing.T, what string, want ...string) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	diff(tb, what, want, t.heard)
}

func diff[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); d != "" {
		t.Errorf("%s (-want +got)\n%s", what, d)
	}
}

func TestNamesAreAskedAgain(t *testing.T) {
	const one, two = "10.0.0.1", "10.0.0.2"
	failure := answer{err: errors.New("no such host")}
	s := time.Second
	tests := []struct {
		name    string
		answers []answer
		run     time.Duration
		asked   []time.Duration
		told    []string
	}{
		{"after the TTL", []answer{{one, 10 * s, nil}}, 25 * s, []time.Duration{0, 10 * s, 20 * s}, []string{one}},
		{"no sooner than the floor", []answer{{one, time.Millisecond, nil}}, 2500 * time.Millisecond, []time.Duration{0, s, 2 * s}, []string{one}},
		{"no later than the ceiling", []answer{{one, 24 * time.Hour, nil}}, 601 * s, []time.Duration{0, 300 * s, 600 * s}, []string{one}},
		{"after 5s when the TTL is unknown", []answer{{one, 0, nil}}, 11 * s, []time.Duration{0, 5 * s, 10 * s}, []string{one}},
		{"a negative TTL is unknown", []answer{{one, -s, nil}}, 6 * s, []time.Duration{0, 5 * s}, []string{one}},
		{"a change is told", []answer{{one, s, nil}, {two, 100 * s, nil}}, 2 * s, []time.Duration{0, s}, []string{one, two}},
		{"another order is no change", []answer{{one + " " + two, s, nil}, {two + " " + one, 100 * s, nil}}, 2 * s,
			[]time.Duration{0, s}, []string{one + " " + two}},
		{"an error keeps the addresses, and is retried later and later up to 30s",
			[]answer{{one, 10 * s, nil}, failure, failure, failure, failure, failure, failure, failure, {two, 1000 * s, nil}}, 120 * s,
			[]time.Duration{0, 10 * s, 11 * s, 13 * s, 17 * s, 25 * s, 41 * s, 71 * s, 101 * s}, []string{one, two}},
		{"the retries begin anew after an answer",
			[]answer{failure, failure, {one, s, nil}, failure, {one, 100 * s, nil}}, 10 * s,
			[]time.Duration{0, s, 3 * s, 4 * s, 5 * s}, []string{one}},
		{"an empty answer keeps the addresses", []answer{{one, s, nil}, {"", s, nil}}, 1500 * time.Millisecond, []time.Duration{0, s}, []string{one}},
		{"an answer without a usable address keeps the addresses", []answer{{one, s, nil}, {"0.0.0.0 ::", s, nil}}, 1500 * time.Millisecond,
			[]time.Duration{0, s}, []string{one}},
		{"nothing is told while nothing is known", []answer{failure}, 2 * s, []time.Duration{0, s}, nil},
		{"a partial first answer is better than none", []answer{{one, s, errPartial}}, 500 * time.Millisecond, []time.Duration{0}, []string{one}},
		{"a partial answer replaces its family and keeps the other",
			[]answer{{one + " 2001:db8::1", s, nil}, {two, s, errPartial}}, 1500 * time.Millisecond, []time.Duration{0, s},
			[]string{one + " 2001:db8::1", two + " 2001:db8::1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sc := newScript(test.answers...)
				r := New(sc.lookup, nil)
				var got told
				r.Watch("web.example.com", got.changed)
				time.Sleep(test.run)
				r.Close()
				diff(t, "asked at", test.asked, sc.asked)
				got.check(t, "told", test.told...)
			})
		})
	}
}

// R17: NXDOMAIN for ten minutes: the old set serves; afterwards the new record is used within 30s.
func TestTenMinutesOfNXDOMAIN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		sc := newScript(answer{"10.0.0.1", 60 * time.Second, nil}, answer{"", 0, errors.New("no such host")})
		r := New(sc.lookup, slog.New(slog.NewTextHandler(&log, nil)))
		var got told
		r.Watch("web.example.com", got.changed)
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		got.check(t, "told while the name is gone", "10.0.0.1")

		sc.mu.Lock()
		sc.answers = []answer{{"10.0.0.2", 60 * time.Second, nil}}
		sc.mu.Unlock()
		time.Sleep(lastRetry)
		r.Close()
		got.check(t, "told once it is back", "10.0.0.1", "10.0.0.2")
		if n := strings.Count(log.String(), "\n"); n != 4 { // found, lost, found, recovered
			t.Errorf("%d lines for 4 changes of state:\n%s", n, log.String())
		}
	})
}

func TestWatchersOfOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sc := newScript(answer{"10.0.0.1", 10 * time.Second, nil}, answer{"10.0.0.2", 10 * time.Second, nil},
			answer{"10.0.0.3", 10 * time.Second, nil})
		r := New(sc.lookup, nil)
		var first, second told
		stopFirst := r.Watch("web.example.com", first.changed)
		time.Sleep(5 * time.Second)
		stopSecond := r.Watch("WEB.example.com", second.changed)
		synctest.Wait()
		second.check(t, "a later watcher hears at once what is known", "10.0.0.1")
		time.Sleep(10 * time.Second)
		stopFirst()
		stopFirst()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		first.check(t, "the first until it stopped", "10.0.0.1", "10.0.0.2")
		second.check(t, "the second", "10.0.0.1", "10.0.0.2", "10.0.0.3")
		diff(t, "one lookup serves both", 3, len(sc.asked))

		stopSecond()
		time.Sleep(time.Hour)
		diff(t, "nobody watches, nobody asks", 3, len(sc.asked))
		var again told
		r.Watch("web.example.com", again.changed)
		synctest.Wait()
		again.check(t, "watched again, asked again", "10.0.0.3")
		r.Close()
		diff(t, "names after their watchers", 4, len(sc.asked))
	})
}

func TestAWatcherMayStopItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sc := newScript(answer{"10.0.0.1", time.Second, nil}, answer{"10.0.0.2", time.Second, nil})
		r := New(sc.lookup, nil)
		calls, stop := 0, func() {}
		ready := make(chan struct{})
		stop = r.Watch("web.example.com", func([]netip.Addr) {
			<-ready
			calls++
			stop()
		})
		close(ready)
		time.Sleep(time.Minute)
		r.Close()
		diff(t, "calls", 1, calls)
	})
}

func TestAWatcherMayKeepAndChangeWhatItHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sc := newScript(answer{"10.0.0.1 10.0.0.2", time.Second, nil})
		r := New(sc.lookup, nil)
		var second told
		r.Watch("web.example.com", func(a []netip.Addr) { clear(a) })
		r.Watch("web.example.com", second.changed)
		time.Sleep(10 * time.Second)
		r.Close()
		second.check(t, "the other watcher", "10.0.0.1 10.0.0.2")
	})
}

func TestCloseInterruptsLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		hang := func(ctx context.Context, _ string) ([]netip.Addr, time.Duration, error) {
			<-ctx.Done()
			return nil, 0, ctx.Err()
		}
		r := New(hang, nil)
		for i := range 2 * lookupsAtOnce { // half of them wait for a slot
			r.Watch(strings.Repeat("a", i+1), func([]netip.Addr) { t.Error("told") })
		}
		synctest.Wait()
		r.Close()
		r.Close()
		diff(t, "time to close", 0, time.Since(begin))
		r.Watch("late.example.com", func([]netip.Addr) { t.Error("told") })()
	})
}

func TestALookupThatHangsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ends []time.Duration
		begin := time.Now()
		hang := func(ctx context.Context, _ string) ([]netip.Addr, time.Duration, error) {
			<-ctx.Done()
			ends = append(ends, time.Since(begin))
			return nil, 0, ctx.Err()
		}
		r := New(hang, nil)
		r.Watch("web.example.com", func([]netip.Addr) {})
		time.Sleep(2*lookupTimeout + 2*firstRetry)
		r.Close()
		diff(t, "lookups ended after", []time.Duration{lookupTimeout, 2*lookupTimeout + firstRetry}, ends[:2])
	})
}
