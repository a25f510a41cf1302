package control

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/configs"
)

// traffic is an injected source of counters.
type traffic struct {
	mu sync.Mutex
	st balancer.Stats
}

func newTraffic() *traffic {
	return &traffic{st: balancer.Stats{Listeners: []balancer.ListenerStats{{Name: "public"}}}}
}

func (tr *traffic) stats() balancer.Stats {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	st := tr.st
	st.Listeners = append([]balancer.ListenerStats(nil), st.Listeners...)
	return st
}

// add counts connections, each with one attempt, and how some of them end.
func (tr *traffic) add(connections, noRoute, noSNI, connectFailed, answerFailed uint64) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	l := &tr.st.Listeners[0]
	l.Accepted += connections
	l.Closed[balancer.CauseNoRoute] += noRoute
	l.Closed[balancer.CauseNoSNI] += noSNI
	tr.st.Attempts.Started += connections
	tr.st.Attempts.ConnectFailed += connectFailed
	tr.st.Attempts.AnswerFailed += answerFailed
}

// each is what happens in every tenth of a second.
type each struct{ connections, noRoute, noSNI, connectFailed, answerFailed uint64 }

func TestAGuardTripsWhenAShareOfFailuresRises(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		before, after each
		bound         float64
		reason        string        // "" if it passes
		within        time.Duration // the reason is there
	}{
		{"nothing happens", each{}, each{}, 0.01, "", 0},
		{"all goes on as before", each{100, 1, 1, 2, 3}, each{100, 1, 1, 2, 3}, 0.01, "", 0},
		{"names without a route", each{100, 0, 0, 0, 0}, each{100, 5, 0, 0, 0}, 0.01, "no_route 10 of 200 connections, before 0 of 5900", 250 * time.Millisecond},
		{"hellos without a name count as such", each{100, 0, 0, 0, 0}, each{100, 0, 5, 0, 0}, 0.01, "no_route 10 of 200 connections, before 0 of 5900", 250 * time.Millisecond},
		{"backends that refuse", each{100, 0, 0, 0, 0}, each{100, 0, 0, 50, 0}, 0.01, "connect_failures 100 of 200 attempts, before 0 of 5900", 250 * time.Millisecond},
		{"backends that hang up", each{100, 0, 0, 0, 1}, each{100, 0, 0, 0, 9}, 0.01, "failed_handshakes 18 of 200 attempts, before 59 of 5900", 250 * time.Millisecond},
		{"many failures, and as many before", each{10, 9, 0, 0, 0}, each{10, 9, 0, 0, 0}, 0.01, "", 0},
		{"fewer than before", each{10, 9, 0, 0, 0}, each{10, 2, 0, 0, 0}, 0.01, "", 0},
		{"a rise within the bound", each{100, 0, 0, 0, 0}, each{100, 5, 0, 0, 0}, 0.05, "", 0},
		{"a rise beyond a larger bound", each{100, 0, 0, 0, 0}, each{100, 6, 0, 0, 0}, 0.05, "no_route 12 of 200 connections, before 0 of 5900", 250 * time.Millisecond},
		{"no traffic before", each{}, each{1, 1, 0, 0, 0}, 0.01, "no_route 5 of 5 connections, before 0 of 0", 500 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := newTraffic()
				s := &sampler{stats: tr.stats}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var now sync.Mutex
				happens := c.before
				go func() {
					tick := time.NewTicker(100 * time.Millisecond)
					defer tick.Stop()
					for {
						select {
						case <-ctx.Done():
							return
						case <-tick.C:
						}
						now.Lock()
						tr.add(happens.connections, happens.noRoute, happens.noSNI, happens.connectFailed, happens.answerFailed)
						now.Unlock()
					}
				}()
				time.Sleep(30 * time.Millisecond) // never in the same moment as the traffic
				go s.run(ctx)
				time.Sleep(5900 * time.Millisecond)
				base := s.read()
				g := &guard{bound: c.bound, base: base, prior: s.before(base)}
				now.Lock()
				happens = c.after
				now.Unlock()
				began := time.Now()
				after, reason := g.watch(ctx, 30*time.Second, s.read, func(Rates) {})
				took := time.Since(began)
				if reason != c.reason {
					t.Errorf("reason %q; want %q", reason, c.reason)
				}
				if c.reason == "" && took != 30*time.Second || c.reason != "" && took > c.within {
					t.Errorf("it took %v", took)
				}
				if want := tr.st.Listeners[0].Accepted - base.connections; after.connections != want {
					t.Errorf("%d connections; want %d", after.connections, want)
				}
				cancel()
				synctest.Wait()
			})
		})
	}
}

