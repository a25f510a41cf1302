package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/admin"
	"github.com/seed-23b4a313/switchyard/cmd/switchyard/internal/top"
)

func newTop() *cobra.Command {
	var socket socketFlag
	var once bool
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch rates, pools, backends and the busiest names",
		Long: `Show what the running balancer does, again every second: connections and bytes per second,
how connections end, pools, backends with their state, and the server names that clients
ask for most. Of names as many are remembered as fit into a bounded memory.

Keys: q or Ctrl-C ends it, p or space pauses, s sorts the table marked with > by its next
column, Tab and the left and right arrows go to another table, the others scroll.

With --once, or where standard output is no terminal, one snapshot is printed as plain
text; it takes one interval, over which the rates are counted.`,
		Example: `  switchyard top
  switchyard top --once --interval 5s --socket /run/switchyard/admin.sock`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interval < minInterval || interval > maxInterval {
				return usageError("such as 1s", "--interval is from %v to %v, not %v", minInterval, maxInterval, interval)
			}
			return socket.talk(func(ctx context.Context, p *peer) error {
				if once || !top.IsTerminal(os.Stdout) {
					return printOnce(ctx, p, cmd.OutOrStdout(), interval)
				}
				return watch(ctx, p, cmd.OutOrStdout(), interval)
			})
		},
	}
	socket.add(cmd)
	f := cmd.Flags()
	f.BoolVar(&once, "once", false, "print one snapshot and end")
	f.DurationVar(&interval, "interval", time.Second, "ask again every `DURATION`")
	_ = cmd.RegisterFlagCompletionFunc("interval", cobra.NoFileCompletions)
	return cmd
}

// The interval has bounds: oftener costs the balancer something, and a screen that never changes is no view.
const (
	minInterval = 100 * time.Millisecond
	maxInterval = time.Hour
)

// namesWatched is how many names of each kind are asked for.
const namesWatched = 100

// sample asks for everything that is shown.
func sample(ctx context.Context, p *peer) (*top.Sample, error) {
	s := &top.Sample{}
	if _, err := p.get(ctx, admin.Call{Path: admin.Path("status")}, &s.Status); err != nil {
		return nil, err
	}
	query := url.Values{"limit": {strconv.Itoa(namesWatched)}}
	if _, err := p.get(ctx, admin.Call{Path: admin.Path("names"), Query: query}, &s.Names); err != nil {
		return nil, err
	}
	s.At = time.Now()
	return s, nil
}

// printOnce prints what a screen without bounds would show after one interval.
func printOnce(ctx context.Context, p *peer, w io.Writer, interval time.Duration) error {
	var v top.View
	for i := range 2 {
		if i > 0 {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(interval):
			}
		}
		s, err := sample(ctx, p)
		if err != nil {
			return err
		}
		v.Add(s)
	}
	for _, line := range v.Lines(0, 0) {
		fmt.Fprintln(w, line.Text)
	}
	return nil
}

// watch shows the view until somebody has seen enough. The terminal is given back on every way out, a panic included.
func watch(ctx context.Context, p *peer, out io.Writer, interval time.Duration) error {
	first, err := sample(ctx, p) // an error is told on a screen that is still the old one
	if err != nil {
		return err
	}
	t, err := top.OpenTerminal(out, os.Stdout, os.Stdin)
	if err != nil {
		return err
	}
	defer t.Close()
	w := &watcher{terminal: t, keys: make(chan []top.Key), samples: make(chan taken), broken: make(chan string, 2)}
	w.view.Add(first)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if t.HasKeyboard() {
		go w.read(ctx, os.Stdin)
	}
	go w.poll(ctx, p, interval)
	return w.run(ctx)
}

// watcher is a view on a terminal, with what feeds it.
type watcher struct {
	view     top.View
	terminal *top.Terminal
	keys     chan []top.Key
	samples  chan taken
	broken   chan string // the panics of its goroutines
}

// taken is one sample, or why there is none.
type taken struct {
	sample *top.Sample
	err    error
}

// run draws after everything that happens.
func (w *watcher) run(ctx context.Context) error {
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	for {
		width, height := w.terminal.Size()
		if err := w.terminal.Draw(w.view.Lines(width, height)); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case what := <-w.broken:
			panic(what)
		case <-resized:
		case keys, open := <-w.keys:
			if !open || w.press(keys) {
				return nil
			}
		case t := <-w.samples:
			if t.err != nil {
				w.view.Fail(t.err)
				continue
			}
			w.view.Add(t.sample)
		}
	}
}

// press passes keys on, and reports whether one of them was the last.
func (w *watcher) press(keys []top.Key) bool {
	for _, k := range keys {
		if w.view.Press(k) {
			return true
		}
	}
	return false
}

// catch hands a panic of a goroutine to run: only there is the terminal given back before the program ends.
func (w *watcher) catch() {
	if r := recover(); r != nil {
		w.broken <- fmt.Sprintf("%v\n%s", r, debug.Stack())
	}
}

// read passes keys on until ctx is done. It ends with the process: a read of a terminal cannot be taken back.
func (w *watcher) read(ctx context.Context, in io.Reader) {
	defer close(w.keys)
	defer w.catch()
	var keys top.Keys
	buf := make([]byte, 64)
	for {
		n, err := in.Read(buf)
		if pressed := keys.Read(buf[:n]); len(pressed) > 0 {
			select {
			case w.keys <- pressed:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return // the terminal is gone
		}
	}
}

// poll asks again and again. A balancer that does not answer is asked as often: it may be starting again.
func (w *watcher) poll(ctx context.Context, p *peer, interval time.Duration) {
	defer w.catch()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s, err := sample(ctx, p)
		select {
		case <-ctx.Done():
			return
		case w.samples <- taken{s, err}:
		}
	}
}
