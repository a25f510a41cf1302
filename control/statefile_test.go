package control

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const withState = "admin: {state_file: state.json}\n" + still + base

func (y *yard) statePath() string { return filepath.Join(y.dir, "state.json") }

// again stops y and starts it with the same files, as a restart of the process does.
func (y *yard) again(t testing.TB) {
	t.Helper()
	y.stop()
	y.run(t)
}

func readStateFile(t testing.TB, y *yard) state {
	t.Helper()
	data, err := os.ReadFile(y.statePath())
	if err != nil {
		t.Fatal(err)
	}
	var s state
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheStateFileSurvivesARestart(t *testing.T) {
	t.Parallel()
	y := start(t, withState)
	ctx := t.Context()
	must(t)(y.PutPool(ctx, "fresh", []byte(`{backends: ["127.0.0.1:9109"]}`), as("PUT /v1/pools/fresh")))
	must(t)(y.PutRoute(ctx, "extra", []byte("# a comment\nhosts: [extra.example.com]\npool: fresh\n"), as("PUT /v1/routes/extra")))
	must(t)(y.DeleteRoute(ctx, "api", ChangeOptions{Origin: "DELETE /v1/routes/api", OnReload: "drop"}))
	must(t)(y.SetBackend(ctx, "web", "127.0.0.1:9101", []byte(`{state: drain, weight: 3}`), as("PUT backend")))
	must(t)(y.SetBackend(ctx, "web", "127.0.0.1:9102", []byte(`{state: maint}`), as("PUT backend")))
	must(t)(y.SetBackend(ctx, "web", "127.0.0.1:9102", []byte(`{state: ready}`), as("PUT backend")))
	before := y.Status()
	if before.StateFile != y.statePath() {
		t.Errorf("state_file %q", before.StateFile)
	}
	y.again(t)
	after := y.Status()
	if d := cmp.Diff(before.Overlay, after.Overlay); d != "" {
		t.Errorf("overlay (-before +after):\n%s", d)
	}
	y.want(t, "extra.example.com", "fresh")
	y.want(t, "api.example.com", "reject")
	if s := y.server.Settings(); len(s) != 1 || s[0].Address != "127.0.0.1:9101" || s[0].State.String() != "drain" || *s[0].Weight != 3 {
		t.Errorf("settings %+v", s)
	}
	if before.Revision != 4 || after.Revision != 5 || len(after.Revisions) != 1 || after.Origin != "start" {
		t.Errorf("revision %d, then %+v", before.Revision, after.Revisions)
	}
	y.again(t)
	if r := y.Status().Revision; r != 6 {
		t.Errorf("revision %d after another restart", r)
	}
	info, err := os.Stat(y.statePath())
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestARestartWithAnotherFileDropsWhatAReloadWouldDrop(t *testing.T) {
	t.Parallel()
	y := start(t, withState)
	ctx := t.Context()
	must(t)(y.PutRoute(ctx, "extra", []byte(extraRoute), ChangeOptions{Origin: "PUT", OnReload: "drop"}))
	must(t)(y.PutRoute(ctx, "kept", []byte(`{hosts: [kept.example.com], pool: web}`), as("PUT")))
	y.write(t, withState+"# another\n")
	y.again(t)
	y.want(t, "extra.example.com", "reject")
	y.want(t, "kept.example.com", "web")
}

func TestWhatNoLongerFitsTheFileIsLeftOut(t *testing.T) {
	t.Parallel()
	y := start(t, withState)
	ctx := t.Context()
	for name, text := range map[string]string{
		"fits": `{hosts: [fits.example.com], pool: web}`, "lost": `{hosts: [lost.example.com], pool: api}`,
		"taken": `{hosts: [new.example.com], pool: web}`,
	} {
		must(t)(y.PutRoute(ctx, name, []byte(text), as("PUT /v1/routes/"+name)))
	}
	must(t)(y.SetBackend(ctx, "api", "127.0.0.1:9103", []byte(`{state: drain}`), as("PUT")))
	y.write(t, strings.Replace(withState, withState, "admin: {state_file: state.json}\n"+toSpare, 1))
	y.again(t)
	y.want(t, "fits.example.com", "web")
	y.want(t, "lost.example.com", "reject")
	y.want(t, "new.example.com", "web")
	wantOverlay(t, y, OverlayEntry{Kind: "route", Name: "fits", Change: "put", OnReload: "keep", Origin: "PUT /v1/routes/fits"})
	left := y.lines(t, "state file: left out, for it does not fit the file")
	if len(left) != 2 || left[0]["level"] != "ERROR" || !strings.Contains(fmt.Sprint(left), "overlay: route lost (PUT /v1/routes/lost):1:") {
		t.Errorf("log: %v", left)
	}
	if n := len(y.lines(t, "state file: left out, for there is no such backend")); n != 1 {
		t.Errorf("%d lines about a backend", n)
	}
}

func TestAnEntryThatSpoilsATestOfTheFileIsLeftOut(t *testing.T) {
	t.Parallel()
	y := start(t, withState)
	must(t)(y.PutRoute(t.Context(), "extra", []byte(`{hosts: [www.example.com], alpn: [h2], pool: api}`), as("PUT")))
	y.write(t, "tests: [{sni: www.example.com, alpn: h2, expect: {pool: web}}]\n"+withState)
	y.again(t)
	wantOverlay(t, y)
	if n := len(y.lines(t, "state file: left out, for it does not fit the file")); n != 1 {
		t.Errorf("%d lines", n)
	}
}

func TestAStateFileThatCannotBeReadIsMovedAway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text string }{
		{"no JSON", "hello"},
		{"cut short", `{"version": 1, "revision": 7, "entries": [`},
		{"empty", ""},
		{"another version", `{"version": 2, "revision": 7, "entries": [], "backends": []}`},
		{"an unknown key", `{"version": 1, "rev": 7}`},
		{"an unknown state", `{"version": 1, "backends": [{"pool": "web", "address": "127.0.0.1:9101", "state": "off"}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			y := &yard{dir: t.TempDir()}
			y.path = filepath.Join(y.dir, "switchyard.yaml")
			y.write(t, withState)
			tree{t, y.dir}.write("state.json", c.text)
			y.run(t)
			if got, err := os.ReadFile(y.statePath() + ".unreadable"); err != nil || string(got) != c.text {
				t.Errorf("moved away: %q, %v", got, err)
			}
			lines := y.lines(t, "state file cannot be read: starting without what was changed at run time")
			if len(lines) != 1 || lines[0]["level"] != "ERROR" || lines[0]["moved_to"] != y.statePath()+".unreadable" {
				t.Errorf("log: %v", lines)
			}
			must(t)(y.PutRoute(t.Context(), "extra", []byte(extraRoute), as("PUT")))
			if s := readStateFile(t, y); len(s.Entries) != 1 || s.Revision != 2 {
				t.Errorf("state %+v", s)
			}
		})
	}
}

func TestAStateFileThatCannotBeWrittenRefusesTheChange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(f tree)
		want  string
	}{
		{"its directory is gone", func(f tree) { f.do(os.RemoveAll(f.at("state"))) }, "no such file"},
		{"a link", func(f tree) {
			f.write("elsewhere", "precious")
			f.remove("state/state.json")
			f.link(f.at("elsewhere"), "state/state.json")
		}, "not a regular file"},
		{"a directory", func(f tree) {
			f.remove("state/state.json")
			f.do(os.Mkdir(f.at("state/state.json"), 0o700))
		}, "not a regular file"},
		{"a directory where the new one is written", func(f tree) { f.write("state/state.json.new/x", "") }, "directory not empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			y := &yard{dir: t.TempDir()}
			f := tree{t, y.dir}
			y.path = f.at("switchyard.yaml")
			f.do(os.Mkdir(f.at("state"), 0o700))
			y.write(t, strings.Replace(withState, "state.json", "state/state.json", 1))
			y.run(t)
			c.spoil(f)
			ctx := t.Context()
			r, err := y.PutRoute(ctx, "extra", []byte(extraRoute), as("PUT"))
			if e := refusal[*SaveError](t, r, err); !strings.Contains(e.Error(), c.want) || e.Path != f.at("state/state.json") {
				t.Errorf("error %v", e)
			}
			r, err = y.SetBackend(ctx, "web", "127.0.0.1:9101", []byte(`{state: drain}`), as("PUT"))
			refusal[*SaveError](t, r, err)
			y.want(t, "extra.example.com", "reject")
			if st := y.Status(); st.Revision != 1 || len(st.Overlay) != 0 || len(y.server.Settings()) != 0 {
				t.Errorf("status %+v, settings %+v", st, y.server.Settings())
			}
			// A file can still be loaded, since nothing would be lost.
			y.write(t, strings.Replace(withState, "state.json", "state/state.json", 1)+"# another\n")
			y.reload(t, ReloadRequest{Origin: OriginSignal})
			must(t)(y.Rollback(ctx, 0, "POST /v1/rollback"))
			if n := len(y.lines(t, "state file not written: after a restart revisions may repeat their numbers")); n != 2 {
				t.Errorf("%d warnings", n)
			}
			if data, err := os.ReadFile(f.at("elsewhere")); err == nil && string(data) != "precious" {
				t.Errorf("a link was followed: %q", data)
			}
		})
	}
}

// smallDisk in the environment makes the test binary a process that may not write large files.
const smallDisk = "CONTROL_TEST_SMALL_DISK"

func TestAFullDiskRefusesTheChange(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// In blocks of 512 bytes (POSIX, ulimit). A larger file is EFBIG, as one on a full disk is ENOSPC.
	cmd := exec.Command("sh", "-c", `ulimit -f 8 && exec "$0"`, exe)
	cmd.Env = append(os.Environ(), smallDisk+"="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// fillDisk is that process: it fails with a word about what is wrong.
func fillDisk() {
	signal.Ignore(syscall.SIGXFSZ) // as where no limit but the disk ends a file
	dir := os.Getenv(smallDisk)
	fail := func(format string, args ...any) {
		fmt.Printf(format+"\n", args...)
		os.Exit(1)
	}
	path := filepath.Join(dir, "switchyard.yaml")
	if err := os.WriteFile(path, []byte(withState), 0o600); err != nil {
		fail("%v", err)
	}
	m, err := Load(Options{Path: path})
	if err != nil {
		fail("%v", err)
	}
	s, err := newServer(m)
	if err != nil {
		fail("%v", err)
	}
	m.Start(s)
	put := func(name string, size int) error {
		text := `{hosts: [` + name + `.example.com], pool: web} #` + strings.Repeat("x", size)
		_, err := m.PutRoute(context.Background(), name, []byte(text), as("PUT"))
		return err
	}
	if err := put("small", 10); err != nil {
		fail("a small change: %v", err)
	}
	state := filepath.Join(dir, "state.json")
	before, err := os.ReadFile(state)
	if err != nil {
		fail("%v", err)
	}
	err = put("large", 8000)
	if e, ok := err.(*SaveError); !ok || !strings.Contains(e.Error(), "file too large") {
		fail("a large change: %v", err)
	}
	if after, err := os.ReadFile(state); err != nil || string(after) != string(before) {
		fail("the state file has changed: %v", err)
	}
	if _, err := os.Stat(state + ".new"); !os.IsNotExist(err) {
		fail("what was written of the new one was left: %v", err)
	}
	if st := m.Status(); st.Revision != 2 || len(st.Overlay) != 1 || m.balancer.Routes().Route("large") != nil {
		fail("it has changed something: %+v", st)
	}
	if err := put("small2", 10); err != nil {
		fail("a small change afterwards: %v", err)
	}
	m.Close()
}

func TestAStateFileOfAnotherUserIsLeftAlone(t *testing.T) {
	t.Parallel()
	theirs := "/etc/passwd" // root's
	if os.Geteuid() == 0 {
		theirs = filepath.Join(t.TempDir(), "theirs")
		tree{t, "/"}.write(theirs, "")
		if err := os.Chown(theirs, 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := ownFile(theirs); err == nil || !strings.Contains(err.Error(), "belongs to user") {
		t.Errorf("a file of somebody else's is taken for ours: %v", err)
	}
	if err := ownFile("/dev/null"); err == nil {
		t.Error("a device is taken for a file")
	}
}

func TestAnotherStateFileIsTakenUp(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	must(t)(y.PutRoute(t.Context(), "extra", []byte(extraRoute), as("PUT")))
	y.write(t, withState)
	y.reload(t, ReloadRequest{Origin: OriginSignal})
	if s := readStateFile(t, y); len(s.Entries) != 1 || s.Revision != 3 || s.Entries[0].At.After(time.Now()) {
		t.Errorf("state %+v", s)
	}
	y.write(t, still+base)
	y.reload(t, ReloadRequest{Origin: OriginSignal})
	if st := y.Status(); st.StateFile != "" {
		t.Errorf("state_file %q", st.StateFile)
	}
	y.write(t, strings.Replace(withState, "state.json", "nowhere/state.json", 1))
	r, err := y.Reload(t.Context(), ReloadRequest{Origin: OriginSignal})
	refusal[*SaveError](t, r, err)
	if n := len(y.lines(t, msgRefused)); n != 1 {
		t.Errorf("%d lines about a state file that cannot be written", n)
	}
	if st := y.Status(); st.LastReload.OK || st.Revision != 4 {
		t.Errorf("status %+v", st)
	}
}
