package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/bench"
)

func newBenchLoad() *cobra.Command {
	var l benchLoad
	cmd := &cobra.Command{
		Use:   "load TARGET...",
		Short: "Make load and report what became of it",
		Long: `Connect to TARGET, the address of a balancer, again and again, each time with a real
ClientHello for one of the names; and report how many connections were answered, how
long it took, and how the others failed. The modes are

  hello       connect, send a hello, take the first bytes of the answer, close
  handshake   complete a full TLS handshake
  resume      resume a session in each handshake
  roundtrip   send small messages to and fro on standing connections
  download, upload, throughput
              move bulk from the backend, to it, or both ways at once
  idle        open --workers connections and hold them
  churn       mix connections that do each of the above, as --mix says

Behind the balancer there has to be bench backend (with --tls for handshake and resume);
with --any-server any TLS server will do for hello, handshake, resume and idle.

With --rate the load is an open loop: connections start (of roundtrip: messages are sent)
when they are due, whether or not earlier ones were answered, and latency counts from
then. Without it, --workers connections are made at a time. Several targets, one for each
pool, measure the backends without a balancer. The exit status is 1 if a connection
failed, or if a figure is worse than --baseline allows.`,
		Example: `  # 800 connections a second, and what they cost the balancer
  switchyard bench load 127.0.0.1:8443 --rate 800 --pid $(pgrep -o switchyard)

  # resumed handshakes of TLS 1.2, hellos in records of 100 bytes
  switchyard bench load 127.0.0.1:8443 --mode resume --tls 1.2 --record-bytes 100

  # the hellos of a capture, a page with charts
  switchyard bench load 127.0.0.1:8443 --replay dump.pcap -o html > load.html`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return nil
			}
			return usageError("usage: "+cmd.UseLine(), "no target")
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return l.run(cmd, args) },
	}
	l.out.add(cmd, "text", "json", "bench", "html")
	l.addFlags(cmd)
	return cmd
}

// benchLoad is the command with its flags.
type benchLoad struct {
	cfg     bench.LoadConfig
	out     reportFlags
	mode    string
	version string
	group   string
	replay  string
	names   string // a file
}

