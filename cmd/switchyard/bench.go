package main

import (
	"context"
	"fmt"
	"net/netip"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/bench"
)

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a balancer from outside",
		Long: `Make load for a TLS balancer, be the backend behind it, or compare Switchyard with
HAProxy and nginx on this machine. docs/benchmarks.md says what is measured and how.`,
		Example: `  switchyard bench compare --rounds 3 --case connection
  switchyard bench backend --listen 127.0.0.1:9101`,
	}
	needsSubcommand(cmd)
	cmd.AddCommand(newBenchLoad(), newBenchBackend(), newBenchCompare(), newBenchChild())
	return cmd
}

// untilSignal is a context that ends when the user has had enough.
func untilSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
}

// newBenchChild is for Compare alone, which starts the program again as generator and backend.
func newBenchChild() *cobra.Command {
	return &cobra.Command{
		Use:    "child",
		Short:  "Obey one order on standard input",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := untilSignal()
			defer stop()
			return bench.Child(ctx, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

func newBenchBackend() *cobra.Command {
	var listen []string
	var cfg bench.BackendConfig
	cmd := &cobra.Command{
		Use:   "backend",
		Short: "Be the backend that the load expects",
		Long: `Answer the hellos of bench load, on one address for each pool, until Ctrl-C. The answer
says at which address a connection arrived, and proves that the hello came whole. The
flags that hurt are for watching what a balancer does then.`,
		Example: `  switchyard bench backend --listen 127.0.0.1:9101,127.0.0.1:9102
  switchyard bench backend --listen 127.0.0.1:9101 --tls --delay 5ms --fail-every 100`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Listen, err = parseAddrs("--listen", listen); err != nil {
				return err
			}
			cfg.OnListen = func(addrs []netip.AddrPort) {
				for i, addr := range addrs {
					fmt.Fprintf(cmd.ErrOrStderr(), "switchyard: pool %d on %s\n", i, addr)
				}
			}
			ctx, stop := untilSignal()
			defer stop()
			return bench.RunBackend(ctx, cfg)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&listen, "listen", []string{"127.0.0.1:0"}, "`ADDRESSES`, one for each pool")
	flags.BoolVar(&cfg.TLS, "tls", false, "complete handshakes, with a certificate made for any name")
	flags.DurationVar(&cfg.Delay, "delay", 0, "wait `DURATION` before each answer")
	flags.IntVar(&cfg.FailEvery, "fail-every", 0, "reset each `N`th connection instead of answering")
	flags.DurationVar(&cfg.StallFor, "stall", 0, "stop for `DURATION` once")
	flags.IntVar(&cfg.StallAfter, "stall-after", 0, "stop when `N` connections were accepted")
	return cmd
}

func parseAddrs(flag string, words []string) ([]netip.AddrPort, error) {
	addrs := make([]netip.AddrPort, len(words))
	for i, word := range words {
		addr, err := netip.ParseAddrPort(word)
		if err != nil {
			return nil, usageError("an IP address with a port, such as 127.0.0.1:8443", "%s: %w", flag, err)
		}
		addrs[i] = addr
	}
	return addrs, nil
}
