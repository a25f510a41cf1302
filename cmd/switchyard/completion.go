package main

import (
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

// shells are the writers of completion scripts.
var shells = map[string]func(root, cmd *cobra.Command) error{
	"bash":       func(root, cmd *cobra.Command) error { return root.GenBashCompletionV2(cmd.OutOrStdout(), true) },
	"fish":       func(root, cmd *cobra.Command) error { return root.GenFishCompletion(cmd.OutOrStdout(), true) },
	"powershell": func(root, cmd *cobra.Command) error { return root.GenPowerShellCompletionWithDesc(cmd.OutOrStdout()) },
	"zsh":        func(root, cmd *cobra.Command) error { return root.GenZshCompletion(cmd.OutOrStdout()) },
}

// newCompletion takes the place of cobra's own command, which does not say where the scripts belong.
func newCompletion() *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a completion script for a shell",
		Long: `Print a script that makes bash, fish, powershell or zsh complete the commands and flags
of switchyard, names out of the configuration file, and those of routes, pools and backends
out of the running balancer.`,
		Example: `  switchyard completion bash > /etc/bash_completion.d/switchyard
  switchyard completion zsh > "${fpath[1]}/_switchyard"
  switchyard completion fish > ~/.config/fish/completions/switchyard.fish`,
		Args: exactArgs("SHELL"),
		ValidArgsFunction: cobra.FixedCompletions(
			slices.Sorted(maps.Keys(shells)), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			write, ok := shells[args[0]]
			if !ok {
				return usageError("it is bash, fish, powershell or zsh", "no completion for %q", args[0])
			}
			return write(cmd.Root(), cmd)
		},
	}
}