func (l *benchLoad) addFlags(cmd *cobra.Command) {
	flags, cfg := cmd.Flags(), &l.cfg
	flags.StringVar(&l.mode, "mode", string(bench.ModeHello), "what a connection does, one of the `MODES` above")
	flags.StringVar(&cfg.Names, "names", bench.DefaultNames(1000), "server `NAMES`: names and patterns with a range, between commas")
	flags.StringVar(&l.names, "names-from", "", "take the names from `FILE`, one in each line")
	flags.Float64Var(&cfg.Zipf, "zipf", 0, "draw names by Zipf's law with exponent `S` above 1")
	flags.IntVar(&cfg.Pools, "pools", 0, "expect name i in pool i modulo `N`, and count other answers as misrouted")
	flags.BoolVar(&cfg.AnyServer, "any-server", false, "the servers are not bench backend: do not look at their answers")
	flags.StringVar(&l.version, "tls", "", "offer only `VERSION` 1.2 or 1.3")
	flags.StringVar(&l.group, "group", "", "offer only this key exchange: "+strings.Join(keyExchangeNames(), ", ")+" (`GROUP`)")
	flags.StringVar(&l.replay, "replay", "", "send the hellos in `FILE`, in raw bytes, hex, pcap or pcapng, as they are")
	flags.IntVar(&cfg.RecordBytes, "record-bytes", 0, "divide each hello into TLS records with `N` bytes of it")
	flags.IntVar(&cfg.SegmentBytes, "segment-bytes", 0, "send each hello `N` bytes at a time")
	flags.DurationVar(&cfg.SegmentGap, "segment-gap", 0, "wait `DURATION` between these, so that they stay segments")
	flags.Float64Var(&cfg.Rate, "rate", 0, "start `N` connections a second; of roundtrip, messages")
	flags.IntVar(&cfg.Workers, "workers", 0, "at most `N` connections at a time (64; 4 of bulk; 8000 with --rate)")
	flags.IntVar(&cfg.Count, "count", 0, "end after `N` connections")
	flags.DurationVar(&cfg.Duration, "duration", 0, "end after `DURATION` (10s without --count)")
	flags.DurationVar(&cfg.WarmUp, "warm-up", 0, "run for `DURATION` first, uncounted")
	flags.Var((*byteSize)(&cfg.Bytes), "bytes", "`SIZE` of a message (100) or a transfer (256MiB)")
	flags.StringToIntVar(&cfg.Mix, "mix", nil, "`KIND=SHARE,...` of connections in churn ("+mixText()+")")
	flags.DurationVar(&cfg.Timeout, "timeout", 0, "give an answer `DURATION` (10s)")
	flags.IntVar(&cfg.Sources, "sources", 0, "connect from `N` loopback addresses (16)")
	flags.Uint64Var(&cfg.Seed, "seed", 0, "choose names by this `NUMBER`")
	flags.IntVar(&cfg.PID, "pid", 0, "report what the load costs process `PID` and its descendants")
	modes := make([]string, 0, 9)
	for _, m := range bench.Modes() {
		modes = append(modes, string(m))
	}
	_ = cmd.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions(modes, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("tls", cobra.FixedCompletions([]string{"1.2", "1.3"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("group", cobra.FixedCompletions(keyExchangeNames(), cobra.ShellCompDirectiveNoFileComp))
}

func (l *benchLoad) run(cmd *cobra.Command, args []string) error {
	file, err := l.out.check(cmd)
	if err != nil {
		return err
	}
	baseline, err := readBaseline(file, bench.ReadLoadReport)
	if err != nil {
		return err
	}
	if err := l.configure(args); err != nil {
		return err
	}
	tell, clearLine := progressLine(cmd.ErrOrStderr(), nil)
	l.cfg.Progress = tell
	ctx, stop := untilSignal()
	defer stop()
	report, err := bench.RunLoad(ctx, l.cfg)
	clearLine()
	if err != nil {
		return err
	}
	return l.tell(cmd, report, baseline)
}

// configure turns words into the values of the load.
func (l *benchLoad) configure(args []string) (err error) {
	l.cfg.Mode = bench.Mode(l.mode)
	if l.cfg.Targets, err = parseAddrs("TARGET", args); err != nil {
		return err
	}
	if l.cfg.TLSVersion, err = parseVersion(l.version); err != nil {
		return err
	}
	if l.cfg.Group, err = parseGroup(l.group); err != nil {
		return err
	}
	if l.names != "" {
		if l.cfg.Names, err = namesIn(l.names); err != nil {
			return err
		}
	}
	if l.replay != "" {
		l.cfg.Replay, err = recordedHellos(l.replay)
	}
	return err
}

// tell prints a report. A connection that failed fails the command, as does a regression.
func (l *benchLoad) tell(cmd *cobra.Command, report, baseline *bench.LoadReport) error {
	if err := l.out.write(cmd.OutOrStdout(), loadWriters(report)); err != nil {
		return err
	}
	var worse, failed error
	if baseline != nil {
		worse = l.out.judge(cmd.ErrOrStderr(), report.Since(baseline))
	}
	if report.Failed > 0 {
		failed = fmt.Errorf("%d of %s failed", report.Failed, count(report.Started, "connection"))
	}
	return errors.Join(failed, worse)
}

func parseVersion(word string) (uint16, error) {
	switch word {
	case "":
		return 0, nil
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, usageError("it is 1.2 or 1.3", "unknown TLS version %q", word)
}

// keyExchanges are the key exchanges that crypto/tls can be held to.
var keyExchanges = map[string]tls.CurveID{
	"x25519": tls.X25519, "p256": tls.CurveP256, "p384": tls.CurveP384, "p521": tls.CurveP521, "x25519mlkem768": tls.X25519MLKEM768,
}

func keyExchangeNames() []string { return slices.Sorted(maps.Keys(keyExchanges)) }

func parseGroup(word string) (tls.CurveID, error) {
	id, ok := keyExchanges[strings.ToLower(word)]
	if !ok && word != "" {
		return 0, usageError("it is one of "+strings.Join(keyExchangeNames(), ", "), "unknown key exchange %q", word)
	}
	return id, nil
}

// mixText is the default mix as one would type it, the largest share first.
func mixText() string {
	mix := bench.DefaultMix()
	kinds := slices.SortedFunc(maps.Keys(mix), func(a, b string) int {
		if mix[a] != mix[b] {
			return mix[b] - mix[a]
		}
		return strings.Compare(a, b)
	})
	var words []string
	for _, kind := range kinds {
		words = append(words, fmt.Sprintf("%s=%d", kind, mix[kind]))
	}
	return strings.Join(words, ",")
}
