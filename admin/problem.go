package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-23b4a313/switchyard/control"
)

// APIError is an answer that is not the one asked for, as JSON and as the error that [Client] returns.
type APIError struct {
	Status   int               `json:"-"`     // of HTTP
	Message  string            `json:"error"` // never empty, one line
	Hint     string            `json:"hint,omitempty"`
	Mistakes []control.Mistake `json:"mistakes,omitempty"` // of a configuration that was refused (422), in file order
	Revision uint64            `json:"revision,omitempty"` // on 409: the one in force
}

// Error returns the message.
func (e *APIError) Error() string { return e.Message }

func badRequest(hint, format string, args ...any) *APIError {
	return &APIError{Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...), Hint: hint}
}

func notFound(hint, format string, args ...any) *APIError {
	return &APIError{Status: http.StatusNotFound, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// errStarting is what a verb answers that needs a balancer while there is none.
var errStarting = &APIError{
	Status: http.StatusServiceUnavailable, Message: "the balancer is starting", Hint: "ask again when /readyz answers 200",
}

// problem makes the answer of err. Which package of ours says so is nothing to a client.
func problem(err error) *APIError {
	p := *answerTo(err)
	p.Message = strings.TrimPrefix(p.Message, "control: ")
	return &p
}

func answerTo(err error) *APIError {
	if e, ok := errors.AsType[*APIError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*control.RefusedError](err); ok {
		return refused(e)
	}
	if e, ok := errors.AsType[*control.ConflictError](err); ok {
		return &APIError{
			Status: http.StatusConflict, Message: e.Error(), Revision: e.Revision,
			Hint: "look at what is in force now, and ask again with its revision",
		}
	}
	if e, ok := errors.AsType[*control.NotFoundError](err); ok {
		return notFound(e.Hint, "%v", e)
	}
	if e, ok := errors.AsType[*control.BusyError](err); ok {
		return &APIError{Status: http.StatusConflict, Message: e.Error(), Hint: e.Hint()}
	}
	return &APIError{Status: statusOf(err), Message: err.Error()}
}

// refused sums up what is wrong with a text in one line: the mistakes themselves are beside it.
func refused(e *control.RefusedError) *APIError {
	p := &APIError{Status: http.StatusUnprocessableEntity, Hint: e.Hint, Mistakes: e.Mistakes}
	first := e.Mistakes[0]
	p.Message = first.Message
	if first.Line > 0 {
		p.Message = fmt.Sprintf("%s:%d:%d: %s", first.File, first.Line, first.Col, first.Message)
	}
	if n := len(e.Mistakes); n > 1 {
		p.Message = fmt.Sprintf("%d mistakes, the first: %s", n, p.Message)
	}
	return p
}

// statusOf is the status of an error that carries nothing but its text.
func statusOf(err error) int {
	if _, ok := errors.AsType[*control.SaveError](err); ok {
		return http.StatusInsufficientStorage
	}
	switch {
	case errors.Is(err, control.ErrStopping), errors.Is(err, control.ErrStarting),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// serveProblem answers err.
func serveProblem(w http.ResponseWriter, err error) {
	p := problem(err)
	serveJSON(w, p.Status, p)
}

// serveError answers {"error": "…"}. The text is ours: nothing of the request is in it.
func serveError(w http.ResponseWriter, code int, text string) {
	serveProblem(w, &APIError{Status: code, Message: text})
}

// serveJSON answers what, made whole before the first byte of it is written: a slow client holds the bytes and nothing
// else.
func serveJSON(w http.ResponseWriter, code int, what any) {
	text, err := marshal(what)
	if err != nil {
		code, text = http.StatusInternalServerError, []byte(`{"error": "the answer cannot be made"}`+"\n")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(text) // the client is gone: nobody to tell
}

// marshal writes what as people read it, with names as they are: these answers are no part of a web page.
func marshal(what any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	err := e.Encode(what)
	return b.Bytes(), err
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
