package terminate

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
)

// FileError says what is wrong with a file that a [Config] names. It never quotes what the file holds.
type FileError struct {
	Key  string // what the file is named by: "ca", "crl", "keys[0]"; "" for one that has changed
	File string
	Why  string
	Hint string // what to do; "" where there is nothing to suggest

	err error
}

// of says what the file is named by.
func (e *FileError) of(key string) *FileError {
	e.Key = key
	return e
}

func (e *FileError) Error() string { return "terminate: " + e.File + ": " + e.Why }

// Unwrap returns the error of the system behind e, such as [io/fs.ErrNotExist]; nil if there is none.
func (e *FileError) Unwrap() error { return e.err }

// FileErrors are all mistakes in the files of a [Config], in the order of its fields.
type FileErrors []*FileError

func (e FileErrors) Error() string {
	all := make([]string, len(e))
	for i := range e {
		all[i] = e[i].Error()
	}
	return strings.Join(all, "\n")
}

// Unwrap lets each of them be found with [errors.AsType].
func (e FileErrors) Unwrap() []error {
	all := make([]error, len(e))
	for i := range e {
		all[i] = e[i]
	}
	return all
}

// maxFile is the largest file that is read; a list of revoked certificates may be long.
const maxFile = 64 << 20

// lookEvery is how often a watched file is looked at, at the most.
const lookEvery = time.Second

// watched is what a file means, taken anew when the file changes. It has no goroutine: whoever needs the value looks at
// the file if nobody has within a second, and the others use what there is. A file that cannot be read, or means
// nothing, is logged once and leaves the value as it was.
type watched[T any] struct {
	path    string
	secret  bool // nobody but root and the user of the process may touch the file
	parse   func(path string, data []byte) (T, error)
	value   atomic.Pointer[T]
	wrong   atomic.Pointer[FileError] // why what was read last is refused; nil: it is not
	warning *FileError                // of the first reading, about who may touch the file; nil for none

	mu      sync.Mutex
	looked  time.Time
	stamp   certs.Stamp       // of what was read last, or refused
	sum     [sha256.Size]byte // of what value was made of
	next    *T                // what the file means by now, sound and not taken yet; nil: nothing else than value
	nextSum [sha256.Size]byte
	waits   bool              // next was there at the look before, and could not be taken
	told    bool              // the log says that what was read last is refused
	lastSum [sha256.Size]byte // of what was read last
}

// watch reads path for the first time. The error is a [*FileError].
func watch[T any](path string, secret bool, parse func(string, []byte) (T, error)) (*watched[T], error) {
	w := &watched[T]{path: path, secret: secret, parse: parse}
	f, err := w.load()
	if err != nil {
		return nil, fileError(path, err)
	}
	if f.Warning != nil {
		w.warning = fileError(path, f.Warning)
	}
	w.put()
	return w, nil
}

// aside runs a look at files, which their file system may not answer, and returns when that has ended, or before. It is called once
// for a look that is due, by whoever asks; others go on with what there is meanwhile.
type aside func(look func())

// get is what the file means now.
func (w *watched[T]) get(now time.Time, log *slog.Logger, aside aside) T {
	aside.ifDue(&w.mu, &w.looked, now, func() { w.look(log) })
	return *w.value.Load()
}

// ifDue has a look made that is due, unless somebody else is at it. mu is held during the look, and looked is below it.
func (aside aside) ifDue(mu *sync.Mutex, looked *time.Time, now time.Time, look func()) {
	if !mu.TryLock() {
		return
	}
	if !due(looked, now) {
		mu.Unlock()
		return
	}
	aside(func() {
		defer mu.Unlock()
		look()
	})
}

// look takes the file anew if it has changed. w.mu is held.
func (w *watched[T]) look(log *slog.Logger) {
	if w.read(log); w.next != nil {
		w.take(log)
	}
}

// due reports whether it is time to look, and if so that somebody does.
func due(looked *time.Time, now time.Time) bool {
	if now.Sub(*looked) < lookEvery && now.Sub(*looked) >= 0 {
		return false
	}
	*looked = now
	return true
}

// read reads the file if it may have changed, and leaves in next what is to be taken. w.mu is held, or what stands for it.
func (w *watched[T]) read(log *slog.Logger) {
	if w.stamp.Unchanged(certs.StampOf(w.path)) {
		return
	}
	if _, err := w.load(); err != nil {
		w.refuse(fileError(w.path, err), log)
	} else if w.next == nil {
		w.told = false
		w.wrong.Store(nil)
	}
}

// load reads and parses the file. What it means is in next if that is something else than before.
func (w *watched[T]) load() (f certs.File, err error) {
	before := w.next
	w.next = nil
	f, err = certs.ReadFile(w.path, maxFile, w.secret)
	w.stamp = f.Stamp
	if err != nil {
		return f, err
	}
	if w.secret {
		defer clear(f.Data)
	}
	sum := sha256.Sum256(f.Data)
	switch {
	case w.value.Load() != nil && sum == w.sum:
		return f, nil
	case before != nil && sum == w.nextSum:
		w.next = before
		return f, nil
	}
	if sum != w.lastSum {
		w.told = false // of what was there before
	}
	w.lastSum = sum
	v, err := w.parse(w.path, f.Data)
	if err != nil {
		return f, err
	}
	w.next, w.nextSum, w.waits = &v, sum, false
	return f, nil
}

// take puts next in force.
func (w *watched[T]) take(log *slog.Logger) {
	w.put()
	w.told = false
	w.wrong.Store(nil)
	log.Info("a changed file is in force", slog.String("file", w.path))
}

func (w *watched[T]) put() {
	w.value.Store(w.next)
	w.sum, w.next = w.nextSum, nil
}

// postpone leaves next where it is, since it does not go with another file. The log speaks of it if that is still so at the
// next look: the other one may be on its way.
func (w *watched[T]) postpone(why *FileError, log *slog.Logger) {
	if w.waits {
		w.refuse(why, log)
	}
	w.waits = true
}

func (w *watched[T]) refuse(why *FileError, log *slog.Logger) {
	w.wrong.Store(why)
	if w.told {
		return
	}
	w.told = true
	log.Error("a changed file cannot be used: what it held before stays in force",
		slog.String("file", w.path), slog.String("error", why.Why), slog.String("hint", cmp.Or(why.Hint, "put a sound one there: it is taken by itself")))
}

// refusal is the file, if it has changed and is not taken.
func (w *watched[T]) refusal() []certs.Refusal {
	if e := w.wrong.Load(); e != nil {
		return []certs.Refusal{{File: e.File, Why: e.Why}}
	}
	return nil
}

// ofIt is what is wrong with a file as it is told after its path and a colon.
func ofIt(wrong *certs.Error) error {
	told := *wrong
	told.Why = "it " + wrong.Why
	return &told
}

// fileError makes a [*FileError] of whatever went wrong with a file.
func fileError(path string, err error) *FileError {
	if fe, ok := errors.AsType[*FileError](err); ok {
		return fe
	}
	if ce, ok := errors.AsType[*certs.Error](err); ok {
		return &FileError{File: path, Why: ce.Why, Hint: ce.Hint, err: ce.Unwrap()}
	}
	return &FileError{File: path, Why: err.Error(), err: err}
}
