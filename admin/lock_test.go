package admin

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// leaveSocket leaves a socket at path as a process does that is killed.
func leaveSocket(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

// Of several that start at once where a dead process has left its socket, one has it, and nobody removes it again.
func TestOneOfThoseThatStartAtOnceHasTheSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	for range 50 {
		leaveSocket(t, path)
		const all = 4
		var start sync.WaitGroup
		start.Add(1)
		came := make(chan *socket)
		for range all {
			go func() {
				start.Wait()
				s, err := listenUnix(path)
				if err != nil && err.Error() != "another process answers on it" {
					t.Error(err)
				}
				came <- s
			}()
		}
		start.Done()
		var own []*socket
		for range all {
			if s := <-came; s != nil {
				own = append(own, s)
			}
		}
		if len(own) != 1 {
			t.Errorf("%d have the socket", len(own))
		}
		if now, err := os.Lstat(path); err != nil || !os.SameFile(now, own[0].file) {
			t.Errorf("what is there is another one (%v)", err)
		}
		for _, s := range own {
			s.Close()
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Fatalf("left behind: %v %v", left, err)
		}
	}
}

// Whoever comes while another one is about to make the socket waits, and then finds it in use.
func TestASocketThatIsBeingMadeIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	leaveSocket(t, path)
	unlock, err := lockPath(path)
	if err != nil {
		t.Fatal(err)
	}
	came := make(chan error, 1)
	go func() {
		_, err := listenUnix(path)
		came <- err
	}()
	select {
	case err := <-came:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(5 * lockPause):
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	unlock()
	if err := <-came; err == nil || err.Error() != "another process answers on it" {
		t.Error(err)
	}
}

// What a process that was killed has left of the lock is in nobody's way, and a link in its place leads nowhere.
func TestTheLockOfASocket(t *testing.T) {
	dir := t.TempDir()
	path, elsewhere := filepath.Join(dir, "s"), filepath.Join(dir, "elsewhere")
	if err := os.WriteFile(path+".lock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := os.Symlink(elsewhere, path+".lock"); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(path); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("error %v with a link in place of the lock", err)
	}
	if _, err := os.Lstat(elsewhere); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what the link leads to: %v", err)
	}
}
