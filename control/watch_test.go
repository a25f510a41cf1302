package control

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/google/go-cmp/cmp"

	"github.com/seed-23b4a313/switchyard/configs"
)

// toSpareWatched is a change of base that goes on watching.
var toSpareWatched = strings.TrimPrefix(toSpare, still)

// tree is a directory with the ways in which files are changed.
type tree struct {
	t   *testing.T
	dir string
}

func (f tree) at(name string) string { return filepath.Join(f.dir, name) }

func (f tree) do(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f tree) write(name, text string) {
	f.t.Helper()
	f.do(os.MkdirAll(filepath.Dir(f.at(name)), 0o700))
	f.do(os.WriteFile(f.at(name), []byte(text), 0o600))
}

func (f tree) rename(from, to string) { f.t.Helper(); f.do(os.Rename(f.at(from), f.at(to))) }
func (f tree) remove(name string)     { f.t.Helper(); f.do(os.Remove(f.at(name))) }

// link makes name lead to a target, in one step if there was another link.
func (f tree) link(target, name string) {
	f.t.Helper()
	f.do(os.MkdirAll(filepath.Dir(f.at(name)), 0o700))
	f.do(os.Symlink(target, f.at(name+".next")))
	f.rename(name+".next", name)
}

// ways are the ways in which editors, deploy tools and Kubernetes change a file. The file is conf/switchyard.yaml.
var ways = []struct {
	name   string
	before func(f tree, text string)
	change func(f tree, text string)
}{
	{"written in place", plainFile, func(f tree, text string) { f.write("conf/switchyard.yaml", text) }},
	{"written in place, in many steps", plainFile, func(f tree, text string) {
		out, err := os.OpenFile(f.at("conf/switchyard.yaml"), os.O_WRONLY|os.O_TRUNC, 0)
		f.do(err)
		half := len(text) / 2 // of which no part is a file that could be loaded, however long the steps take
		for part := range slices.Chunk([]byte(text[:half]), 40) {
			_, err := out.Write(part)
			f.do(err)
		}
		_, err = out.WriteString(text[half:])
		f.do(err)
		f.do(out.Close())
	}},
	{"renamed over it", plainFile, func(f tree, text string) {
		f.write("conf/switchyard.yaml.tmp", text)
		f.rename("conf/switchyard.yaml.tmp", "conf/switchyard.yaml")
	}},
	{"renamed over it from another directory", plainFile, func(f tree, text string) {
		f.write("elsewhere/new", text)
		f.rename("elsewhere/new", "conf/switchyard.yaml")
	}},
	{"the old one kept as a backup, as vim does", plainFile, func(f tree, text string) {
		f.rename("conf/switchyard.yaml", "conf/switchyard.yaml~")
		f.write("conf/switchyard.yaml", text)
		f.remove("conf/switchyard.yaml~")
	}},
	{"deleted, missing for a while, and made again", plainFile, func(f tree, text string) {
		f.remove("conf/switchyard.yaml")
		time.Sleep(5 * quick.quiet)
		f.write("conf/switchyard.yaml", text)
	}},
	{"a link to another file", func(f tree, text string) {
		f.write("one.yaml", text)
		f.link("../one.yaml", "conf/switchyard.yaml")
	}, func(f tree, text string) {
		f.write("two.yaml", text)
		f.link(f.at("two.yaml"), "conf/switchyard.yaml")
	}},
	{"written in place behind a link", func(f tree, text string) {
		f.write("real/one.yaml", text)
		f.link("../real/one.yaml", "conf/switchyard.yaml")
	}, func(f tree, text string) { f.write("real/one.yaml", text) }},
	{"renamed over behind a chain of links", func(f tree, text string) {
		f.write("real/one.yaml", text)
		f.link("../real/one.yaml", "middle/link.yaml")
		f.link("../middle/link.yaml", "conf/switchyard.yaml")
	}, func(f tree, text string) {
		f.write("real/new", text)
		f.rename("real/new", "real/one.yaml")
	}},
	{"a link in the middle of a chain", func(f tree, text string) {
		f.write("real/one.yaml", text)
		f.link("../real/one.yaml", "middle/link.yaml")
		f.link("../middle/link.yaml", "conf/switchyard.yaml")
	}, func(f tree, text string) {
		f.write("real/two.yaml", text)
		f.link("../real/two.yaml", "middle/link.yaml")
	}},
	{"a ConfigMap of Kubernetes", func(f tree, text string) {
		f.write("conf/..2026_01_01/switchyard.yaml", text)
		f.link("..2026_01_01", "conf/..data")
		f.link("..data/switchyard.yaml", "conf/switchyard.yaml")
	}, func(f tree, text string) {
		f.write("conf/..2026_01_02/switchyard.yaml", text)
		f.link("..2026_01_02", "conf/..data")
		f.do(os.RemoveAll(f.at("conf/..2026_01_01")))
	}},
	{"its directory replaced", plainFile, func(f tree, text string) {
		f.write("next/switchyard.yaml", text)
		f.rename("conf", "old")
		f.rename("next", "conf")
	}},
	{"its directory deleted and made again", plainFile, func(f tree, text string) {
		f.do(os.RemoveAll(f.at("conf")))
		time.Sleep(5 * quick.quiet)
		f.write("conf/switchyard.yaml", text)
	}},
	{"a link to its directory turned", func(f tree, text string) {
		f.write("v1/switchyard.yaml", text)
		f.link("v1", "conf")
	}, func(f tree, text string) {
		f.write("v2/switchyard.yaml", text)
		f.link("v2", "conf")
	}},
}

