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
	var c benchCompare
	cmd := &cobra.Command{
		Use:   "compare",
		Short: "Compare with HAProxy and nginx on this machine",
		Long: `Measure Switchyard, and HAProxy and nginx where they are installed, configured for the
same work with the same names, each in a process of its own, in turn and round after
round. What is compared is the processor time of the balancer's processes for each
connection, round trip and gigabyte, and its memory for each idle connection. In every
table less is better; a ratio divides by the better of HAProxy and nginx.

All of it takes a quarter of an hour and most of the machine. --quick shows that it
works, and its numbers mean nothing. With --baseline the exit status is 1 if a figure of
Switchyard is worse than in an earlier comparison; more rounds make that more certain.`,
		Example: `  # everything, at three sizes of the table, into a directory
  switchyard bench compare --names 10,1000,100000 --dir comparison

  # in CI: fail if a connection costs 5 % more than it did
  switchyard bench compare --case hello --rounds 10 --baseline main.json --max-regression 5%`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.out.add(cmd, "text", "json", "bench", "html", "markdown")
	c.addFlags(cmd)
	return cmd
}

// benchCompare is the command with its flags.
type benchCompare struct {
	cfg   bench.CompareConfig
	out   reportFlags
	quick bool
}

func (c *benchCompare) addFlags(cmd *cobra.Command) {
	flags, cfg := cmd.Flags(), &c.cfg
	flags.BoolVar(&c.quick, "quick", false, "one short round of everything")
	flags.StringSliceVar(&cfg.Cases, "case", nil, "only these `CASES`: "+strings.Join(bench.CaseKeys(), ", "))
	flags.StringSliceVar(&cfg.Against, "against", nil, "only these `PEERS` besides switchyard: direct, gocopy, haproxy, nginx")
	flags.StringSliceVar(&cfg.Only, "only", nil, "only these `ROWS`, switchyard's included")
	flags.StringToStringVar(&cfg.Binaries, "bin", nil, "`NAME=PATH` of switchyard, haproxy or nginx, where not the one in PATH")
	flags.IntVar(&cfg.Rounds, "rounds", 0, "measure each `N` times (5)")
	flags.DurationVar(&cfg.Duration, "duration", 0, "`DURATION` of a round (2s)")
	flags.DurationVar(&cfg.WarmUp, "warm-up", 0, "`DURATION` before the first round (a sixth of --duration)")
	flags.IntVar(&cfg.Workers, "workers", 0, "`N` connections at a time (64)")
	flags.Float64Var(&cfg.Rate, "rate", 0, "`N` connections a second in the open loop (800)")
	flags.IntSliceVar(&cfg.Names, "names", nil, "`N,...` names in every table, each case with each of them (1000)")
	flags.IntVar(&cfg.Idle, "idle", 0, "hold `N` idle connections (2000)")
	flags.Var((*byteSize)(&cfg.Bulk), "bulk", "`SIZE` of one transfer (512MiB)")
	flags.IntVar(&cfg.Pools, "pools", 0, "divide the names among `N` pools (4)")
	flags.BoolVar(&cfg.NoStrace, "no-strace", false, "do not count system calls")
	_ = cmd.RegisterFlagCompletionFunc("case", cobra.FixedCompletions(bench.CaseKeys(), cobra.ShellCompDirectiveNoFileComp))
}

func (c *benchCompare) run(cmd *cobra.Command) error {
	file, err := c.out.check(cmd)
	if err != nil {
		return err
	}
	baseline, err := readBaseline(file, bench.ReadComparison)
	if err != nil {
		return err
	}
	if c.quick {
		hurryUp(&c.cfg)
	}
	tell, clearLine := progressLine(cmd.ErrOrStderr(), func(line string) { fmt.Fprintln(cmd.ErrOrStderr(), line) })
	c.cfg.Progress = tell
	ctx, stop := untilSignal()
	defer stop()
	found, err := bench.Compare(ctx, c.cfg)
	clearLine()
	if found == nil {
		return err
	}
	err = errors.Join(c.out.write(cmd.OutOrStdout(), comparisonWriters(found)), err)
	if baseline != nil && err == nil {
		err = c.out.judge(cmd.ErrOrStderr(), found.Since(baseline))
	}
	return err
}

// hurryUp makes everything small that was not asked for.
func hurryUp(cfg *bench.CompareConfig) {
	setIfZero(&cfg.Rounds, 1)
	setIfZero(&cfg.Duration, 300*time.Millisecond)
	setIfZero(&cfg.WarmUp, 100*time.Millisecond)
	setIfZero(&cfg.Idle, 100)
	setIfZero(&cfg.Bulk, 8<<20)
	setIfZero(&cfg.Rate, 200)
	if len(cfg.Names) == 0 {
		cfg.Names = []int{10}
	}
}

func setIfZero[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}
