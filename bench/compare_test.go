//go:build linux

package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/seed-23b4a313/switchyard/bench"
)

// childArgument makes the test program a child of a comparison.
const childArgument = "-be-a-child-of-the-comparison"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childArgument {
		if err := bench.Child(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// The race detector has a process sleep for a second at its end, and the comparisons start hundreds.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE")); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// small is a comparison that takes as little time as one can.
func small(t *testing.T, cfg bench.CompareConfig) bench.CompareConfig {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Self = []string{self, childArgument}
	cfg.Rounds, cfg.Duration, cfg.Workers, cfg.Idle, cfg.Bulk = 2, 100*time.Millisecond, 8, 50, 4<<20
	cfg.Names = []int{20}
	cfg.NoStrace = true
	return cfg
}

func compare(t *testing.T, cfg bench.CompareConfig) *bench.Comparison {
	t.Helper()
	c, err := compareLonger(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// compareLonger compares in longer and longer rounds, until there is something to compare: on a busy machine the short
// ones may be over before anything was done.
func compareLonger(t *testing.T, cfg bench.CompareConfig) (*bench.Comparison, error) {
	t.Helper()
	for {
		c, err := bench.Compare(t.Context(), cfg)
		if err != nil || !tooShort(c) || cfg.Duration > 10*time.Second {
			return c, err
		}
		cfg.Duration *= 4
		t.Logf("again with %v: in a shorter round nothing was done", cfg.Duration)
	}
}

// tooShort reports whether a round was over before one connection was, and none had failed.
func tooShort(c *bench.Comparison) bool {
	for _, result := range c.Cases {
		for _, r := range result.Rows {
			if strings.Contains(r.Error, "no connection of") && strings.HasSuffix(r.Error, "succeeded: map[] map[]") {
				return true
			}
		}
	}
	return false
}

func TestCompareMeasuresEveryCase(t *testing.T) {
	t.Parallel()
	c := compare(t, small(t, bench.CompareConfig{Only: []string{"direct", "gocopy"}}))
	checkRows(t, c)
	if len(c.Cases) != len(bench.CaseKeys()) {
		t.Errorf("%d cases, want %d", len(c.Cases), len(bench.CaseKeys()))
	}
	for _, result := range c.Cases {
		for _, r := range result.Rows {
			// A process that carries connections costs something, and none costs nothing.
			if costs := r.Value.Median > 0; result.Key != "idle" && costs != (r.Peer == "gocopy") {
				t.Errorf("%s: %s costs %v %s", result.Key, r.Peer, r.Value.Median, result.Unit)
			}
		}
	}
}

// checkRows fails for a row that is incomplete or has failed connections.
func checkRows(t *testing.T, c *bench.Comparison) {
	t.Helper()
	for _, result := range c.Cases {
		for _, r := range result.Rows {
			if r.Error != "" || len(r.Rounds) != c.Config.Rounds {
				t.Errorf("%s: %s: %d rounds: %s", result.Key, r.Peer, len(r.Rounds), r.Error)
			}
			for _, round := range r.Rounds {
				if round.Load != nil && round.Load.Failed > 0 {
					t.Errorf("%s: %s: failures %v", result.Key, r.Peer, round.Load.Failures)
				}
			}
		}
	}
}

// The generated configurations mean what they should: every name reaches its own pool, or connections would fail as
// misrouted, and bulk arrives.
func TestInstalledPeersDoTheSameWork(t *testing.T) {
	t.Parallel()
	for _, family := range []string{"haproxy", "nginx"} {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			cfg := small(t, bench.CompareConfig{Only: []string{family, family + "-splice", family + "-128k"}})
			cfg.Cases = []string{"hello", "churn", "roundtrip", "download", "upload", "handshake", "handshake12", "resume", "idle", "startup"}
			c, err := compareLonger(t, cfg)
			if err != nil && strings.Contains(err.Error(), "no peer is installed") {
				t.Skipf("%s is not installed: apt-get install haproxy nginx libnginx-mod-stream", family)
			}
			if err != nil {
				t.Fatal(err)
			}
			checkRows(t, c)
			if p := c.Peers[0]; p.Version == "" || !strings.Contains(p.Config, "host-") && !strings.Contains(p.Config, "names.map") {
				t.Errorf("the report lacks version %q or configuration %q", p.Version, p.Config)
			}
		})
	}
}

func TestMissingPeerIsSaidToBeMissing(t *testing.T) {
	cfg := small(t, bench.CompareConfig{Only: []string{"direct", "haproxy"}, Cases: []string{"hello"}})
	cfg.Binaries = map[string]string{"haproxy": t.TempDir() + "/haproxy"}
	c := compare(t, cfg)
	if len(c.Peers) != 2 || c.Peers[1].Missing == "" || len(c.Cases[0].Rows) != 1 {
		t.Errorf("peers %+v", c.Peers)
	}
}

func TestPeerThatDoesNotStartIsNamedAndTheOthersGoOn(t *testing.T) {
	cfg := small(t, bench.CompareConfig{Only: []string{"gocopy", "switchyard"}, Cases: []string{"hello"}})
	cfg.Binaries = map[string]string{"switchyard": "/bin/false"}
	rows := compare(t, cfg).Cases[0].Rows
	if len(rows) != 2 || rows[0].Error != "" || !strings.Contains(rows[1].Error, "ended before it answered") {
		t.Errorf("rows %+v %+v", rows[0], rows[1])
	}
}

func TestUnknownCaseIsRefused(t *testing.T) {
	_, err := bench.Compare(t.Context(), small(t, bench.CompareConfig{Cases: []string{"helo"}}))
	if err == nil || !strings.Contains(err.Error(), `unknown case "helo"`) {
		t.Errorf("error %v", err)
	}
}

func TestVariantsAreMeasuredAtTheMiddleSize(t *testing.T) {
	t.Parallel()
	cfg := small(t, bench.CompareConfig{Only: []string{"direct", "gocopy"}, Cases: []string{"hello"}})
	cfg.Names, cfg.Rounds = []int{30, 10, 20}, 1
	got := map[int]int{}
	for _, result := range compare(t, cfg).Cases {
		got[result.Names] = len(result.Rows)
	}
	if diff := cmp.Diff(map[int]int{10: 1, 20: 2, 30: 1}, got); diff != "" {
		t.Errorf("rows by size (-want +got):\n%s", diff)
	}
}

func TestChildEndsWithItsInput(t *testing.T) {
	for _, test := range []struct{ name, order, want string }{
		{"a backend", `{"backend":{"listen":["127.0.0.1:0"]}}`, "listening"},
		{"a forwarder", `{"forward":{"listen":"127.0.0.1:0","backend":"127.0.0.1:1"}}`, "listening"},
		{"a load reports what it did", `{"load":{"mode":"hello","targets":["127.0.0.1:1"],"count":1}}`, "report"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := bench.Child(t.Context(), strings.NewReader(test.order+"\n"), &out); err != nil || !strings.Contains(out.String(), test.want) {
				t.Errorf("error %v, output %q", err, &out)
			}
		})
	}
	for _, bad := range []string{"", "{}\n", "no order\n"} {
		if err := bench.Child(t.Context(), strings.NewReader(bad), io.Discard); err == nil {
			t.Errorf("order %q: no error", bad)
		}
	}
}
