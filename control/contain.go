package control

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/seed-23b4a313/switchyard/configs"
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

// read checks a file with entries on top.
func (m *Manager) read(f *file, laid []configs.Entry) (*configs.Config, error) {
	return contained(m.log, func() (*configs.Config, error) { return m.parseFile(f.name, f.data, f.dir, laid) })
}
