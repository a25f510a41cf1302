//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/admin"
	"github.com/seed-23b4a313/switchyard/configs"
)

// twoPools is a file with a route to the pool of that name, and one that stays.
func twoPools(one, two, pool string) string {
	return fmt.Sprintf(`
admin: {socket: "%%SOCKET%%", listen: "127.0.0.1:0"}
log: {connections: false}
reload: {watch: false}
listeners:
  - {name: public, bind: ["127.0.0.1:0"]}
routes:
  - {name: moving, hosts: [www.example.com], pool: %s}
  - {name: staying, hosts: [stay.example.com], pool: one}
pools:
  - {name: one, source: 127.0.2.1, backends: ["%s"]}
  - {name: two, source: 127.0.2.1, backends: ["%s"]}
`, pool, one, two)
}

// R1, and every answer to a reload is true: a route changes its pool ten times a second under load. No connection that is
// begun after an answer goes the old way, none fails, and what was there before stays.
func TestReloadUnderLoadLosesNothing(t *testing.T) {
	one, two := wordServer(t, "one"), wordServer(t, "two")
	s := steer(t, twoPools(one, two, "one"))
	stay := s.longLived(t, sized(100, 1000), greeting(t, "stay.example.com"), "one")
	words := []string{"one", "two"}
	var began, answered atomic.Int64 // reloads
	f := &traffic{
		addr: s.addr.String(), hello: greeting(t, "www.example.com"), before: answered.Load,
		allowed: func(before int64, word string) bool {
			last := began.Load()
			return last > before || word == words[before%2] // with a reload under way meanwhile, both are right
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { f.run(ctx, sized(500, 2000)) })
	idle := f.settle(t, sized(500, 10_000))

	reloads, each := sized(50, 600), 100*time.Millisecond
	warm := int64(reloads / 10) // then the heap of the process has the size that reloads need
	var before usage
	tick := time.NewTicker(each)
	defer tick.Stop()
	for i := range int64(reloads) {
		<-tick.C
		if i == warm {
			before = s.usage(t)
		}
		s.write(t, twoPools(one, two, words[(i+1)%2]))
		began.Store(i + 1)
		if res := s.reload(t); !res.Changed || res.Summary != "1 route changed" {
			t.Fatalf("reload %d: changed %v, %s", i+1, res.Changed, res.Summary)
		}
		answered.Store(i + 1)
	}
	cancel()
	running.Wait()
	f.check(t)
	if broken := alive(stay); broken > 0 {
		t.Errorf("%d of %d connections from before the reloads are broken", broken, len(stay))
	}
	after := s.settled(t, before)
	t.Logf("%d reloads, %d connections at %d a second, 99 %% within %v (before the reloads %v); resident memory %.1f MB, then %.1f MB; goroutines %.0f and %.0f, descriptors %.0f and %.0f",
		reloads, f.count(), sized(500, 2000), f.quantile(0.99, idle, -1), f.quantile(0.99, 0, idle), before.rss/1e6, after.rss/1e6,
		before.goroutines, after.goroutines, before.fds, after.fds)
}

// settle waits until n connections were made, and returns how many there were.
func (f *traffic) settle(t *testing.T, n int) int {
	t.Helper()
	eventually(t, "traffic", func() bool { return f.count() >= n })
	return f.count()
}

// settled waits until the process holds what it held before: memory within a tenth, goroutines and descriptors but for
// the connections of this test.
func (s *steered) settled(t *testing.T, before usage) (now usage) {
	t.Helper()
	const requests = 8 // goroutines and descriptors of a scrape, more or less
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		now = s.usage(t)
		if (raced || now.rss <= before.rss*1.1) && now.goroutines <= before.goroutines+requests && now.fds <= before.fds+requests {
			return now
		}
		if time.Now().After(deadline) {
			t.Errorf("the process held %+v before and holds %+v", before, now)
			return now
		}
	}
}

