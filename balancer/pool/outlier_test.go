package pool

import (
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// second is the unit of the tests' clocks.
const second = int64(time.Second)

// outliers makes a pool of n equal backends that ejects after 3 failures, for 10 s, half of them at most.
func outliers(n int) *Pool {
	return New(Config{Backends: equal(n), Outlier: &Outlier{Failures: 3, Eject: 10 * time.Second, MaxEjected: 50}, PanicBelow: 50, SlowStart: time.Minute})
}

// fail observes n failures of b at now, and reports whether one of them ejected it.
func fail(p *Pool, b *Backend, n int, now int64) (ejected bool) {
	for range n {
		ejected = p.Observe(b, OutcomeConnectFailed, syscall.ECONNREFUSED, now) || ejected
	}
	return ejected
}

func TestFailuresInARowEject(t *testing.T) {
	const now = 100 * second
	tests := []struct {
		name string
		seen []Outcome // of the first of four backends
		want State
	}{
		{"one less than the limit", []Outcome{OutcomeConnectFailed, OutcomeHungUp}, StateUnknown},
		{"as many as the limit, of any kind", []Outcome{OutcomeConnectTimeout, OutcomeAlerted, OutcomeClosedEarly}, StateEjected},
		{"a connection that was served in between", []Outcome{OutcomeHungUp, OutcomeHungUp, OutcomeServed, OutcomeHungUp, OutcomeHungUp}, StateUnknown},
		{"connections that were served before", []Outcome{OutcomeServed, OutcomeServed, OutcomeAnswerTimeout, OutcomeHungUp, OutcomeHungUp}, StateEjected},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := outliers(4)
			b := p.Backends()[0]
			for _, o := range test.seen {
				p.Observe(b, o, 0, now)
			}
			if got := b.State(); got != test.want {
				t.Errorf("after %v: %v, want %v", test.seen, got, test.want)
			}
		})
	}
}

func TestEjectionsArePartOfThePoolAtMost(t *testing.T) {
	down := func(i int) func(*Pool) { return func(p *Pool) { p.Backends()[i].SetState(StateDown) } }
	drained := func(i int) func(*Pool) {
		return func(p *Pool) { p.Set(p.Backends()[i].Name, Setting{State: OverrideDrain}) }
	}
	tests := []struct {
		name     string
		backends int
		percent  int
		before   []func(*Pool)
		want     int // ejected when all fail
	}{
		{"the only backend stays", 1, 100, nil, 0},
		{"of two, one", 2, 50, nil, 1},
		{"half of four", 4, 50, nil, 2},
		{"half of five, rounded down", 5, 50, nil, 2},
		{"a small part of few is one", 4, 10, nil, 1},
		{"all but the last one", 4, 100, nil, 3},
		{"none", 4, 0, nil, 0},
		{"one that is down is not the last one to stay", 2, 100, []func(*Pool){down(1)}, 1},
		{"nor one that is drained", 3, 100, []func(*Pool){drained(1)}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := New(Config{Backends: equal(test.backends), Outlier: &Outlier{Failures: 2, Eject: time.Second, MaxEjected: test.percent}})
			for _, f := range test.before {
				f(p)
			}
			got := 0
			for _, b := range p.Backends() {
				if fail(p, b, 20, second) {
					got++
				}
			}
			if got != test.want || p.Ejections() != uint64(test.want) {
				t.Errorf("%d of %d backends ejected, %d counted, want %d", got, test.backends, p.Ejections(), test.want)
			}
		})
	}
}

func TestEjectionsBecomeLongerAndShorterAgain(t *testing.T) {
	p := outliers(4)
	b := p.Backends()[0]
	now := 100 * second
	eject := func() time.Duration {
		t.Helper()
		if !fail(p, b, 3, now) {
			t.Fatal("three failures do not eject")
		}
		_, until := b.Ejections()
		if again := fail(p, b, 10, now); again {
			t.Error("what is ejected was ejected again")
		}
		if r := p.Review(until - 1); b.State() != StateEjected || r.Next != until {
			t.Errorf("before its time is over: %v, next review %d, want ejected and %d", b.State(), r.Next, until)
		}
		d := time.Duration(until - now)
		now = until
		if r := p.Review(now); b.State() != StateUnknown || r.Next != 0 {
			t.Errorf("when its time is over: %v, next review %d, want unknown and none", b.State(), r.Next)
		}
		return d
	}
	var got []time.Duration
	for range 6 {
		got = append(got, eject())
	}
	now += 25 * second // two of them pass whole
	got = append(got, eject())
	now += 3600 * second
	got = append(got, eject())
	s := time.Second
	want := []time.Duration{10 * s, 20 * s, 40 * s, 80 * s, 160 * s, 160 * s, 80 * s, 10 * s}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("times of ejections (-want +got):\n%s", d)
	}
}

