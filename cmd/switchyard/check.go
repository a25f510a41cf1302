package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newCheck() *cobra.Command {
	var config configFlag
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a configuration file",
		Long: `Read FILE as run would, with the certificates and keys it names, and print every
mistake in it to standard error, in file order, each as file:line:column with the line,
a caret, and where possible what may have been meant. What is allowed and yet probably
not meant is a warning in the same form. Nothing is bound or connected to.

Exit status: 0 the file is good, 3 it is not, 1 it could not be read.`,
		Example: `  switchyard check switchyard.yaml
  switchyard check -c /etc/switchyard/switchyard.yaml && systemctl restart switchyard`,
		RunE: func(cmd *cobra.Command, args []string) error {
			path, cfg, err := config.load(args)
			if err != nil {
				return err
			}
			for _, warning := range cfg.Warnings {
				said := *warning
				said.Msg = "warning: " + said.Msg
				fmt.Fprintln(cmd.ErrOrStderr(), said.Error())
			}
			b := &cfg.Balancer
			fmt.Fprintf(cmd.OutOrStdout(), "%s: ok, %s, %s\n", path, count(len(b.Routes), "route"), count(len(b.Pools), "pool"))
			return nil
		},
	}
	config.add(cmd)
	return cmd
}
