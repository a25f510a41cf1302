//go:build linux

package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/admin"
)

// manyRoutes is a file with n routes of one name each; the last one goes to the pool of that name.
func manyRoutes(one, two string, n int, last string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
admin: {socket: "%%SOCKET%%", listen: "127.0.0.1:0"}
log: {connections: false}
reload: {watch: false}
listeners:
  - {name: public, bind: ["127.0.0.1:0"]}
pools:
  - {name: one, backends: ["%s"]}
  - {name: two, backends: ["%s"]}
routes:
`, one, two)
	for i := range n - 1 {
		fmt.Fprintf(&b, "  - {name: route-%d, hosts: [host-%d.example.com], pool: one}\n", i, i)
	}
	fmt.Fprintf(&b, "  - {name: last, hosts: [www.example.com], pool: %s}\n", last)
	return b.String()
}

// A table of 100 000 routes: a reload with one changed line takes less than a second and is not felt, memory comes back,
// and a change by the API is live at once.
func TestReloadOfALargeTable(t *testing.T) {
	one, two := wordServer(t, "one"), wordServer(t, "two")
	n, words := sized(5000, 100_000), []string{"one", "two"}
	texts := [2]string{manyRoutes(one, two, n, "one"), manyRoutes(one, two, n, "two")}
	s := steer(t, texts[0])
	f := &traffic{addr: s.addr.String(), hello: greeting(t, "www.example.com")}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { f.run(ctx, 200) })
	for i := range 3 {
		s.write(t, texts[(i+1)%2])
		s.reload(t)
	}
	time.Sleep(sized(100*time.Millisecond, 5*time.Second)) // what reloads leave behind is given back a moment after the last one
	before := s.usage(t)
	began := f.count()
	idle := f.settle(t, began+sized(50, 2000))

	var took []time.Duration
	for i := range sized(5, 100) {
		s.write(t, texts[i%2])
		at := time.Now()
		if res := s.reload(t); res.Summary != "1 route changed" {
			t.Fatalf("reload %d: %s", i, res.Summary)
		}
		took = append(took, time.Since(at))
		if got, err := f.exchange(); err != nil || got != words[i%2] {
			t.Fatalf("after reload %d: %q, %v", i, got, err)
		}
		time.Sleep(sized(0, 200*time.Millisecond))
	}
	during := f.quantile(0.99, idle, -1)
	quiet := f.quantile(0.99, began, idle)
	edits := s.timeEdits(t, f, sized(10, 100))
	cancel()
	running.Wait()
	f.check(t)
	after := s.settled(t, before)
	slices.Sort(took)
	t.Logf("%d routes: reload %v (median), %v (slowest); connections at 200 a second 99 %% within %v, %v during reloads; a route by the API live after %v (median), %v (slowest); resident memory %.0f MB, then %.0f MB",
		n, took[len(took)/2], took[len(took)-1], quiet, during, edits[len(edits)/2], edits[len(edits)-1], before.rss/1e6, after.rss/1e6)
	if promised() {
		if slowest := took[len(took)-1]; slowest > time.Second {
			t.Errorf("a reload took %v", slowest)
		}
		if slowest := edits[len(edits)-1]; slowest > 50*time.Millisecond {
			t.Errorf("a change by the API took %v", slowest)
		}
		if during > 2*quiet {
			t.Errorf("99 %% of connections within %v during reloads, %v otherwise", during, quiet)
		}
	}
}

// timeEdits changes a route by the API n times, each time until a connection goes the new way, and returns the times in
// ascending order.
func (s *steered) timeEdits(t *testing.T, f *traffic, n int) (took []time.Duration) {
	t.Helper()
	words := []string{"one", "two"}
	for i := range n {
		want := words[i%2]
		at := time.Now()
		_, refused := s.do(t, "PUT", admin.Path("routes", "last"), url.Values{"on_reload": {"drop"}},
			fmt.Sprintf(`{"hosts": ["www.example.com"], "pool": %q}`, want))
		took = append(took, time.Since(at))
		if refused != nil {
			t.Fatal(refused)
		}
		if got, err := f.exchange(); err != nil || got != want {
			t.Fatalf("after the answer to PUT a connection got %q, %v; want %q", got, err, want)
		}
	}
	slices.Sort(took)
	return took
}
