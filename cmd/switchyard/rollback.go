package main

import (
	"io"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/admin"
	"github.com/seed-23b4a313/switchyard/control"
)

func newRollback() *cobra.Command {
	var socket socketFlag
	var out outputFlag
	cmd := &cobra.Command{
		Use:   "rollback [REV]",
		Short: "Put an earlier revision of the configuration back",
		Long: `Have the running balancer serve revision REV again, or the one before the present one.
status lists those that it keeps, the last 10. What is put back is what ran then, with
the changes made at run time; it becomes a new revision, so that this can be taken back
too. The file is left as it is: until it is mended, the next reload takes it again. Files
that it names, such as certificates and authorities, are taken as they are now: of these
nothing is kept.

What was said of backends with drain and ready is no part of a revision, and stays.`,
		Example: `  switchyard rollback
  switchyard rollback 12 --socket /run/switchyard/admin.sock`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := atMostOne("REV")(cmd, args); err != nil || len(args) == 0 {
				return err
			}
			if n, err := strconv.ParseUint(args[0], 10, 64); err != nil || n == 0 {
				return usageError("switchyard status lists them", "%q is not the number of a revision", args[0])
			}
			return nil
		},
		ValidArgsFunction: socket.completeFirst(revisionNumbers),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			if len(args) > 0 {
				query.Set("revision", args[0])
			}
			call := admin.Call{Method: "POST", Path: admin.Path("rollback"), Query: query}
			return ask(cmd, &socket, &out, call, func(w io.Writer, r *control.Result) { printResult(w, cmd.ErrOrStderr(), r) })
		},
	}
	socket.add(cmd)
	out.add(cmd)
	return cmd
}
