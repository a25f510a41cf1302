package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/balancer/certs/acme"
	"github.com/seed-23b4a313/switchyard/balancer/sys"
	"github.com/seed-23b4a313/switchyard/configs"
	"github.com/seed-23b4a313/switchyard/control"
)

func newRun() *cobra.Command {
	var config configFlag
	cmd := &cobra.Command{
		Use:   "run [FILE]",
		Short: "Balance as a configuration file says",
		Long: `Load FILE, listen, and balance until told to stop. The log goes to standard error; its
first lines say what is listened on and how many connections the process can take.

SIGHUP, or a change of FILE (unless it says reload: {watch: false}): the file is checked
and taken as reload does it; one with a mistake changes nothing and is logged.

SIGTERM or SIGINT: /readyz turns to 503, the listeners close, connections end by
themselves for as long as drain.max says, and what is left is closed. The exit status
is 0. A second signal closes everything at once.

Its memory, which may hold private keys, goes into no core dump, and other processes of
the same user cannot read it, unless SWITCHYARD_DUMPABLE is 1 in its environment.

Root is not needed, except for ports below 1024 without CAP_NET_BIND_SERVICE.`,
		Example: `  switchyard run switchyard.yaml
  switchyard run -c /etc/switchyard/switchyard.yaml 2>>/var/log/switchyard.log`,
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := config.file(args)
			if err != nil {
				return err
			}
			if os.Getenv("SWITCHYARD_DUMPABLE") != "1" {
				if err := sys.KeepMemory(); err != nil {
					return fmt.Errorf("keep private keys out of core dumps: %w", err)
				}
			}
			manager, err := manage(path, cmd.ErrOrStderr())
			if err != nil {
				return config.explainLoad(args, err)
			}
			caught := catchSignals()
			defer caught.release()
			s, err := startService(manager)
			if err != nil {
				return err
			}
			s.runUntil(caught)
			return nil
		},
	}
	config.add(cmd)
	return cmd
}

// signals are those that the program answers. Each kind has a channel of its own: those that ask for a reload, however many come
// before somebody looks, as in a long start, leave room for the one that means stop.
type signals struct{ stop, reload chan os.Signal }

// catchSignals has the signals sent to channels until release is called. From then on a write to a pipe that nobody reads, or to a
// file that may not grow (ulimit -f), is an error and not the end of the process: no log may take the balancer with it.
func catchSignals() signals {
	signal.Ignore(syscall.SIGPIPE, syscall.SIGXFSZ)
	s := signals{stop: make(chan os.Signal, 4), reload: make(chan os.Signal, 1)}
	signal.Notify(s.stop, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(s.reload, syscall.SIGHUP)
	return s
}

func (s signals) release() {
	signal.Stop(s.stop)
	signal.Stop(s.reload)
}

// manage loads the file at path, with a log to w as it asks for, whose level follows it from then on.
func manage(path string, w io.Writer) (*managed, error) {
	level := new(slog.LevelVar)
	m := &managed{path: path, lines: &logWriter{w: w}}
	var err error
	m.Manager, err = control.Load(control.Options{Path: path, Level: level, TryAgain: orderAgain, NewLog: func(cfg *configs.Log) *slog.Logger {
		m.log = newLog(m.lines, cfg, level)
		return m.log
	}})
	return m, err
}

// orderAgain orders at once what ACME has failed to obtain, and says so.
func orderAgain() string {
	hosts, resting := acme.TryAgain()
	var done []string
	if hosts > 0 {
		done = append(done, "ACME orders at once for "+count(hosts, "host"))
	}
	if resting > 0 {
		done = append(done, "ACME waits for "+count(resting, "host")+", asked for too often")
	}
	return strings.Join(done, "; ")
}

// newLog makes the log that cfg asks for.
func newLog(w io.Writer, cfg *configs.Log, level slog.Leveler) *slog.Logger {
	opt := &slog.HandlerOptions{Level: level}
	if cfg.Format == "text" {
		return slog.New(slog.NewTextHandler(w, opt))
	}
	return slog.New(slog.NewJSONHandler(w, opt))
}

// limits is how many connections fit, and what that was derived from.
func limits(l balancer.Limits) slog.Attr {
	attrs := []any{slog.Int64("connections", l.Connections), slog.Int64("descriptors", l.Descriptors), slog.Int("pipes", l.Pipes)}
	if l.Memory > 0 {
		attrs = append(attrs, slog.Int64("memory_bytes", l.Memory))
	}
	return slog.Group("limits", attrs...)
}