func TestFewFailuresAreNoRate(t *testing.T) {
	t.Parallel()
	g := &guard{bound: 0.01}
	if why := g.judge(counts{connections: 4, noRoute: 4}); why != "" {
		t.Errorf("4 of 4 trip it: %s", why)
	}
	if why := g.judge(counts{connections: 5, noRoute: 5}); why == "" {
		t.Error("5 of 5 do not trip it")
	}
}

func TestTheSamplerLooksBackAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr := newTraffic()
		s := &sampler{stats: tr.stats}
		ctx, cancel := context.WithCancel(t.Context())
		if b := s.before(s.read()); b != (counts{}) {
			t.Errorf("without samples: %+v", b)
		}
		go s.run(ctx)
		synctest.Wait()
		for range 300 {
			tr.add(1, 0, 0, 0, 0)
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if b := s.before(s.read()); b.connections != keptSamples-1 {
			t.Errorf("%d connections in a minute of one a second", b.connections)
		}
		cancel()
		synctest.Wait()
	})
}

func TestARemovedListenerLeavesWhatItHasCounted(t *testing.T) {
	t.Parallel()
	tr := newTraffic()
	s := &sampler{stats: tr.stats}
	tr.add(10, 3, 0, 0, 0)
	s.read()
	tr.st.Listeners = []balancer.ListenerStats{{Name: "other", Accepted: 2}}
	if c := s.read(); c.connections != 12 || c.noRoute != 3 {
		t.Errorf("after another took its place: %+v", c)
	}
	tr.st.Listeners = []balancer.ListenerStats{{Name: "other", Accepted: 1}}
	if c := s.read(); c.connections != 13 {
		t.Errorf("after another of the same name: %+v", c)
	}
}

// counted starts a yard whose guards see injected traffic.
func counted(t *testing.T) (*yard, *traffic) {
	t.Helper()
	tr := newTraffic()
	y := &yard{dir: t.TempDir(), counts: tr.stats}
	y.path = filepath.Join(y.dir, "switchyard.yaml")
	y.write(t, still+base)
	y.run(t)
	return y, tr
}

// guarded starts a yard with injected traffic, and changes its file under guard.
func guarded(t *testing.T, guard time.Duration) (*yard, *traffic) {
	t.Helper()
	y, tr := counted(t)
	y.write(t, toSpare)
	r := y.reload(t, ReloadRequest{Origin: "POST /v1/reload", Guard: guard})
	if g := r.Guard; g == nil || g.State != GuardWatching || g.Revision != 2 || g.Previous != 1 {
		t.Fatalf("guard %+v", g)
	}
	return y, tr
}

func (y *yard) guardState() string { return y.Status().Guard.State }

func TestAGuardThatTripsPutsTheRevisionBeforeBack(t *testing.T) {
	t.Parallel()
	y, tr := guarded(t, time.Minute)
	y.want(t, "www.example.com", "spare")
	tr.add(80, 12, 0, 0, 0)
	eventually(t, "the guard to trip", func() bool { return y.guardState() == GuardRolledBack })
	y.want(t, "www.example.com", "web")
	y.want(t, "api.example.com", "api")
	st := y.Status()
	const reason = "no_route 12 of 80 connections, before 0 of 0"
	if g := st.Guard; g.Reason != reason || g.After.NoRoute != 0.15 || g.After.Connections != 80 {
		t.Errorf("guard %+v", g)
	}
	last := st.Revisions[2]
	if st.Revision != 3 || last.Summary != "guard put 1 back: "+reason || last.Digest != st.Revisions[0].Digest || last.Origin != "guard" {
		t.Errorf("revisions %+v", st.Revisions)
	}
	if st.LastReload.OK || st.Reloads[resultRolledBack] != 1 || !st.FileDiffers {
		t.Errorf("status %+v", st)
	}
	lines := y.lines(t, "guard: the revision before was put back")
	if len(lines) != 1 || lines[0]["level"] != "WARN" || lines[0]["reason"] != reason {
		t.Errorf("log: %v", lines)
	}
	if y.Running().Text != still+base {
		t.Error("the text of what runs is not that of the revision before")
	}
	// The revision that was rejected is not the one to go back to.
	r, err := y.Rollback(t.Context(), 0, "POST /v1/rollback")
	refusal[*NotFoundError](t, r, err)
	must(t)(y.Rollback(t.Context(), 2, "POST /v1/rollback")) // it is if it is named
}