func plainFile(f tree, text string) { f.write("conf/switchyard.yaml", text) }

func TestEveryWayToChangeTheFileReloadsIt(t *testing.T) {
	t.Parallel()
	for _, c := range ways {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := tree{t, t.TempDir()}
			c.before(f, base)
			y := &yard{dir: f.dir, path: f.at("conf/switchyard.yaml")}
			y.run(t)
			for i, text := range []string{toSpareWatched, base + "# second\n"} { // the second time shows that it still watches
				if i == 1 && strings.HasPrefix(c.name, "its directory replaced") {
					f.do(os.RemoveAll(f.at("old")))
				}
				if i == 0 || c.name != "a ConfigMap of Kubernetes" && c.name != "a link to its directory turned" {
					c.change(f, text)
				} else {
					f.write("third/switchyard.yaml", text)
					name, target := "conf/..data", "../third"
					if strings.HasPrefix(c.name, "a link") {
						name, target = "conf", "third"
					}
					f.link(target, name)
				}
				eventually(t, "the reload", func() bool { return y.Running().Text == text })
			}
			st := y.Status()
			if st.Origin != OriginWatch || st.Reloads[resultApplied] != 2 || st.FileDiffers || !st.LastReload.OK {
				t.Errorf("status %+v", st)
			}
		})
	}
}

func TestTheWatcherLoadsNoContentTwice(t *testing.T) {
	t.Parallel()
	y := start(t, base)
	f := tree{t, y.dir}
	settled := func() { // a change that does show has been seen
		t.Helper()
		n := y.Status().Reloads[resultApplied]
		y.replace(t, base+"# "+time.Now().String()+"\n")
		eventually(t, "a change", func() bool { return y.Status().Reloads[resultApplied] == n+1 })
	}
	f.do(os.Chtimes(y.path, time.Time{}, time.Now()))
	y.replace(t, base)
	f.do(os.Chmod(y.path, 0o640))
	f.write("other.yaml", "not: it")
	settled()
	if st := y.Status(); st.Reloads[resultApplied] != 1 || st.Reloads[resultRefused] != 0 {
		t.Errorf("reloads %v", st.Reloads)
	}
	// What a rollback has put back stays, although the file on disk is another one.
	must(t)(y.Rollback(t.Context(), 1, "POST /v1/rollback"))
	f.do(os.Chtimes(y.path, time.Time{}, time.Now()))
	time.Sleep(4 * quick.poll)
	if st := y.Status(); st.Revision != 3 || !st.FileDiffers {
		t.Errorf("after a rollback: %+v", st)
	}
	settled()
}

func TestTheWatcherLogsAMistakeOnce(t *testing.T) {
	t.Parallel()
	y := start(t, base)
	f := tree{t, y.dir}
	refusals := func(n int) {
		t.Helper()
		eventually(t, "a refusal", func() bool { return len(y.lines(t, msgRefused)) == n })
		f.do(touch(y.path))
		time.Sleep(4 * quick.poll)
		if got := len(y.lines(t, msgRefused)); got != n {
			t.Errorf("%d refusals are logged; want %d", got, n)
		}
		y.want(t, "www.example.com", "web")
	}
	y.replace(t, "routes: 7\n")
	refusals(1)
	y.replace(t, "")
	refusals(2)
	y.replace(t, "routes: 8\n")
	refusals(3)
	y.replace(t, base+"# fine\n")
	eventually(t, "the reload", func() bool { return y.Status().LastReload.OK })
	f.remove("switchyard.yaml")
	refusals(4)
	y.replace(t, base+"# again\n")
	eventually(t, "the reload", func() bool { return y.Status().Revision == 3 })
}

