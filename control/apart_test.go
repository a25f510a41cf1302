package control

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/configs"
)

// hanging makes a file that names files of the route www hang from now on, until answer is called; in progress, or not.
func (y *yard) hanging(progress bool) (answer func()) {
	answered, parse := make(chan struct{}), y.parseFile
	y.parseFile = func(p *configs.Progress, name string, data []byte, dir string, entries []configs.Entry) (*configs.Config, error) {
		for {
			cfg, err := parse(p, name, data, dir, entries)
			select {
			case <-answered:
				return cfg, err
			case <-time.After(y.apart.patience / 4):
			}
			if !progress {
				<-answered
				return cfg, err
			}
		}
	}
	return sync.OnceFunc(func() { close(answered) })
}

// impatient is a yard that waits for files for a tenth of a second, and its file.
func impatient(t *testing.T) *yard {
	y := start(t, still+base)
	y.apart.patience = 100 * time.Millisecond
	return y
}

// A text whose files lie where nobody answers is left alone: it is refused, and what names none there can be changed.
func TestATextWhoseFilesDoNotAnswerIsLeftAlone(t *testing.T) {
	t.Parallel()
	y := impatient(t)
	parse := y.parseFile
	answer := y.hanging(false)
	defer answer()
	y.write(t, toSpare)
	for range mostLeft {
		r, err := y.Reload(t.Context(), ReloadRequest{Origin: OriginSignal})
		e := refusal[*RefusedError](t, r, err)
		if !strings.Contains(e.Error(), "not read within 100ms: their file system does not answer") || !strings.Contains(e.hint(), "then reload") {
			t.Fatalf("%v; hint %q", e, e.hint())
		}
	}
	if got := y.apart.left.Load(); got != mostLeft {
		t.Fatalf("%d texts are left alone, want %d", got, mostLeft)
	}
	r, err := y.Reload(t.Context(), ReloadRequest{Origin: OriginSignal})
	if e := refusal[*RefusedError](t, r, err); !strings.Contains(e.Error(), "8 texts before wait still") || !strings.Contains(e.hint(), "restart") {
		t.Errorf("%v; hint %q", e, e.hint())
	}
	if _, err := y.SetBackend(t.Context(), "web", "127.0.0.1:9101", []byte("{state: drain}"), as("PATCH")); err != nil {
		t.Errorf("a backend cannot be drained: %v", err)
	}
	if _, err := y.DeleteRoute(t.Context(), "api", as("DELETE")); err != nil {
		t.Errorf("a route cannot be deleted: %v", err)
	}
	answer()
	for end := time.Now().Add(time.Minute); y.apart.left.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	y.parseFile, y.apart.patience = parse, time.Minute
	if r := y.reload(t, ReloadRequest{Origin: OriginSignal}); !r.Changed {
		t.Errorf("result %+v", r)
	}
}

// What is slow, and gets on, is waited for.
func TestATextWithProgressIsWaitedFor(t *testing.T) {
	t.Parallel()
	y := impatient(t)
	y.apart.patience = time.Second // of which a look at the file takes a quarter
	answer := y.hanging(true)
	defer answer()
	y.write(t, toSpare)
	go func() {
		time.Sleep(3 * y.apart.patience)
		answer()
	}()
	if r := y.reload(t, ReloadRequest{Origin: OriginSignal}); !r.Changed {
		t.Errorf("result %+v", r)
	}
}

// Whoever does not want to wait, and a stop, are not held up.
func TestNobodyWaitsForATextThatHangs(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	y.apart.patience = time.Hour
	answer := y.hanging(false)
	defer answer()
	y.write(t, toSpare)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := y.Reload(ctx, ReloadRequest{Origin: OriginSignal}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("whoever waits 20 ms: %v", err)
	}
	hung := make(chan error)
	go func() {
		_, err := y.Reload(t.Context(), ReloadRequest{Origin: OriginSignal})
		hung <- err
	}()
	time.Sleep(20 * time.Millisecond)
	y.Close()
	if err := <-hung; !errors.Is(err, ErrStopping) {
		t.Errorf("a reload during a stop: %v", err)
	}
}

// A watcher that waits for the file system of the configuration holds up no stop.
func TestAStopLeavesAloneWhatHangs(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	y.apart.stopPatience = 20 * time.Millisecond
	answered := make(chan struct{})
	y.jobs.Go(func() { <-answered })
	y.Close()
	if n := len(y.lines(t, "a file system does not answer: what waits for it is left alone")); n != 1 {
		t.Errorf("%d lines tell of it", n)
	}
	close(answered)
	y.jobs.Wait()
}
