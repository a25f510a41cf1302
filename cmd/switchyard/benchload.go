package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/bench"
)

func newBenchLoad() *cobra.Command {
	var out outputFlag
	var mode string
	cfg := bench.LoadConfig{}
	cmd := &cobra.Command{
		Use:   "load TARGET...",
		Short: "Make load and report what became of it",
		Long: `Connect to TARGET, the address of a balancer, again and again, each time with a real
ClientHello for one of the names; and report how many connections were answered, how
long it took, and how the others failed. Behind the balancer there has to be bench
backend, or for mode handshake any TLS server.

With --rate the load is an open loop: connections start when they are due, whether or not
earlier ones were answered, and latency counts from then. Without it, --workers
connections are made at a time. Several targets, one for each pool, measure the backends
without a balancer. The exit status is 1 if a connection failed.`,
		Example: `  switchyard bench load 127.0.0.1:8443 --rate 800 --duration 10s
  switchyard bench load 127.0.0.1:8443 --mode download --workers 1 --count 4 --bytes 1GiB -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return nil
			}
			return usageError("usage: "+cmd.UseLine(), "no target")
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			asJSON, err := out.json()
			if err != nil {
				return err
			}
			cfg.Mode = bench.Mode(mode)
			if cfg.Targets, err = parseAddrs("TARGET", args); err != nil {
				return err
			}
			ctx, stop := untilSignal()
			defer stop()
			report, err := bench.RunLoad(ctx, cfg)
			if err != nil {
				return err
			}
			return tellLoad(cmd, report, asJSON)
		},
	}
	out.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&mode, "mode", string(bench.ModeHello), "what a connection does: hello, handshake, roundtrip, download, upload or idle (`MODE`)")
	flags.StringVar(&cfg.Names, "names", bench.DefaultNames(1000), "server `NAMES`: one, or a pattern with a range")
	flags.Float64Var(&cfg.Zipf, "zipf", 0, "draw names by Zipf's law with exponent `S` above 1")
	flags.IntVar(&cfg.Pools, "pools", 0, "expect name i in pool i modulo `N`, and count other answers as misrouted")
	flags.Float64Var(&cfg.Rate, "rate", 0, "start `N` connections a second")
	flags.IntVar(&cfg.Workers, "workers", 0, "at most `N` connections at a time (64, or 8000 with --rate)")
	flags.IntVar(&cfg.Count, "count", 0, "end after `N` connections")
	flags.DurationVar(&cfg.Duration, "duration", 0, "end after `DURATION` (10s without --count)")
	flags.DurationVar(&cfg.WarmUp, "warm-up", 0, "run for `DURATION` first, uncounted")
	flags.Var((*byteSize)(&cfg.Bytes), "bytes", "`SIZE` of a message (100) or a transfer (256MiB)")
	flags.DurationVar(&cfg.Timeout, "timeout", 0, "give an answer `DURATION` (10s)")
	flags.IntVar(&cfg.Sources, "sources", 0, "connect from `N` loopback addresses (16)")
	flags.Uint64Var(&cfg.Seed, "seed", 0, "choose names by this `NUMBER`")
	modes := []string{"hello", "handshake", "roundtrip", "download", "upload", "idle"}
	_ = cmd.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions(modes, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// tellLoad prints a report. A connection that failed fails the command.
func tellLoad(cmd *cobra.Command, report *bench.LoadReport, asJSON bool) error {
	write := report.WriteText
	if asJSON {
		write = report.WriteJSON
	}
	if err := write(cmd.OutOrStdout()); err != nil {
		return err
	}
	if report.Failed > 0 {
		return fmt.Errorf("%d of %s failed", report.Failed, count(report.Started, "connection"))
	}
	return nil
}