// R2: files with every kind of mistake change nothing, and nobody notices them.
func TestRefusedReloadsChangeNothing(t *testing.T) {
	one, two := wordServer(t, "one"), wordServer(t, "two")
	good := twoPools(one, two, "one")
	s := steer(t, good)
	f := &traffic{addr: s.addr.String(), hello: greeting(t, "www.example.com"),
		allowed: func(_ int64, word string) bool { return word == "one" }}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { f.run(ctx, sized(200, 2000)) })
	f.settle(t, 100)

	files := brokenFiles(t, twoPools(one, two, "two"))
	if len(files) < 200 {
		t.Fatalf("only %d broken files", len(files))
	}
	step := sized(5, 1) // of the files, in the ordinary suite
	tried := 0
	for i := 0; i < len(files); i += step {
		s.write(t, files[i])
		res, refused := s.do(t, "POST", admin.Path("reload"), nil, "")
		switch {
		case refused == nil:
			t.Errorf("taken, as %q:\n%s", res.Summary, files[i])
		case refused.Status != 422 || len(refused.Mistakes) == 0 || refused.Mistakes[0].Line < 1:
			t.Errorf("refused without a place: %+v\n%s", refused, files[i])
		}
		tried++
	}
	m := s.scrape(t)
	if m["switchyard_config_last_reload_successful"] != 0 || m["switchyard_config_revision"] != 1 {
		t.Errorf("metrics: successful %v, revision %v", m["switchyard_config_last_reload_successful"], m["switchyard_config_revision"])
	}
	s.write(t, good)
	if res := s.reload(t); res.Changed {
		t.Errorf("the file from before counts as changed: %s", res.Summary)
	}
	cancel()
	running.Wait()
	f.check(t)
	t.Logf("%d broken files, %d connections", tried, f.count())
}

// brokenFiles are the files of the configuration's own tests, and what is left of good where a key is misspelt, missing
// its value, or the end is cut off.
func brokenFiles(t *testing.T, good string) (all []string) {
	t.Helper()
	paths, err := filepath.Glob("../../configs/testdata/*.bad.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no broken files: %v", err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	for i := range good {
		if good[i] == ':' && i > 0 && good[i-1] >= 'a' && good[i-1] <= 'z' {
			all = append(all, good[:i]+"x"+good[i:]) // a key, or a place, that there is not
		}
		if strings.ContainsRune("{[", rune(good[i])) {
			all = append(all, good[:i+1]) // cut off within a bracket
		}
		if good[i] == '}' || good[i] == ']' || good[i] == '"' {
			all = append(all, good[:i]+good[i+1:]) // a bracket or a quote that is missing
		}
		if good[i] == ',' || good[i] == ':' {
			all = append(all, good[:i]+"\x00"+good[i:])
		}
	}
	for _, word := range []string{"one", "two"} {
		all = append(all, strings.Replace(good, "name: "+word, "name: three", 1))
	}
	dir := t.TempDir()
	return slices.DeleteFunc(all, func(text string) bool { // a few are sound, at another place or without a quote
		_, err := configs.Parse("switchyard.yaml", []byte(strings.ReplaceAll(text, "%SOCKET%", "/run/admin.sock")), dir)
		return err == nil
	})
}

// Every way to say "reload" is the same reload.
func TestReloadBySignalFileAndCommand(t *testing.T) {
	t.Parallel()
	one, two := wordServer(t, "one"), wordServer(t, "two")
	watched := func(pool string) string {
		return strings.Replace(twoPools(one, two, pool), "watch: false", "watch: true", 1)
	}
	s := steer(t, watched("one"))
	f := &traffic{addr: s.addr.String(), hello: greeting(t, "www.example.com")}
	answers := func(word string) func() bool {
		return func() bool {
			got, err := f.exchange()
			return err == nil && got == word
		}
	}
	s.write(t, watched("two")) // by the file
	eventually(t, "the changed file to be in force", answers("two"))
	s.line(t, `"level":"INFO","msg":"configuration changed".*"revision":2`)

	s.write(t, twoPools(one, two, "one")) // turns watching off
	eventually(t, "the changed file to be in force", answers("one"))
	s.write(t, twoPools(one, two, "two"))
	s.signal(t, syscall.SIGHUP)
	eventually(t, "the changed file to be in force", answers("two"))

	s.write(t, twoPools(one, two, "one"))
	out, err := switchyardCommand(t, "reload", "--socket", s.socket).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "1 route changed") {
		t.Errorf("switchyard reload: %v\n%s", err, out)
	}
	if !answers("one")() {
		t.Error("after the answer the old revision is in force")
	}
	s.stop(t)
}
