package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newRoot returns the command tree. Each call makes a new one.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "switchyard",
		Short: "Layer-4 load balancer for TLS",
		Long: `Switchyard puts many TLS services on one address. It reads the ClientHello of each
connection without decrypting it, chooses a pool of backends by the server name (and
by ALPN and client address, if asked to), and carries the bytes there untouched.

Exit status: 0 done, 1 failed, 2 bad usage, 3 bad configuration.`,
		Example: `  # three TLS services, the balancer in front of them, and a self-check
  switchyard demo

  # the same with a file of one's own
  switchyard check switchyard.yaml && switchyard run switchyard.yaml

  # a change of it, watched for half a minute and taken back if more connections fail
  switchyard reload --dry-run && switchyard reload --guard 30s`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	needsSubcommand(root)
	root.AddCommand(newRun(), newCheck(), newExplain(), newPeek(), newDemo(), newBench(), newVersion(), newCompletion(), newMan())
	root.AddCommand(newStatus(), newReload(), newRollback(), newRoutes(), newPools(), newCertificates(), newConnections(), newDrain(), newReady(), newTop())
	return root
}

// needsSubcommand makes cmd a mere group: alone it prints its help, and a word it does not know is bad usage.
func needsSubcommand(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		cmd.SuggestionsMinimumDistance = 2
		hint := fmt.Sprintf("%s --help lists the commands", cmd.CommandPath())
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf("did you mean %q?", cmd.CommandPath()+" "+near[0])
		}
		return usageError(hint, "unknown command %q", args[0])
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

// flagError makes what pflag says about a flag bad usage, with the nearest flag that there is.
func flagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	hint := fmt.Sprintf("%s --help lists the flags", cmd.CommandPath())
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if near := nearestFlag(cmd, unknown.GetSpecifiedName()); near != "" {
			hint = fmt.Sprintf("did you mean --%s?", near)
		}
	}
	return usageError(hint, "%w", err)
}

// nearestFlag returns the flag of cmd whose name is at most two edits from name, or "".
func nearestFlag(cmd *cobra.Command, name string) string {
	best, bestDistance := "", 3
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if d := distance(f.Name, name); !f.Hidden && d < bestDistance && d < len(name) {
			best, bestDistance = f.Name, d
		}
	})
	return best
}

// distance is how many letters have to be added, dropped or changed to make b of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// noArgs refuses positional arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError(fmt.Sprintf("see %s --help", cmd.CommandPath()), "%s takes no arguments, got %q", cmd.CommandPath(), args[0])
}

// exactArgs refuses any number of positional arguments but that of names.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == len(names) {
			return nil
		}
		want := strings.Join(names, " ")
		return usageError(fmt.Sprintf("usage: %s %s", cmd.CommandPath(), want), "%s takes %s, got %d arguments", cmd.CommandPath(), want, len(args))
	}
}

// outputFlag is -o: text for people, or JSON.
type outputFlag struct{ format string }

func (o *outputFlag) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&o.format, "output", "o", "text", "output `FORMAT`: text or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

// json reports whether JSON was asked for, and refuses what is neither.
func (o *outputFlag) json() (bool, error) {
	switch o.format {
	case "json":
		return true, nil
	case "text":
		return false, nil
	}
	return false, usageError("it is text or json", "unknown output format %q", o.format)
}
