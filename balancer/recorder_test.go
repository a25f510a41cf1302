package balancer

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/loop"
)

// gated is a log that takes a line only when the test lets it.
type gated struct {
	slog.Handler
	lines, pass chan string
}

func (g gated) Enabled(context.Context, slog.Level) bool { return true }

func (g gated) Handle(_ context.Context, r slog.Record) error {
	g.lines <- r.Message
	<-g.pass
	return nil
}

// A log that takes no lines holds no loop up, whatever the recorder was doing when the loop had one.
func TestALogThatIsStuckHoldsNoLoopUp(t *testing.T) {
	t.Parallel()
	log := gated{slog.DiscardHandler, make(chan string), make(chan string)}
	w := &worker{loop: &loop.Loop{}}
	r := newRecorder(slog.New(log), [8]byte{}, []*worker{w})
	go r.run()
	r.notice(slog.LevelError, "notice")
	if got := <-log.lines; got != "notice" {
		t.Fatalf("the log has %q", got)
	}
	w.records.put(connRecord{cause: CauseOK}) // while the notice is written: the recorder is told to wake up
	log.pass <- ""
	if got := <-log.lines; got != "connection" {
		t.Fatalf("the log has %q", got)
	}
	put := make(chan struct{})
	go func() {
		defer close(put)
		w.records.put(connRecord{cause: CauseOK})
	}()
	select {
	case <-put:
	case <-time.After(10 * time.Second):
		t.Error("the loop waits for the log")
	}
	log.pass <- ""
	if got := <-log.lines; got != "connection" {
		t.Errorf("the log has %q", got)
	}
	log.pass <- ""
	r.stop()
	<-put
}