// touch changes the time of a file that may be missing.
func touch(path string) error {
	err := os.Chtimes(path, time.Time{}, time.Now())
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

func TestWatchingIsTurnedOffAndOn(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	y.write(t, base)
	eventually(t, "file_differs", func() bool { return y.Status().FileDiffers })
	if n := y.Status().Revision; n != 1 {
		t.Errorf("revision %d: it loads the file without being asked", n)
	}
	y.reload(t, ReloadRequest{Origin: OriginSignal}) // on again
	y.write(t, toSpareWatched)
	eventually(t, "the reload", func() bool { return y.Status().Revision == 3 })
}

func TestAFileThatChangesBetweenLoadAndStartIsLoaded(t *testing.T) {
	t.Parallel()
	y := start(t, base)
	y.stop()
	y.log = &lockedBuffer{}
	m, err := Load(Options{Path: y.path})
	if err != nil {
		t.Fatal(err)
	}
	m.pace = quick
	y.Manager = m
	y.write(t, toSpareWatched)
	y.server = serve(t, m)
	m.Start(y.server)
	eventually(t, "the reload", func() bool { return y.Status().Revision == 2 })
	y.stop()
}

func TestWithoutEventsTheFileIsLookedAt(t *testing.T) {
	t.Parallel()
	for name, break_ := range map[string]func(w *watcher){
		"no watcher": func(w *watcher) { w.close(); w.events = nil; w.warn(fsnotify.ErrClosed) },
		"no watches": func(w *watcher) { w.close() }, // Add answers ErrClosed, as it answers ENOSPC
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := tree{t, t.TempDir()}
			f.write("a", "1")
			log := &lockedBuffer{}
			w := &watcher{path: f.at("a"), log: logTo(log)}
			w.open()
			break_(w)
			w.follow()
			w.follow()
			if n := strings.Count(log.String(), "events may be missing"); n != 1 {
				t.Errorf("%d warnings:\n%s", n, log)
			}
			before := stampAt(w.path)
			f.write("b", "1")
			f.rename("b", "a")
			if stampAt(w.path) == before {
				t.Error("another file has the same stamp")
			}
		})
	}
}

