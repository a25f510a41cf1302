package main

import (
	"io"
	"sync"
	"sync/atomic"
)

// logWriter is between the log and its file, and counts the lines that could not be written: nobody else hears of them. It is safe
// for any number of goroutines.
type logWriter struct {
	lost atomic.Uint64
	mu   sync.Mutex
	w    io.Writer
	cut  bool // the last line was written in part
}

// Write writes a line, as handlers of package slog call it. After one that was cut off it begins another, so that no more than that
// one is lost to whoever reads them.
func (l *logWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := line
	if l.cut {
		text = append([]byte{'\n'}, line...)
	}
	n, err := l.w.Write(text)
	if n < len(text) && err == nil {
		err = io.ErrShortWrite
	}
	if err != nil {
		l.lost.Add(1)
		l.cut = n > 0 || l.cut
		return min(n, len(line)), err
	}
	l.cut = false
	return len(line), nil
}

// Lost is how many lines were lost.
func (l *logWriter) Lost() uint64 { return l.lost.Load() }
