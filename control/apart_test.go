package control

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-23b4a313/switchyard/configs"
)

// impatient serves text, and waits for files as long as patience says.
func impatient(t *testing.T, text string, patience time.Duration) *yard {
	t.Helper()
	y := &yard{dir: t.TempDir(), apart: patience}
	y.path = filepath.Join(y.dir, "switchyard.yaml")
	y.write(t, text)
	y.run(t)
	return y
}

// hang has what a file names hang from now on, until answer is called. began counts the texts that were begun.
func (y *yard) hang(t *testing.T) (began *atomic.Int64, answer func()) {
	answered, began := make(chan struct{}), &atomic.Int64{}
	<-y.turn
	defer y.end()
	parse := y.parseFile
	y.parseFile = func(p *configs.Progress, name string, data []byte, dir string, entries []configs.Entry) (*configs.Config, error) {
		began.Add(1)
		<-answered
		return parse(p, name, data, dir, entries)
	}
	answer = sync.OnceFunc(func() { close(answered) })
	t.Cleanup(answer)
	return began, answer
}

// A text whose files lie where nobody answers is left alone: it is refused, and what names none there can be changed.
func TestATextWhoseFilesDoNotAnswerIsLeftAlone(t *testing.T) {
	t.Parallel()
	y := impatient(t, still+base, 200*time.Millisecond)
	_, answer := y.hang(t)
	y.write(t, toSpare)
	for range mostLeft {
		r, err := y.Reload(t.Context(), ReloadRequest{Origin: OriginSignal})
		e := refusal[*RefusedError](t, r, err)
		if !strings.Contains(e.Error(), "not read within 200ms: their file system does not answer") || !strings.Contains(e.hint(), "then reload") {
			t.Fatalf("%v; hint %q", e, e.hint())
		}
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
	eventually(t, "a reload once there are answers", func() bool {
		r, err := y.Reload(t.Context(), ReloadRequest{Origin: OriginSignal})
		return err == nil && r.Changed
	})
}

// The watcher loads the file as soon as what it names can be read, and has the turn for it once until then.
func TestTheWatcherLoadsWhatHasHung(t *testing.T) {
	t.Parallel()
	y := impatient(t, base, 200*time.Millisecond)
	began, answer := y.hang(t)
	y.replace(t, strings.TrimPrefix(toSpare, still))
	told := func() int { return len(y.lines(t, "the configuration file is not loaded yet, and is tried again")) }
	eventually(t, "the line about it", func() bool { return told() == 1 && began.Load() == 1 && y.Manager.apart.left.Load() == 1 })
	time.Sleep(10 * quick.poll)
	if n := began.Load(); n != 1 {
		t.Errorf("the same text was begun %d times while the first one hangs", n)
	}
	if st := y.Status(); st.Revision != 1 || !st.FileDiffers || told() != 1 {
		t.Errorf("status %+v; %d lines tell of it", st, told())
	}
	answer()
	eventually(t, "the load", func() bool { return y.Status().Reloads[resultApplied] == 1 })
}

// What gets on is waited for, however long; what does not is left alone in time.
func TestATextIsWaitedForAsLongAsItGetsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Manager{ctx: t.Context(), log: slog.New(slog.DiscardHandler), apart: apart{patience: patience}}
		on := func(p *configs.Progress) {
			if _, err := configs.ParseNoting(p, "switchyard.yaml", []byte(base), ".", nil); err != nil {
				t.Error(err)
			}
		}
		got, err := aside(t.Context(), m, 0, func(p *configs.Progress) (int, error) {
			for range 10 {
				time.Sleep(patience * 9 / 10)
				on(p)
			}
			return 7, nil
		})
		if got != 7 || err != nil {
			t.Errorf("%d, %v", got, err)
		}
		began, answered := time.Now(), make(chan struct{})
		_, err = aside(t.Context(), m, calmSize, func(p *configs.Progress) (int, error) {
			time.Sleep(time.Second)
			on(p)
			<-answered
			return 0, nil
		})
		if _, unanswered := errors.AsType[*UnansweredError](err); !unanswered {
			t.Errorf("error %v", err)
		}
		most := time.Second + patience + calmSize*patiencePerByte
		if took := time.Since(began); took < most || took > most+patience/4 {
			t.Errorf("left alone after %v", took)
		}
		if n := m.apart.left.Load(); n != 1 {
			t.Errorf("%d are left alone", n)
		}
		close(answered)
		synctest.Wait()
		if n := m.apart.left.Load(); n != 0 {
			t.Errorf("%d are left alone once there was an answer", n)
		}
	})
}

// Whoever does not want to wait, and a stop, are not held up.
func TestNobodyWaitsForATextThatHangs(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	began, _ := y.hang(t)
	y.write(t, toSpare)
	ctx, cancel := context.WithCancel(t.Context())
	hung := make(chan error, 1)
	reload := func(ctx context.Context, nth int64) {
		go func() {
			_, err := y.Reload(ctx, ReloadRequest{Origin: OriginSignal})
			hung <- err
		}()
		eventually(t, "a text that hangs", func() bool { return began.Load() == nth })
	}
	reload(ctx, 1)
	cancel()
	if err := <-hung; !errors.Is(err, context.Canceled) {
		t.Errorf("whoever waits no longer: %v", err)
	}
	reload(t.Context(), 2)
	y.Close()
	if err := <-hung; !errors.Is(err, ErrStopping) {
		t.Errorf("a reload during a stop: %v", err)
	}
}

// A watcher that waits for the file system of the configuration holds up no stop.
func TestAStopLeavesAloneWhatHangs(t *testing.T) {
	t.Parallel()
	y := impatient(t, still+base, 20*time.Millisecond)
	answered := make(chan struct{})
	y.jobs.Go(func() { <-answered })
	y.Close()
	if n := len(y.lines(t, "a file system does not answer: what waits for it is left alone")); n != 1 {
		t.Errorf("%d lines tell of it", n)
	}
	close(answered)
	y.jobs.Wait()
}