func TestAFileOnItsWayIsReadWhenItHasSettled(t *testing.T) {
	t.Parallel()
	f := tree{t, t.TempDir()}
	f.write("a", "1")
	looks := make(chan int, 10)
	n := 0
	w := &watcher{path: f.at("a"), pace: quick, log: logTo(&lockedBuffer{}), look: func() error {
		n++
		looks <- n
		if n > 2 {
			return nil
		}
		return errUnsettled
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.run(t.Context())
	}()
	for want := range 3 {
		if got := <-looks; got != want+1 {
			t.Errorf("look %d", got)
		}
	}
	f.write("a", "2")
	if got := <-looks; got != 4 {
		t.Errorf("look %d after a change", got)
	}
	t.Cleanup(func() { <-done })
}

// alone has t run in a process of its own, where it may lower the limit of descriptors, and reports whether this is that process.
func alone(t *testing.T) bool {
	const env = "SWITCHYARD_TEST_ALONE"
	if os.Getenv(env) == t.Name() {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), env+"="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// A file that changes while there are no descriptors is loaded once there are some again. It takes a process of its own, for
// the limit.
func TestAFileThatCouldNotBeOpenedIsLookedAtAgain(t *testing.T) {
	if !alone(t) {
		return
	}
	y := start(t, base)
	y.replace(t, base+"# first\n")
	eventually(t, "a change", func() bool { return y.Status().Reloads[resultApplied] == 1 })
	f, err := os.OpenFile(y.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	_, wrong := f.WriteString("# second\n")
	time.Sleep(2 * quick.most) // it is looked at, and cannot be opened
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil || wrong != nil {
		t.Fatal(err, wrong)
	}
	eventually(t, "the second change", func() bool { return y.Status().Reloads[resultApplied] == 2 })
	if n := y.Status().Reloads[resultRefused]; n != 0 {
		t.Errorf("%d reloads were refused", n)
	}
}

// A file is loaded, too, if it was what it names that could not be opened. The want is told of once, and somebody who asks for the
// reload meanwhile is refused, which does not keep it from being loaded later. It takes a process of its own, for the limit.
func TestAFileThatNamesWhatCouldNotBeOpenedIsLookedAtAgain(t *testing.T) {
	if !alone(t) {
		return
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	limit := func(cur uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: cur, Max: before.Max}); err != nil {
			t.Error(err)
		}
	}
	text := strings.Replace(base, "pool: web}", "pool: web, terminate: {certificates: [{cert: "+selfSigned(t, "www.example.com")+"}]}}", 1)
	y := start(t, base)
	var wanting atomic.Bool
	var met atomic.Int32
	<-y.turn
	parse := y.parseFile
	y.parseFile = func(p *configs.Progress, name string, data []byte, dir string, entries []configs.Entry) (*configs.Config, error) {
		if wanting.Load() {
			met.Add(1)
			limit(0)
			defer limit(before.Cur)
		}
		return parse(p, name, data, dir, entries)
	}
	y.end()
	for i, origin := range []string{OriginSignal, "POST /v1/reload"} {
		wanting.Store(true)
		met.Store(0)
		y.replace(t, text+"# for "+origin+"\n")
		eventually(t, "a look", func() bool { return met.Load() > 0 })
		r, err := y.Reload(t.Context(), ReloadRequest{Origin: origin})
		if e := refusal[*RefusedError](t, r, err); !errors.Is(e, syscall.EMFILE) || e.Mistakes[0].Line != 4 {
			t.Errorf("error %v", e)
		}
		eventually(t, "another look", func() bool { return met.Load() > 2 })
		if st := y.Status(); !st.FileDiffers || st.Reloads[resultRefused] != uint64(i)+1 {
			t.Errorf("status %+v", st)
		}
		wanting.Store(false)
		eventually(t, "the load", func() bool { return y.Status().Reloads[resultApplied] == uint64(i)+1 })
		if n := len(y.lines(t, "the configuration file is not loaded yet, and is tried again")); n != i+1 {
			t.Errorf("%d lines tell of %d wants", n, i+1)
		}
	}
}

func TestTrail(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := tree{t, dir}
	f.write("real/one.yaml", "")
	f.link("../real/one.yaml", "links/relative")
	f.link(f.at("real/one.yaml"), "links/absolute")
	f.link("relative", "links/twice")
	f.link("links", "short")
	f.link("loop", "loop")
	real := []string{"real", "real/one.yaml"}
	for _, c := range []struct {
		path string
		want []string
	}{
		{"real/one.yaml", real},
		{"links/relative", append([]string{"links/relative"}, real...)},
		{"links/absolute", append([]string{"links/absolute"}, real...)},
		{"links/twice", append([]string{"links/twice", "links/relative"}, real...)},
		{"short/relative", append([]string{"short", "links/relative"}, real...)},
		{"real/missing", []string{"real/missing"}},
		{"gone/one.yaml", []string{"gone"}},
	} {
		var want []string
		for _, w := range c.want {
			want = append(want, f.at(w))
		}
		if d := cmp.Diff(want, trail(f.at(c.path))); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.path, d)
		}
	}
	if got := trail(f.at("loop")); len(got) == 0 || len(got) > 50 {
		t.Errorf("a loop has a trail of %d", len(got))
	}
	if d := cmp.Diff([]string{"/etc", "/etc/passwd"}, trail("/etc/passwd")); d != "" {
		t.Error(d)
	}
}

func TestAFileThatIsBeingWrittenIsNotRead(t *testing.T) {
	t.Parallel()
	f := tree{t, t.TempDir()}
	f.write("a", "1")
	if _, err := readFile(f.at("a"), f.dir); err != nil {
		t.Error(err)
	}
	if _, err := readFile(f.at("missing"), f.dir); !os.IsNotExist(err) {
		t.Error(err)
	}
	if s := stampAt(f.at("missing")); s != (stamp{}) {
		t.Errorf("stamp %+v of nothing", s)
	}
	if m := stampAt(f.at("a")).mode; m != fs.FileMode(0o600) {
		t.Errorf("mode %v", m)
	}
}
