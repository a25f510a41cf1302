package certs

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// failing is a regular file that can be opened and not be read: address 0 of this process.
const failing = "/proc/self/mem"

// A file that could not be read is read again, though it does not change: its stamp is no word on what it holds.
func TestAFileThatCouldNotBeReadIsReadAgain(t *testing.T) {
	f, wrong := readFile(failing, maxPair, false)
	if wrong == nil || !errors.Is(wrong, syscall.EIO) {
		t.Skipf("%s is read: %v", failing, wrong)
	}
	if f.Stamp != (Stamp{}) {
		t.Errorf("it has a stamp: %+v", f.Stamp)
	}
	dir := t.TempDir()
	p := pairIn(t, dir, "a", ecKey(), "a.example.com")
	s, err := Open(&Config{Pairs: []PairFile{p}, CA: p.Cert})
	if err != nil {
		t.Fatal(err)
	}
	reads := map[string]string{p.Key: "", p.Cert: ""} // what the files hold
	for path := range reads {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		reads[path] = string(data)
		if err := errors.Join(os.Remove(path), os.Symlink(failing, path)); err != nil {
			t.Fatal(err)
		}
	}
	s.log.Store(slog.New(slog.NewTextHandler(t.Output(), nil)))
	for range 3 {
		s.refresh(time.Now())
	}
	if !s.pairs[0].told || !s.ca.told {
		t.Error("the log does not tell of it")
	}
	for path, data := range reads {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		write(t, dir, filepath.Base(path), []byte(data))
	}
	s.refresh(time.Now())
	if s.pairs[0].broken || s.ca.broken {
		t.Error("it is not taken when it can be read")
	}
}

// Where the last descriptor is needed for a key itself, nothing is said of who may read it. It takes a process of its own, for
// the limit.
func TestAKeyIsNotRefusedForWantOfDescriptors(t *testing.T) {
	const env = "SWITCHYARD_TEST_WANT"
	if os.Getenv(env) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestAKeyIsNotRefusedForWantOfDescriptors$")
		cmd.Env = append(os.Environ(), env+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	p := pairIn(t, t.TempDir(), "a", ecKey(), "a.example.com")
	if err := os.Chmod(p.Key, 0o644); err != nil {
		t.Fatal(err)
	}
	next, err := os.Open(p.Key)
	if err != nil {
		t.Fatal(err)
	}
	fd := next.Fd()
	next.Close()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	set := func(cur uint64) {
		t.Helper()
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: cur, Max: before.Max}); err != nil {
			t.Fatal(err)
		}
	}
	for free, want := range []string{"too many open files", "too many open files", "may be read by others"} {
		set(uint64(fd) + uint64(free))
		f, wrong := ReadFile(p.Key, maxPair, true)
		set(before.Cur)
		e, ok := errors.AsType[*Error](wrong)
		if !ok || !strings.Contains(e.Why, want) {
			t.Errorf("%d free: error %v; want %q in it", free, wrong, want)
		}
		if out := want == "too many open files"; out != errors.Is(wrong, syscall.EMFILE) || out != (f.Stamp == Stamp{}) {
			t.Errorf("%d free: error %#v, stamp %+v", free, wrong, f.Stamp)
		}
	}
}
