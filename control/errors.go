package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/configs"
)

// Errors that a caller branches on.
var (
	// ErrStopping answers every change once the balancer stops or the Manager is closed.
	ErrStopping = errors.New("control: stopping: nothing can be changed any more")
	// ErrStarting answers every change before [Manager.Start].
	ErrStarting = errors.New("control: still starting: nothing can be changed yet")
)

// Mistake is one thing that is wrong with a text, as a client of the API gets it.
type Mistake struct {
	File    string `json:"file,omitempty"`   // the file, or where the text came from: "PUT /v1/routes/api"
	Line    int    `json:"line,omitempty"`   // from 1; 0 if the mistake has no place
	Col     int    `json:"col,omitempty"`    // from 1, in characters
	Message string `json:"message"`          // what is wrong
	Source  string `json:"source,omitempty"` // the line, fit for a terminal
	Hint    string `json:"hint,omitempty"`   // what may have been meant
	Text    string `json:"text"`             // all of it, as `switchyard check` prints it
}

// RefusedError says that a text was refused, and nothing was changed. Err has the mistakes as they were found:
// [configs.Errors], conflicts of routes, a [*balancer.BindError].
type RefusedError struct {
	Err      error
	Mistakes []Mistake // never empty
	Hint     string    // what to do where the mistakes do not say it; may be empty
}

// Error returns all mistakes, one after the other.
func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *RefusedError) Unwrap() error { return e.Err }

// refuse makes err a RefusedError, and that of a balancer that stops ErrStopping.
func refuse(err error, hint string) error {
	if passed := passOn(err); passed != nil {
		return passed
	}
	return &RefusedError{Err: err, Mistakes: mistakes(err), Hint: hint}
}

// passOn returns what err means where it is not about a text; nil where it is.
func passOn(err error) error {
	if errors.Is(err, balancer.ErrStopping) {
		return ErrStopping
	}
	if _, ok := errors.AsType[*NotFoundError](err); ok || interrupted(err) {
		return err
	}
	return nil
}

// interrupted reports whether err says that nobody waits for the change any more, or nothing is changed any more.
func interrupted(err error) bool {
	return errors.Is(err, ErrStopping) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// maxMistakes bounds what one answer says: nobody reads on.
const maxMistakes = 1000

// mistakes takes err apart. Joined errors are one mistake each.
func mistakes(err error) (all []Mistake) {
	if list, ok := errors.AsType[configs.Errors](err); ok {
		for _, e := range list {
			all = append(all, Mistake{
				File: e.File, Line: e.Line, Col: e.Col, Message: e.Msg, Source: e.Source, Hint: e.Hint, Text: e.Error(),
			})
		}
		return all
	}
	if joined := joinedErrors(err); joined != nil {
		for _, e := range joined[:min(len(joined), maxMistakes)] {
			all = append(all, mistakes(e)...)
		}
		return all
	}
	m := Mistake{Message: err.Error(), Text: err.Error()}
	if bind, ok := errors.AsType[*balancer.BindError](err); ok && bind.Hint != "" {
		m.Hint = bind.Hint
		m.Text += "\nhint: " + bind.Hint
	}
	return []Mistake{m}
}

// joinedErrors returns the errors that err joins, below whatever wraps them; nil if it joins none.
func joinedErrors(err error) []error {
	for ; err != nil; err = errors.Unwrap(err) {
		if j, ok := err.(interface{ Unwrap() []error }); ok {
			return j.Unwrap()
		}
	}
	return nil
}

// texts are the whole messages.
func texts(list []*configs.Error) (all []string) {
	for _, e := range list {
		all = append(all, e.Error())
	}
	return all
}

// firstLine is what a message says without the line of the file below it.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// plural is "1 more backend" or "2 more backends".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// first returns the place and text of the first mistake on one line, for a log.
func (e *RefusedError) first() string {
	m := e.Mistakes[0]
	text := m.Message
	if m.Line > 0 {
		text = fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Col, m.Message)
	}
	return text
}

// hint returns the first advice there is.
func (e *RefusedError) hint() string { return cmp.Or(e.Hint, e.Mistakes[0].Hint) }

// ConflictError says that a change was made for another revision than the one that runs. Nothing was changed.
type ConflictError struct {
	Revision uint64 // that runs
	Why      string
}

func (e *ConflictError) Error() string { return "control: " + e.Why }

// NotFoundError says that what was named is not there. Nothing was changed.
type NotFoundError struct {
	Kind string // "route", "pool", "backend" or "revision"
	Name string
	Hint string // may be empty
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("control: there is no %s %q", e.Kind, e.Name)
}

// BusyError says that a guard watches a revision, during which routes and pools are not changed. Nothing was changed.
type BusyError struct {
	Revision uint64        // that is watched
	Left     time.Duration // until the guard is over, if it does not trip
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("control: a guard watches revision %d for another %s", e.Revision, e.Left.Round(time.Second))
}

// Hint says what to do.
func (e *BusyError) Hint() string {
	return "try again then; `switchyard rollback` puts the previous revision back now"
}

// SaveError says that the state file could not be written, and that the change was therefore not made.
type SaveError struct {
	Path string
	Err  error
}

func (e *SaveError) Error() string {
	return fmt.Sprintf("control: state file %s: %v: nothing was changed", e.Path, e.Err)
}

// Unwrap returns Err.
func (e *SaveError) Unwrap() error { return e.Err }
