package terminate

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// FileError says what is wrong with a file that a [Config] names. It never quotes what the file holds.
type FileError struct {
	File string
	Why  string
	Hint string // what to do; "" where there is nothing to suggest

	err error
}

func (e *FileError) Error() string { return "terminate: " + e.File + ": " + e.Why }

// Unwrap returns the error of the system behind e, such as [fs.ErrNotExist]; nil if there is none.
func (e *FileError) Unwrap() error { return e.err }

// maxFile is the largest file that is read; a list of revoked certificates may be long.
const maxFile = 64 << 20

// lookEvery is how often a watched file is looked at, at the most.
const lookEvery = time.Second

// watched is what a file means, taken anew when the file changes. It has no goroutine: whoever needs the value looks at
// the file if nobody has within a second, and the others use what there is. A file that cannot be read, or means
// nothing, is logged once and leaves the value as it was.
type watched[T any] struct {
	path   string
	secret bool // nobody but the owner may touch the file
	parse  func(data []byte) (T, error)
	value  atomic.Pointer[T]

	mu     sync.Mutex
	looked time.Time
	stamp  stamp
	broken bool // stamp is that of a file that was refused
}

// stamp tells one content of a file from the next.
type stamp struct {
	size  int64
	mtime time.Time
	mode  fs.FileMode
}

// watch reads path for the first time. The error is a [*FileError].
func watch[T any](path string, secret bool, parse func([]byte) (T, error)) (*watched[T], error) {
	w := &watched[T]{path: path, secret: secret, parse: parse}
	info, err := os.Stat(path)
	if err == nil {
		err = w.load(info)
	}
	if err != nil {
		return nil, fileError(path, err)
	}
	return w, nil
}

// get is what the file means now.
func (w *watched[T]) get(now time.Time, log *slog.Logger) T {
	if w.mu.TryLock() {
		w.look(now, log)
		w.mu.Unlock()
	}
	return *w.value.Load()
}

// look takes the file anew if it has changed. w.mu is held.
func (w *watched[T]) look(now time.Time, log *slog.Logger) {
	if now.Sub(w.looked) < lookEvery && now.Sub(w.looked) >= 0 {
		return
	}
	w.looked = now
	info, err := os.Stat(w.path)
	if err == nil && stampOf(info) == w.stamp {
		return
	}
	if err == nil {
		err = w.load(info)
	}
	switch {
	case err != nil && !w.broken:
		w.broken = true
		log.Error("a changed file cannot be used: what it held before stays in force",
			slog.String("file", w.path), slog.String("error", fileError(w.path, err).Why))
	case err == nil:
		w.broken = false
		log.Info("a changed file is in force", slog.String("file", w.path))
	}
}

func stampOf(info fs.FileInfo) stamp { return stamp{info.Size(), info.ModTime(), info.Mode()} }

// load reads and parses the file, and keeps what it means.
func (w *watched[T]) load(info fs.FileInfo) error {
	w.stamp = stampOf(info)
	data, err := readBounded(w.path, info, w.secret)
	if err != nil {
		return err
	}
	v, err := w.parse(data)
	if err != nil {
		return err
	}
	w.value.Store(&v)
	return nil
}

// readBounded reads a regular file of bounded size.
func readBounded(path string, info fs.FileInfo, secret bool) ([]byte, error) {
	switch {
	case !info.Mode().IsRegular():
		return nil, &FileError{File: path, Why: "not a regular file"}
	case info.Size() > maxFile:
		return nil, &FileError{File: path, Why: "larger than 64 MiB"}
	case secret && info.Mode().Perm()&0o077 != 0:
		return nil, &FileError{File: path, Why: "others than its owner may read or change it", Hint: "chmod 600 " + path}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// fileError makes a [*FileError] of whatever went wrong with a file.
func fileError(path string, err error) *FileError {
	if fe, ok := errors.AsType[*FileError](err); ok {
		return fe
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return &FileError{File: path, Why: err.Error(), err: err}
}
