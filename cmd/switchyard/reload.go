package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/admin"
	"github.com/seed-23b4a313/switchyard/control"
)

// reloadFlags are the flags of reload.
type reloadFlags struct {
	dryRun      bool
	guard       time.Duration
	bound       string
	dropOverlay bool
}

func newReload() *cobra.Command {
	var socket socketFlag
	var out outputFlag
	var flags reloadFlags
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the running balancer take its configuration file again",
		Long: `Have the running balancer read its file, check it as check does, and take it; then print
what has changed, by name. No connection is touched, but those of backends that have left
end when drain_timeout is over. A file with a mistake changes nothing: every mistake is
printed as check prints it, and the exit status is 3; it is 1 if the balancer cannot read
the file, or not have an address that it names, which changes nothing either. If nothing has changed, certificates
that ACME could not obtain are ordered at once, without the rest of their pause.

With --dry-run nothing is changed either: it prints what would be, and which live
connections and which names seen lately would go to another pool.

With --guard the balancer watches what becomes of connections for that long. If a larger
share than before, by more than --guard-bound, has no route, reaches no backend or gets no
answer from it, the revision before is put back, and the exit status is 1. Ctrl-C leaves
the guard at work.

Changes made at run time stay on top of the file, unless they were made to be dropped by
a reload, or --drop-overlay is given.`,
		Example: `  switchyard reload --dry-run && switchyard reload --guard 30s
  switchyard reload --socket /run/switchyard/admin.sock -o json | jq .diff.routes.added`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.reload(cmd, &socket, &out)
		},
	}
	socket.add(cmd)
	out.add(cmd)
	f := cmd.Flags()
	f.BoolVar(&flags.dryRun, "dry-run", false, "change nothing, and say what would be")
	f.DurationVar(&flags.guard, "guard", 0, "watch for `DURATION`, and put the revision before back if more connections fail")
	f.StringVar(&flags.bound, "guard-bound", "", "`SHARE` of connections that may fail more than before, such as 1% or 0.01 (default 1%)")
	f.BoolVar(&flags.dropOverlay, "drop-overlay", false, "drop what was changed at run time")
	for _, name := range []string{"guard", "guard-bound"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	return cmd
}

// reload is the whole command.
func (f *reloadFlags) reload(cmd *cobra.Command, socket *socketFlag, out *outputFlag) error {
	asJSON, err := out.json()
	if err != nil {
		return err
	}
	query, err := f.query()
	if err != nil {
		return err
	}
	return socket.talk(func(ctx context.Context, p *peer) error {
		var res control.Result
		raw, err := p.get(ctx, admin.Call{Method: "POST", Path: admin.Path("reload"), Query: query}, &res)
		if err != nil {
			return err
		}
		if asJSON {
			_, err = cmd.OutOrStdout().Write(raw)
		} else {
			printResult(cmd.OutOrStdout(), cmd.ErrOrStderr(), &res)
		}
		if err != nil || res.Guard == nil || f.dryRun {
			return err
		}
		return awaitGuard(ctx, p, cmd.ErrOrStderr(), res.Guard)
	})
}

// query is what the flags ask of the API.
func (f *reloadFlags) query() (url.Values, error) {
	q := url.Values{}
	if f.dryRun {
		q.Set("dry_run", "true")
	}
	if f.dropOverlay {
		q.Set("overlay", "drop")
	}
	switch {
	case f.guard < 0:
		return nil, usageError("such as 30s", "--guard: %v is not a time to watch for", f.guard)
	case f.guard == 0 && f.bound != "":
		return nil, usageError("add --guard 30s", "--guard-bound says nothing without --guard")
	case f.guard > 0 && f.dryRun:
		return nil, usageError("leave one of them out", "--guard watches a change, and --dry-run makes none")
	case f.guard > 0:
		q.Set("guard", f.guard.String())
	}
	if f.bound != "" {
		share, err := parseShare(f.bound)
		if err != nil {
			return nil, usageError("such as 1% or 0.01", "--guard-bound: %w", err)
		}
		q.Set("guard_bound", strconv.FormatFloat(share, 'g', -1, 64))
	}
	return q, nil
}

// parseShare reads "1%" or "0.01": more than nothing, and at most all.
func parseShare(s string) (float64, error) {
	number, isPercent := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if isPercent {
		f /= 100
	}
	if err != nil || !(f > 0 && f <= 1) {
		return 0, fmt.Errorf("%q is not a share above 0 and up to 100%%", s)
	}
	return f, nil
}

// guardPoll is how often the state of a guard is asked for.
const guardPoll = 250 * time.Millisecond

// awaitGuard waits for the verdict of g, which is an error if it was against the revision.
func awaitGuard(ctx context.Context, p *peer, words io.Writer, g *control.GuardStatus) error {
	fmt.Fprintf(words, "switchyard: watching revision %d until %s\n", g.Revision, when(g.Ends))
	tick := time.NewTicker(guardPoll)
	defer tick.Stop()
	for g.State == control.GuardWatching {
		select {
		case <-ctx.Done():
			return stillGuarded(g)
		case <-tick.C:
		}
		now, err := guardOf(ctx, p, g.Revision)
		if ctx.Err() != nil {
			return stillGuarded(g)
		}
		if err != nil {
			return err
		}
		g = now
	}
	return verdictOf(words, g)
}

func stillGuarded(g *control.GuardStatus) error {
	return withHint(fmt.Errorf("no longer waiting; the guard of revision %d goes on until %s", g.Revision, when(g.Ends)),
		"switchyard status shows how it ends, switchyard rollback puts revision %d back now", g.Previous)
}

// guardOf asks for the guard of a revision.
func guardOf(ctx context.Context, p *peer, revision uint64) (*control.GuardStatus, error) {
	var s admin.Status
	if _, err := p.get(ctx, admin.Call{Path: admin.Path("status")}, &s); err != nil {
		return nil, err
	}
	if s.Config == nil || s.Config.Guard == nil || s.Config.Guard.Revision != revision {
		return nil, withHint(errors.New("the balancer no longer knows of this guard"), "switchyard status shows what runs")
	}
	return s.Config.Guard, nil
}

// verdictOf tells how a guard has ended.
func verdictOf(words io.Writer, g *control.GuardStatus) error {
	switch g.State {
	case control.GuardPassed:
		fmt.Fprintf(words, "switchyard: revision %d stays: %s\n", g.Revision, ratesText(g))
		return nil
	case control.GuardRolledBack:
		return withHint(fmt.Errorf("revision %d was taken back, and revision %d runs again: %s", g.Revision, g.Previous, shown(g.Reason)),
			"%s", ratesText(g))
	}
	return fmt.Errorf("the guard of revision %d has %s: %s", g.Revision, shown(g.State), shown(g.Reason))
}

// ratesText compares the time before with the time after.
func ratesText(g *control.GuardStatus) string {
	b, a := &g.Before, &g.After
	return fmt.Sprintf("%s; no route %s (before %s), no connection to a backend %s (%s), no answer %s (%s)",
		count(int(a.Connections), "connection"), percents(a.NoRoute), percents(b.NoRoute),
		percents(a.ConnectFailures), percents(b.ConnectFailures), percents(a.FailedHandshakes), percents(b.FailedHandshakes))
}
