package main

import (
	"context"
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
		Example: `  # three rounds of connections at saturation, against what is installed
  switchyard bench compare --rounds 3 --case hello

  # a backend, and 800 connections a second for it
  switchyard bench backend --listen 127.0.0.1:9101 &
  switchyard bench load 127.0.0.1:9101 --rate 800`,
	}
	needsSubcommand(cmd)
	cmd.AddCommand(newBenchLoad(), newBenchBackend(), newBenchCompare(), newBenchReport(), newBenchSelfCheck(), newBenchChild())
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
