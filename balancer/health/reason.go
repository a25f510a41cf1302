package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// maxReason bounds the bytes of Report.Error.
const maxReason = 200

// failure is the step that a check failed in, and why.
type failure struct {
	step string
	err  error
}

// Error implements error.
func (f *failure) Error() string { return f.step + ": " + f.err.Error() }

// Unwrap implements error.
func (f *failure) Unwrap() error { return f.err }

// reason is err as a line that is the same whenever the reason is: without the ports of our side, which differ each
// time, and without bytes that a terminal would act upon. It is "" for nil.
func reason(err error, timeout time.Duration) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if f, ok := errors.AsType[*failure](err); ok {
		text = f.step + ": " + cause(f.err, timeout)
	}
	return clip(printable(text))
}

// cause puts the innermost error of a failed step into words.
func cause(err error, timeout time.Duration) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("timed out after %v", timeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed by the backend"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		if op.Op == "remote error" { // of crypto/tls: the other side's
			return "alert: " + strings.TrimPrefix(op.Err.Error(), "tls: ")
		}
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err
	}
	text := strings.TrimPrefix(err.Error(), "tls: ")
	return strings.TrimPrefix(text, "x509: ")
}

// printable replaces every byte that is not printable ASCII by '?'.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// clip cuts s to maxReason bytes.
func clip(s string) string {
	if len(s) <= maxReason {
		return s
	}
	return s[:maxReason-3] + "..."
}