func TestReviewTellsEveryChangeOnce(t *testing.T) {
	p := outliers(4)
	all := p.Backends()
	type change struct {
		Backend  int
		From, To State
	}
	review := func(now int64) (list []change) {
		for _, c := range p.Review(now).Changes {
			for i, b := range all {
				if b == c.Backend {
					list = append(list, change{i, c.From, c.To})
				}
			}
		}
		return list
	}
	want := func(name string, got, want []change) {
		t.Helper()
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	want("nothing happened", review(second), nil)
	all[0].Checked(&Report{State: StateUp})
	all[1].Checked(&Report{State: StateDown})
	fail(p, all[2], 3, second)
	want("up, down and ejected", review(2*second), []change{{0, StateUnknown, StateUp}, {1, StateUnknown, StateDown}, {2, StateUnknown, StateEjected}})
	want("nothing since", review(3*second), nil)
	p.Set(all[2].Name, Setting{State: OverrideMaint})
	want("an operator says maint", review(4*second), []change{{2, StateEjected, StateMaint}})
	p.Set(all[2].Name, Setting{})
	want("the ejection went on", review(5*second), []change{{2, StateMaint, StateEjected}})
	want("and ended", review(20*second), []change{{2, StateEjected, StateUnknown}})
	all[1].Checked(nil)
	want("nobody checks any more", review(21*second), []change{{1, StateDown, StateUnknown}})
	if got := all[2].Since(); got != 20*second {
		t.Errorf("the state changed at %d, want %d", got, 20*second)
	}
}

func TestPanicUsesWhatIsNotDrained(t *testing.T) {
	backup := func(b BackendConfig) BackendConfig { b.Backup = true; return b }
	tests := []struct {
		name     string
		backends []BackendConfig
		down     []int
		drained  []int
		want     bool
	}{
		{"all are healthy", equal(4), nil, nil, false},
		{"half are healthy", equal(4), []int{0, 1}, nil, false},
		{"less than half are healthy", equal(4), []int{0, 1, 2}, nil, true},
		{"drained ones do not count", equal(4), []int{0, 1}, []int{2}, true},
		{"the only one is down", equal(1), []int{0}, nil, true},
		{"everybody is drained", equal(2), nil, []int{0, 1}, false},
		{"healthy backups save the pool", []BackendConfig{entry(1, 1), backup(entry(2, 1))}, []int{0}, nil, false},
		{"backups that are down do not", []BackendConfig{entry(1, 1), backup(entry(2, 1))}, []int{0, 1}, nil, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := New(Config{Backends: test.backends, PanicBelow: 50})
			all := p.Backends()
			for _, i := range test.down {
				all[i].SetState(StateDown)
			}
			for _, i := range test.drained {
				p.Set(all[i].Name, Setting{State: OverrideDrain})
			}
			r := p.Review(second)
			if r.Panic != test.want || r.PanicChanged != test.want || p.Panicking() != test.want {
				t.Errorf("panic %v, changed %v, in force %v, want %v", r.Panic, r.PanicChanged, p.Panicking(), test.want)
			}
			if r = p.Review(second); r.PanicChanged {
				t.Error("told twice")
			}
			got := map[*Backend]bool{}
			for range 8 {
				if b, _ := p.Pick(request(1)); b != nil {
					got[b] = true
				}
			}
			for i, b := range all {
				chosen := test.want && b.Override() == OverrideNone && !b.Config().Backup || b.State().Usable() && got[b]
				if got[b] != chosen {
					t.Errorf("backend %d (%v) was chosen: %v", i, b.State(), got[b])
				}
			}
		})
	}
}

func TestObserveAllocatesNothing(t *testing.T) {
	p := outliers(4)
	b := p.Backends()[0]
	now := second
	if n := testing.AllocsPerRun(100, func() {
		p.Observe(b, OutcomeServed, 0, now)
		fail(p, b, 3, now)
		now += 1000 * second
		p.readmit(b, now)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
