package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/bench"
)

func newBenchSelfCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "selfcheck",
		Short: "Check the tool against backends with known faults",
		Long: `Measure backends that are known to wait, to stall and to fail, and say whether the tool
shows just that. It takes some seconds. On a machine that is busy with other work the
delays are longer than they should be; the exit status is 1 then too.`,
		Example: `  switchyard bench selfcheck

  # one of its checks by hand
  switchyard bench backend --listen 127.0.0.1:9101 --delay 10ms &
  switchyard bench load 127.0.0.1:9101 --count 1000 --workers 4`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilSignal()
			defer stop()
			tell, clearLine := progressLine(cmd.ErrOrStderr(), nil)
			checks, err := bench.SelfCheck(ctx, tell)
			clearLine()
			return errors.Join(err, tellChecks(cmd.OutOrStdout(), checks))
		},
	}
}

// tellChecks prints the checks. One that is wrong fails the command.
func tellChecks(w io.Writer, checks []bench.Check) error {
	wrong := 0
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range checks {
		verdict := "ok"
		if !c.OK {
			verdict = "WRONG"
			wrong++
		}
		fmt.Fprintf(t, "%s\t%s\twant %s\tgot %s\n", verdict, c.Name, c.Want, c.Got)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if wrong > 0 {
		return fmt.Errorf("%s not as it should be", count(wrong, "check"))
	}
	return nil
}
