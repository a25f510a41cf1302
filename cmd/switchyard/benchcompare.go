package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/bench"
)

func newBenchCompare() *cobra.Command {
	var out outputFlag
	var quick bool
	cfg := bench.CompareConfig{}
	cmd := &cobra.Command{
		Use:   "compare",
		Short: "Compare with HAProxy and nginx on this machine",
		Long: `Measure Switchyard, and HAProxy and nginx where they are installed, configured for the
same work with the same names, each in a process of its own, in turn and round after
round. What is compared is the processor time of the balancer's processes for each
connection, round trip and gigabyte, and its memory for each idle connection. In every
table less is better; a ratio divides by the better of HAProxy and nginx.

It takes some minutes and most of the machine. --quick shows that it works, and its
numbers mean nothing.`,
		Example: `  switchyard bench compare > comparison.txt
  switchyard bench compare --against haproxy --rounds 10 -o json`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON, err := out.json()
			if err != nil {
				return err
			}
			if quick {
				hurryUp(&cfg)
			}
			cfg.Progress = func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), line) }
			ctx, stop := untilSignal()
			defer stop()
			found, err := bench.Compare(ctx, cfg)
			if found == nil {
				return err
			}
			write := found.WriteText
			if asJSON {
				write = found.WriteJSON
			}
			return errors.Join(write(cmd.OutOrStdout()), err)
		},
	}
	out.add(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&quick, "quick", false, "one short round of everything")
	flags.StringSliceVar(&cfg.Cases, "case", nil, "only these `CASES`: "+strings.Join(bench.CaseKeys(), ", "))
	flags.StringSliceVar(&cfg.Against, "against", nil, "only these `PEERS` besides switchyard: direct, gocopy, haproxy, nginx")
	flags.StringSliceVar(&cfg.Only, "only", nil, "only these `ROWS`, switchyard's included")
	flags.StringToStringVar(&cfg.Binaries, "bin", nil, "`NAME=PATH` of switchyard, haproxy or nginx, where not the one in PATH")
	flags.IntVar(&cfg.Rounds, "rounds", 0, "measure each `N` times (5)")
	flags.DurationVar(&cfg.Duration, "duration", 0, "`DURATION` of a round (3s)")
	flags.DurationVar(&cfg.WarmUp, "warm-up", 0, "`DURATION` before the first round (a sixth of --duration)")
	flags.IntVar(&cfg.Workers, "workers", 0, "`N` connections at a time (64)")
	flags.Float64Var(&cfg.Rate, "rate", 0, "`N` connections a second in the open loop (800)")
	flags.IntVar(&cfg.Names, "names", 0, "`N` names in the table (1000)")
	flags.IntSliceVar(&cfg.NameCounts, "name-counts", nil, "table sizes `N,...` for start-up and lookup (10,1000,100000)")
	flags.IntVar(&cfg.Idle, "idle", 0, "hold `N` idle connections (2000)")
	flags.Var((*byteSize)(&cfg.Bulk), "bulk", "`SIZE` of one transfer (512MiB)")
	flags.IntVar(&cfg.Pools, "pools", 0, "divide the names among `N` pools (4)")
	flags.BoolVar(&cfg.NoStrace, "no-strace", false, "do not count system calls")
	_ = cmd.RegisterFlagCompletionFunc("case", cobra.FixedCompletions(bench.CaseKeys(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// hurryUp makes everything small that was not asked for.
func hurryUp(cfg *bench.CompareConfig) {
	small := bench.CompareConfig{
		Rounds: 1, Duration: 300 * time.Millisecond, WarmUp: 100 * time.Millisecond,
		Names: 10, Idle: 100, Bulk: 8 << 20, Rate: 200,
	}
	setIfZero(&cfg.Rounds, small.Rounds)
	setIfZero(&cfg.Duration, small.Duration)
	setIfZero(&cfg.WarmUp, small.WarmUp)
	setIfZero(&cfg.Names, small.Names)
	setIfZero(&cfg.Idle, small.Idle)
	setIfZero(&cfg.Bulk, small.Bulk)
	setIfZero(&cfg.Rate, small.Rate)
	if len(cfg.NameCounts) == 0 {
		cfg.NameCounts = []int{10, 100}
	}
}

func setIfZero[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}
