package main

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"testing"

	"github.com/seed-23b4a313/switchyard/configs"
)

// narrow is a disk with so much room.
type narrow struct {
	bytes.Buffer
	room int
	full error // nil: a short write says nothing
}

func (n *narrow) Write(p []byte) (int, error) {
	took := min(len(p), n.room)
	n.room -= took
	n.Buffer.Write(p[:took])
	if took < len(p) {
		return took, n.full
	}
	return took, nil
}

func TestLinesThatCannotBeWrittenAreCounted(t *testing.T) {
	t.Parallel()
	for name, full := range map[string]error{"an error": errors.New("no space left on device"), "a short write": nil} {
		disk := &narrow{room: 10, full: full}
		w := &logWriter{w: disk}
		write := func(line string, ok bool) {
			t.Helper()
			if n, err := w.Write([]byte(line)); (err == nil) != ok || ok && n != len(line) || full == nil && !ok && !errors.Is(err, io.ErrShortWrite) {
				t.Errorf("%s: %q: %d, %v", name, line, n, err)
			}
		}
		write("one\n", true)
		write("two that is too long\n", false)
		write("three\n", false)
		disk.room = 100
		write("four\n", true)
		write("five\n", true)
		if got, want := disk.String(), "one\ntwo th\nfour\nfive\n"; got != want || w.Lost() != 2 {
			t.Errorf("%s: %q with %d lost, want %q with 2", name, got, w.Lost(), want)
		}
	}
}

// Handlers write a line at a time: what is counted are lines.
func TestALineIsOneWrite(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		w := &logWriter{w: &narrow{}}
		log := newLog(w, &configs.Log{Format: format}, slog.LevelInfo).With("a", 1)
		for range 3 {
			log.Info("a line", "text", "of two\nlines")
		}
		if w.Lost() != 3 {
			t.Errorf("%s: %d lines were lost, want 3", format, w.Lost())
		}
	}
}