func TestAGuardThatPasses(t *testing.T) {
	t.Parallel()
	y, tr := guarded(t, 2*time.Second) // in which the traffic comes on a busy machine, too
	tr.add(80, 0, 0, 0, 0)
	eventually(t, "the guard to pass", func() bool { return y.guardState() == GuardPassed })
	y.want(t, "www.example.com", "spare")
	if st := y.Status(); st.Revision != 2 || st.Guard.Reason != "" || st.Guard.After.Connections != 80 || !st.LastReload.OK {
		t.Errorf("status %+v", st)
	}
	eventually(t, "its line", func() bool { return len(y.lines(t, "guard passed")) == 1 })
	must(t)(y.PutRoute(t.Context(), "extra", []byte(extraRoute), as("PUT")))
}

func TestWhileAGuardWatchesNothingElseChanges(t *testing.T) {
	t.Parallel()
	y, _ := guarded(t, time.Minute)
	ctx := t.Context()
	for name, change := range map[string]func() (*Result, error){
		"PutRoute":    func() (*Result, error) { return y.PutRoute(ctx, "extra", []byte(extraRoute), as("PUT")) },
		"DeleteRoute": func() (*Result, error) { return y.DeleteRoute(ctx, "www", as("DELETE")) },
		"DropOverlay": func() (*Result, error) { return y.DropOverlay(ctx, as("DELETE")) },
		"Reload":      func() (*Result, error) { return y.Reload(ctx, ReloadRequest{Origin: "POST /v1/reload"}) },
	} {
		r, err := change()
		e := refusal[*BusyError](t, r, err)
		if e.Revision != 2 || e.Left <= 0 || e.Left > time.Minute || !strings.Contains(e.Hint(), "switchyard rollback") {
			t.Errorf("%s: %+v", name, e)
		}
	}
	must(t)(y.SetBackend(ctx, "web", "127.0.0.1:9101", []byte(`{state: drain}`), as("PUT")))
	must(t)(y.Reload(ctx, ReloadRequest{Origin: "POST /v1/reload", DryRun: true}))
	must(t)(y.Check(ctx, CheckRequest{Name: "x.yaml", Text: []byte(still + base)}))
	if g := y.guardState(); g != GuardWatching {
		t.Fatalf("guard %s", g)
	}
	must(t)(y.Rollback(ctx, 0, "POST /v1/rollback"))
	y.want(t, "www.example.com", "web")
	if st := y.Status(); st.Guard.State != GuardEnded || st.Revision != 3 {
		t.Errorf("status %+v", st)
	}
	must(t)(y.PutRoute(ctx, "extra", []byte(extraRoute), as("PUT")))
}

func TestAReloadBySignalWaitsForTheGuard(t *testing.T) {
	t.Parallel()
	const later = "# later\n" + toSpare
	for _, c := range []struct {
		name  string
		disk  string // when the signal comes
		trips bool
	}{
		{"the guard passes, and the new file is loaded", later, false},
		{"the guard trips, and the file that was put right is loaded", later, true},
		{"the guard trips, and the file that it rejected is not loaded", toSpare, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			lasts := time.Minute // it trips sooner
			if !c.trips {
				lasts = 2 * time.Second // in which three reloads are asked for on a busy machine, too
			}
			y, tr := guarded(t, lasts)
			y.write(t, c.disk)
			for range 3 {
				if r := y.reload(t, ReloadRequest{Origin: OriginSignal}); r.Changed {
					t.Fatalf("the reload did not wait: %+v", r)
				}
			}
			want, state := later, GuardPassed
			if c.trips {
				tr.add(10, 10, 0, 0, 0)
				state = GuardRolledBack
			}
			if c.disk == toSpare {
				want = still + base
			}
			eventually(t, "the end of the guard", func() bool { return y.guardState() == state })
			eventually(t, "what runs afterwards", func() bool { return y.Running().Text == want })
			notLoaded := func() int {
				return len(y.lines(t, "not loaded: the file is still the one that the guard has put back"))
			}
			if c.disk == toSpare { // which is told after what ran before is put back
				eventually(t, "a line about a file that is not loaded", func() bool { return notLoaded() > 0 })
			}
			if n := notLoaded(); (n == 1) != (c.disk == toSpare) {
				t.Errorf("%d lines about a file that is not loaded", n)
			}
		})
	}
}

