package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

func newDrain() *cobra.Command {
	var socket socketFlag
	var out outputFlag
	var maint bool
	var wait string
	change := backendChange{state: "drain"}
	cmd := &cobra.Command{
		Use:   "drain BACKEND",
		Short: "Send no new connections to a backend",
		Long: `Have the running balancer send no new connections to BACKEND, an address as pools lists it
or as the file writes it (a name stands for all its addresses), in every pool that has it
or in the one that --pool names. Connections that it has stay. It remains so over reloads,
and over restarts if the file has a state_file, until ready takes it back.

With --maint it is out of use: connections that it has are given the pool's drain_timeout
to end. With --weight it still gets connections, by that weight instead of the file's.

With --wait the command ends when the backend holds no connection any more, or, with
--wait=DURATION, after that time with exit status 1.`,
		Example: `  switchyard drain 10.0.0.7:443 --wait=5m && ssh 10.0.0.7 reboot
  switchyard drain db.example.net:5432 --pool db --maint`,
		Args:              exactArgs("BACKEND"),
		ValidArgsFunction: socket.completeFirst(backendNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			change.address = args[0]
			if err := change.takeWeight(cmd); err != nil {
				return err
			}
			switch {
			case maint && change.weight != nil:
				return usageError("leave one of them out", "--maint and --weight contradict each other")
			case maint:
				change.state = "maint"
			case change.weight != nil:
				change.state = ""
			}
			limit, err := parseWait(wait)
			if err != nil {
				return err
			}
			return change.run(cmd, &socket, &out, func(ctx context.Context, p *peer) error {
				if wait == "" {
					return nil
				}
				return awaitIdle(ctx, p, cmd.ErrOrStderr(), &change, limit)
			})
		},
	}
	socket.add(cmd)
	out.add(cmd)
	change.add(cmd, &socket)
	f := cmd.Flags()
	f.BoolVar(&maint, "maint", false, "out of use: what it has ends within drain_timeout")
	f.StringVar(&wait, "wait", "", "wait until it holds no connection, or for `DURATION` at the most")
	f.Lookup("wait").NoOptDefVal = waitForever
	_ = cmd.RegisterFlagCompletionFunc("wait", cobra.NoFileCompletions)
	return cmd
}

// waitForever is the value of --wait without one.
const waitForever = "forever"

// parseWait reads --wait: 0 is no limit.
func parseWait(s string) (time.Duration, error) {
	if s == "" || s == waitForever {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, usageError("such as --wait=5m, or --wait alone", "--wait: %q is not a time to wait for", s)
	}
	return d, nil
}

// drainPoll is how often a backend is asked for while it is waited for.
const drainPoll = 250 * time.Millisecond

// awaitIdle waits until the backends that c changed hold no connection.
func awaitIdle(ctx context.Context, p *peer, words io.Writer, c *backendChange, limit time.Duration) error {
	var late <-chan time.Time
	if limit > 0 {
		late = time.After(limit)
	}
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for told := false; ; told = true {
		held, err := c.held(ctx, p)
		switch {
		case ctx.Err() != nil:
			return withHint(errors.New("no longer waiting; it stays drained"), "switchyard ready %s takes it back", c.address)
		case err != nil:
			return err
		case held == 0:
			fmt.Fprintf(words, "switchyard: %s holds no connection\n", shown(c.address))
			return nil
		case !told:
			fmt.Fprintf(words, "switchyard: waiting for %s to end\n", count(int(held), "connection"))
		}
		select {
		case <-ctx.Done():
		case <-late:
			return withHint(fmt.Errorf("%s still holds %s after %v", shown(c.address), count(int(held), "connection"), limit),
				"switchyard connections --backend %s shows them, and --kill closes them", c.address)
		case <-tick.C:
		}
	}
}
