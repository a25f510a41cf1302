package certs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Largest files that are read, in bytes. A certificate with its chain has about 5 KiB; the bundle of all public authorities
// has 0.25 MiB.
const (
	maxPair        = 1 << 20
	maxAuthorities = 8 << 20
)

// File is what a file held when it was read.
type File struct {
	Data    []byte
	Stamp   Stamp  // the zero Stamp if it could not be read: what is wrong then may be over without a change of the file
	Warning *Error // about who may touch a secret, where nobody at hand can change that; nil for none

	access *Error // others may touch a secret who must not
}

// ReadFile reads a file of at most limit bytes. If it is a secret, such as a private key, nobody but root and the user of
// this process may touch it. The error is an [*Error]; where it is about what was read, the Stamp is that of the file even then.
func ReadFile(path string, limit int64, secret bool) (File, error) {
	f, wrong := readFile(path, limit, secret)
	if wrong == nil {
		wrong = f.access
	}
	if wrong != nil {
		clear(f.Data)
		return File{Stamp: f.Stamp}, wrong
	}
	return f, nil
}

// readFile is ReadFile, which leaves it to the caller whether the wrong people may touch a secret that may be none. Its mode is looked at and its bytes are read through one
// descriptor, so that what is checked is what is read. Links are followed, since certbot and Kubernetes put links there:
// what counts is who may touch the file at their end.
func readFile(path string, limit int64, secret bool) (c File, wrong *Error) {
	// Without O_NONBLOCK the opening of a pipe would wait for whoever writes to it.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return c, unreadable(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return c, unreadable(path, err)
	}
	c.Stamp = Stamp{info: info, at: time.Now()}
	if !info.Mode().IsRegular() {
		return c, &Error{File: path, Why: "is not a regular file"}
	}
	if secret {
		if c.Warning, c.access, err = checkAccess(path, info); err != nil {
			return File{}, unreadable(path, err)
		}
	}
	c.Data, err = io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		clear(c.Data)
		return File{}, unreadable(path, err)
	case int64(len(c.Data)) > limit:
		return c, &Error{File: path, Why: fmt.Sprintf("is larger than %d MiB", limit>>20)}
	}
	return c, nil
}

func unreadable(path string, err error) *Error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err // the path is said already
	}
	e := &Error{File: path, Why: "cannot be read: " + err.Error(), err: err}
	if errors.Is(err, fs.ErrPermission) {
		e.Hint = remedy(err)
	}
	return e
}

// checkAccess looks at who may touch a private key: its owner alone, who is root or the user of this process. A key that
// lies in a read-only store is often readable by all, and nobody at hand can change that: then it is a warning. The error says that
// it cannot be told whether it does.
func checkAccess(path string, info fs.FileInfo) (warning, wrong *Error, err error) {
	mode := info.Mode().Perm()
	uid, known := ownerOf(info)
	me := os.Geteuid()
	owner := me // where there is none
	if known {
		owner = int(uid)
	}
	e := &Error{File: path, Hint: accessHint(path, owner, me)}
	switch {
	case owner != 0 && owner != me:
		e.Why = fmt.Sprintf("belongs to the user with uid %d, and not to root or the user of this process", uid)
	case mode&0o022 != 0:
		e.Why = fmt.Sprintf("may be changed by others (mode %04o)", mode)
	case mode&0o044 != 0:
		e.Why = fmt.Sprintf("may be read by others (mode %04o)", mode)
		readOnly := mode&0o222 == 0
		if !readOnly {
			if readOnly, err = onReadOnly(path); err != nil {
				return nil, nil, err
			}
		}
		if readOnly {
			return e, nil, nil
		}
	default:
		return nil, nil, nil
	}
	return nil, e, nil
}

// accessHint says how a file becomes one that its user alone may touch, and that the user with the uid me can read.
func accessHint(path string, owner, me int) string {
	chmod := "chmod 600 " + path
	switch {
	case owner == me:
		return chmod
	case me == 0:
		return "chown root " + path + " && " + chmod + ", or run this as the user that it belongs to"
	}
	return fmt.Sprintf("give it, or a copy, to the user of this process: chown %d %s && %s", me, path, chmod)
}

// onReadOnly reports whether a file is on a file system that is mounted read-only: opening for writing, which changes
// nothing, says so before it looks at the mode (path_resolution(7)). The error says that it cannot be told: there may be no
// descriptor for it.
func onReadOnly(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	switch {
	case err == nil:
		_ = f.Close()
		return false, nil
	case errors.Is(err, syscall.EROFS):
		return true, nil
	case errors.Is(err, fs.ErrPermission):
		return false, nil
	}
	return false, err
}

// Stamp tells versions of a file apart without reading it. The zero Stamp is that of a file that is not there.
type Stamp struct {
	info fs.FileInfo
	at   time.Time // when it was looked at
}

// StampOf looks at a file.
func StampOf(path string) Stamp {
	info, err := os.Stat(path)
	if err != nil {
		return Stamp{}
	}
	return Stamp{info: info, at: time.Now()}
}

// settling is how long a file is not trusted to be unchanged by its time of change, which two writes may share where the
// clock of the file system is coarse.
const settling = 2 * time.Second

// Unchanged reports whether a file that was read at a is sure to be the same at b.
func (a Stamp) Unchanged(b Stamp) bool {
	return a.same(b) && (a.info == nil || a.at.Sub(a.info.ModTime()) > settling)
}

// same reports whether nothing tells a and b apart.
func (a Stamp) same(b Stamp) bool {
	if a.info == nil || b.info == nil {
		return a.info == b.info
	}
	return os.SameFile(a.info, b.info) && a.info.Size() == b.info.Size() &&
		a.info.ModTime().Equal(b.info.ModTime()) && a.info.Mode() == b.info.Mode()
}
