package control

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// errDefect stands for a panic while a text was read. Nothing was changed by it.
var errDefect = errors.New("internal error: this text meets a defect of Switchyard and is not taken; please report it with the stack in the log")

// contained calls parse and makes an error of a panic: what reads a text touches nothing that is served, so that a text which it
// stumbles over is one more text that is refused, and no reason to end all connections.
func contained[T any](log *slog.Logger, parse func() (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("internal error: a text is refused, and what runs goes on", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errDefect
		}
	}()
	return parse()
}
