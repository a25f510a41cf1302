package main

import (
	"errors"
	"fmt"
	"io"
)

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitConfig = 3
)

// failure is an error that knows its exit status and what to do about it.
type failure struct {
	code  int
	err   error
	hint  string // "": none
	plain bool   // err is printed as it is: it starts with a file and a line, for editors to jump to
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// usageError says that the command line is wrong.
func usageError(hint, format string, args ...any) error {
	return &failure{code: exitUsage, err: fmt.Errorf(format, args...), hint: hint}
}

// withHint adds what to do about err. Its exit status is 1.
func withHint(err error, format string, args ...any) error {
	return &failure{code: exitFailed, err: err, hint: fmt.Sprintf(format, args...)}
}

// errSilent is a failure that has been told in full already.
var errSilent = errors.New("told already")

// report prints err and returns the exit status for it.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	f, ok := errors.AsType[*failure](err)
	if !ok {
		f = &failure{code: exitFailed, err: err}
	}
	switch {
	case errors.Is(err, errSilent):
	case f.plain:
		fmt.Fprintln(w, f.err)
	default:
		fmt.Fprintf(w, "switchyard: error: %v\n", err)
	}
	if f.hint != "" {
		fmt.Fprintf(w, "switchyard: hint: %s\n", f.hint)
	}
	return f.code
}