func TestARollbackUnderGuardForgetsTheReloadThatWaits(t *testing.T) {
	t.Parallel()
	y, _ := guarded(t, time.Minute)
	y.write(t, "# later\n"+toSpare)
	y.reload(t, ReloadRequest{Origin: OriginSignal})
	must(t)(y.Rollback(t.Context(), 0, "POST /v1/rollback"))
	if y.deferred != "" || len(y.lines(t, "the reload that waited for the guard is not made: `switchyard reload` loads the file")) != 1 {
		t.Error("the reload still waits")
	}
	y.want(t, "www.example.com", "web")
}

// A reload that has waited for the guard, and then finds no descriptors, is made once there are some again.
func TestAReloadThatWaitsForTheGuardIsNotLostForWantOfDescriptors(t *testing.T) {
	t.Parallel()
	const later = base + "# later\n"
	y, tr := counted(t)
	y.write(t, base)
	y.reload(t, ReloadRequest{Origin: OriginSignal}) // from now on it is watched
	y.replace(t, "reload: {guard: 1m}\n"+toSpareWatched)
	eventually(t, "the guard", func() bool { return y.Status().Guard != nil })
	y.replace(t, later)
	eventually(t, "the reload to wait", func() bool { return len(y.lines(t, "the reload waits for the guard")) > 0 })
	var wanting atomic.Bool
	wanting.Store(true)
	met := make(chan bool, 100)
	<-y.turn
	parse := y.parseFile
	y.parseFile = func(p *configs.Progress, name string, data []byte, dir string, entries []configs.Entry) (*configs.Config, error) {
		if wanting.Load() {
			met <- true
			return nil, &fs.PathError{Op: "open", Path: "a.pem", Err: syscall.EMFILE}
		}
		return parse(p, name, data, dir, entries)
	}
	y.end()
	tr.add(10, 10, 0, 0, 0)
	<-met
	wanting.Store(false)
	eventually(t, "what runs afterwards", func() bool { return y.Running().Text == later })
	if n := y.Status().Reloads[resultRefused]; n != 0 {
		t.Errorf("%d reloads were refused", n)
	}
}

func TestTheFileSaysThatReloadsAreGuarded(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	const guardedFile = "reload: {watch: false, guard: 1m}\n"
	y.write(t, strings.Replace(toSpare, still, guardedFile, 1))
	if r := y.reload(t, ReloadRequest{Origin: OriginSignal}); r.Guard == nil {
		t.Error("a reload by SIGHUP is not guarded")
	}
	must(t)(y.Rollback(t.Context(), 1, "POST /v1/rollback"))
	if r := y.reload(t, ReloadRequest{Origin: "POST /v1/reload"}); r.Guard != nil {
		t.Error("a reload by the API is guarded, and was not asked to be")
	}
}

func TestAGuardPutsSettingsAndOverlayBack(t *testing.T) {
	t.Parallel()
	y, tr := counted(t)
	ctx := t.Context()
	drop := ChangeOptions{Origin: "PUT", OnReload: "drop"}
	must(t)(y.PutRoute(ctx, "extra", []byte(extraRoute), drop))
	must(t)(y.SetBackend(ctx, "web", "127.0.0.1:9101", []byte(`{state: drain}`), drop))
	y.reload(t, ReloadRequest{Origin: "POST /v1/reload", Guard: time.Minute})
	if len(y.Status().Overlay) != 0 || len(y.server.Settings()) != 0 {
		t.Fatalf("overlay %+v", y.Status().Overlay)
	}
	tr.add(10, 10, 0, 0, 0)
	eventually(t, "the guard to trip", func() bool { return y.guardState() == GuardRolledBack })
	y.want(t, "extra.example.com", "web")
	if len(y.Status().Overlay) != 2 || len(y.server.Settings()) != 1 {
		t.Errorf("overlay %+v, settings %+v", y.Status().Overlay, y.server.Settings())
	}
}

func TestCloseEndsAGuard(t *testing.T) {
	t.Parallel()
	y, _ := guarded(t, time.Minute)
	y.Close()
	if g := y.guardState(); g != GuardEnded {
		t.Errorf("guard %s", g)
	}
	y.want(t, "www.example.com", "spare")
}
