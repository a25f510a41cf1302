package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// socket is a unix listener that removes its file on Close, if the file is still its own: a successor may have put
// another there.
type socket struct {
	*net.UnixListener
	path string
	file fs.FileInfo
}

// listenUnix makes the socket at path. Between bind and chmod its mode is what the umask leaves of 0777; that lets
// nobody in, because whoever connects is also asked who they are.
//
// From the look at what is there until it listens, others that want the same wait: to them a socket that does not listen yet is
// like one of a dead process, and what they have found to be stale may be ours by the time at which they remove it.
func listenUnix(path string) (*socket, error) {
	unlock, err := lockPath(path)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, listenError(err)
	}
	l.SetUnlinkOnClose(false)
	s := &socket{UnixListener: l, path: path}
	if err := os.Chmod(path, 0o600); err != nil {
		os.Remove(path)
		return nil, errors.Join(err, l.Close())
	}
	if s.file, err = os.Lstat(path); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return s, nil
}

// listenError takes out what the caller says anyway, and names the one cause the kernel is silent about.
func listenError(err error) error {
	if errors.Is(err, syscall.EINVAL) {
		return errors.New("the path is too long: a socket's has at most 107 bytes (unix(7))")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// removeStale removes a socket at path that a process left behind when it died. The caller has the lock of path.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("there is a file that is not a socket; move it away")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		c.Close()
		return errors.New("another process answers on it")
	case errors.Is(err, syscall.ECONNREFUSED): // bound once, and nobody listens
		return os.Remove(path)
	case errors.Is(err, fs.ErrNotExist): // removed just now
		return nil
	}
	return fmt.Errorf("cannot tell whether another process answers on it: %w", err)
}

// Close removes the file and stops listening, in this order: as long as it listens no successor takes its place, and no other
// file has the number of its inode, which the file of a successor would get at once on ext4.
func (s *socket) Close() error {
	var err error
	if now, statErr := os.Lstat(s.path); statErr == nil && os.SameFile(s.file, now) {
		err = os.Remove(s.path)
	}
	return errors.Join(err, s.UnixListener.Close())
}

// ownUser lets in root and the user of this process, and says which of them it is.
func ownUser(c net.Conn) (uint32, error) {
	uid, err := peerUID(c)
	if err != nil {
		return 0, err
	}
	return uid, mayAsk(uid, uint32(os.Geteuid()))
}

func mayAsk(uid, own uint32) error {
	if uid != 0 && uid != own {
		return fmt.Errorf("user %d may not use the admin socket", uid)
	}
	return nil
}

// peerUID is the user at the other end of c, as the kernel knows it.
func peerUID(c net.Conn) (uint32, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return 0, errors.New("connection has no descriptor to ask for its user")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	var uid uint32
	var errno syscall.Errno
	if err := raw.Control(func(fd uintptr) { uid, errno = sys.PeerUID(int(fd)) }); err != nil {
		return 0, err
	}
	if errno != 0 {
		return 0, fmt.Errorf("user of the peer: %w", errno)
	}
	return uid, nil
}
