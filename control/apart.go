package control

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/seed-23b4a313/switchyard/configs"
)

const (
	// patience is how long a text may be read without any progress, before it is left alone: what reads it waits for a file system
	// that does not answer, and nobody could change or stop anything meanwhile. A certificate takes 0.1 ms.
	patience = 15 * time.Second
	// patiencePerByte is how much longer that is for a large text, which has to be taken apart before there is any progress: in
	// BenchmarkParse that takes 0.1 to 0.2 µs a byte, more on a machine that is busy or starts to swap.
	patiencePerByte = 4 * time.Microsecond
	// mostLeft is how many texts may be left alone at one time: each holds a thread.
	mostLeft = 8
	// stopPatience is how long a stop waits for what may wait for a file system; connections come and go meanwhile.
	stopPatience = 3 * time.Second
)

// apart is about texts that are read in goroutines of their own.
type apart struct {
	patience, stopPatience time.Duration // as the constants; tests have others
	left                   atomic.Int64  // how many are left alone just now
}

// UnansweredError says that a text was left alone, since a file that it names could not be read in time. Nothing was changed.
type UnansweredError struct {
	At    string        // whose files they are: `route "www"`; "": not known
	After time.Duration // 0: it was not tried, too many before wait still
}

func (e *UnansweredError) Error() string {
	if e.After == 0 {
		return fmt.Sprintf("%d texts before wait still for files that they name", mostLeft)
	}
	of := ""
	if e.At != "" {
		of = " of " + e.At
	}
	return fmt.Sprintf("the files%s were not read within %v: their file system does not answer", of, e.After)
}

// Hint says what to do.
func (e *UnansweredError) Hint() string {
	if e.After == 0 {
		return "mend the file system; if that cannot be, restart this process with a configuration that names no file there"
	}
	return "mend the file system, or name no file there; then reload"
}

// hintOf is what to do about a text that was left alone; "" if err says something else.
func hintOf(err error) string {
	if e, ok := errors.AsType[*UnansweredError](err); ok {
		return e.Hint()
	}
	return ""
}

// aside calls parse, which tells its argument how far it has come, and waits for it as long as there is progress. It does not
// wait longer than ctx, nor beyond the stop of m. What it is left alone with changes nothing. The text has size bytes; a
// large one gives way to traffic, see [calm].
func aside[T any](ctx context.Context, m *Manager, size int, parse func(*configs.Progress) (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	var none T
	if m.apart.left.Load() >= mostLeft {
		return none, &UnansweredError{}
	}
	progress, done := &configs.Progress{}, make(chan result, 1)
	go func() {
		if size >= calmSize {
			defer calmThread()()
		}
		v, err := contained(m.log, func() (T, error) { return parse(progress) })
		done <- result{v, err}
	}()
	leave := func(err error) (T, error) {
		m.apart.left.Add(1)
		go func() {
			<-done
			m.apart.left.Add(-1)
		}()
		return none, err
	}
	most := m.apart.patience + time.Duration(size)*patiencePerByte
	look := time.NewTicker(m.apart.patience / 10)
	defer look.Stop()
	for steps, since := int64(0), time.Now(); ; {
		select {
		case r := <-done:
			return r.v, r.err
		case <-ctx.Done():
			return leave(ctx.Err())
		case <-m.ctx.Done():
			return leave(ErrStopping)
		case <-look.C:
			if now := progress.Steps(); now != steps {
				steps, since = now, time.Now()
			}
			if time.Since(since) >= most {
				return leave(&UnansweredError{progress.At(), most.Round(time.Second / 10)})
			}
		}
	}
}

// readFile is the function of this name, of the file of m.
func (m *Manager) readFile(ctx context.Context) (*file, error) {
	return aside(ctx, m, 0, func(*configs.Progress) (*file, error) { return readFile(m.path, m.dir) })
}

// read checks a file with entries on top.
func (m *Manager) read(ctx context.Context, f *file, laid []configs.Entry) (*configs.Config, error) {
	return aside(ctx, m, len(f.data), func(p *configs.Progress) (*configs.Config, error) {
		return m.parseFile(p, f.name, f.data, f.dir, laid)
	})
}

// aside reads a text of the API that may name files.
func (m *Manager) aside(ctx context.Context, parse func() (*configs.Change, error)) (*configs.Change, error) {
	return aside(ctx, m, 0, func(*configs.Progress) (*configs.Change, error) { return parse() })
}
