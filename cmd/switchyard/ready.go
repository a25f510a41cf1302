package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newReady() *cobra.Command {
	var socket socketFlag
	var out outputFlag
	change := backendChange{state: "ready", reset: true}
	cmd := &cobra.Command{
		Use:   "ready BACKEND",
		Short: "Take back what was said of a backend",
		Long: `Take back what drain has said of BACKEND, its weight too, in every pool that has it or in
the one that --pool names: it gets connections again as the file and its checks have it.
With --weight it gets them by that weight instead of the file's.`,
		Example: `  switchyard ready 10.0.0.7:443
  switchyard ready 10.0.0.7:443 --pool web --weight 1`,
		Args:              exactArgs("BACKEND"),
		ValidArgsFunction: socket.completeFirst(backendNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			change.address = args[0]
			if err := change.takeWeight(cmd); err != nil {
				return err
			}
			return change.run(cmd, &socket, &out, func(context.Context, *peer) error { return nil })
		},
	}
	socket.add(cmd)
	out.add(cmd)
	change.add(cmd, &socket)
	return cmd
}
