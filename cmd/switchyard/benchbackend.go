package main

import (
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/bench"
)

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
  switchyard bench backend --listen 127.0.0.1:9101 --tls --key rsa --delay 5ms --fail-every 100`,
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
	flags.StringVar(&cfg.Key, "key", "ecdsa", "with --tls, `KIND` of the certificate's key: ecdsa (P-256) or rsa (2048 bits)")
	flags.DurationVar(&cfg.Delay, "delay", 0, "wait `DURATION` before each answer")
	flags.IntVar(&cfg.FailEvery, "fail-every", 0, "reset each `N`th connection instead of answering")
	flags.DurationVar(&cfg.StallFor, "stall", 0, "stop for `DURATION` once")
	flags.IntVar(&cfg.StallAfter, "stall-after", 0, "stop when `N` connections were accepted")
	_ = cmd.RegisterFlagCompletionFunc("key", cobra.FixedCompletions([]string{"ecdsa", "rsa"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}
