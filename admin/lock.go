package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// How long to wait for another process that makes a socket at the same path, and how often to look: it asks a socket that is there
// already for a second at the most.
const (
	lockPatience = 5 * time.Second
	lockPause    = 10 * time.Millisecond
)

// lockPath lets nobody else make a socket at path until unlock is called. What says so is a lock on a file beside it, since the
// socket itself comes and goes. The kernel lets go of it with the process, and nobody but root and the user of this one can take
// it. Where a file system knows no locks, there is none.
func lockPath(path string) (unlock func(), err error) {
	path += ".lock"
	for end := time.Now().Add(lockPatience); ; time.Sleep(lockPause) {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		held, err := locked(f, path)
		switch {
		case held:
			return func() { // in this order: whoever opens it after the removal opens another one
				os.Remove(path)
				f.Close()
			}, nil
		case err == nil && time.Now().After(end):
			err = fmt.Errorf("another process is at it, and has held %s for %v", path, lockPatience)
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
}

// locked reports whether f could be locked, and is what lies at path: the one who had it before may just have removed it.
func locked(f *os.File, path string) (bool, error) {
	switch errno := sys.TryLock(int(f.Fd())); {
	case errno == syscall.EWOULDBLOCK:
		return false, nil
	case errno != 0 && !errors.Is(errno, errors.ErrUnsupported):
		return false, fmt.Errorf("lock %s: %w", path, errno)
	}
	own, err := f.Stat()
	if err != nil {
		return false, err
	}
	now, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(own, now), err
}
