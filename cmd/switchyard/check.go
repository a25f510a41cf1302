package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/admin"
	"github.com/seed-23b4a313/switchyard/configs"
	"github.com/seed-23b4a313/switchyard/control"
)

func newCheck() *cobra.Command {
	var config configFlag
	var against againstRunning
	var probe bool
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a configuration file",
		Long: `Read FILE as run would, with the certificates and keys it names, and print every
mistake in it to standard error, in file order, each as file:line:column with the line,
a caret, and where possible what may have been meant. The tests in it are run, and one
that fails is a mistake. What is allowed and yet probably not meant is a warning in the
same form. Nothing is bound or connected to.

With --against-running the running balancer is asked as well: what taking this file would
change, by name, with the changes made at run time on top of it, and which live connections
and names seen lately would go to another pool. Nothing is changed.

With --probe each backend of a pool that has a health check is checked once, from here, and
the result is listed with the day on which the certificate ends. Hosts for which the
certificate of another pool is good, too, are warnings: browsers may send requests for them
to the wrong pool.

Exit status: 0 the file is good, 3 it is not, 1 it could not be read, nobody answered, or a
backend failed its check.`,
		Example: `  switchyard check switchyard.yaml
  switchyard check --probe switchyard.yaml
  switchyard check -c new.yaml --against-running --socket /run/switchyard/admin.sock`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := against.sensible(cmd); err != nil {
				return err
			}
			if probe && against.yes {
				return usageError("one after the other", "--probe is from here, --against-running asks a balancer that runs")
			}
			path, cfg, err := config.load(args)
			if err != nil {
				return err
			}
			warn(cmd.ErrOrStderr(), cfg.Warnings)
			if against.yes {
				return against.ask(cmd, path, cfg)
			}
			fmt.Fprintln(cmd.OutOrStdout(), soundFile(path, cfg))
			if probe {
				return probeBackends(cmd, cfg)
			}
			return nil
		},
	}
	config.add(cmd)
	against.add(cmd)
	cmd.Flags().BoolVar(&probe, "probe", false, "check each backend that has a health check, once")
	return cmd
}

// warn prints warnings in the form that mistakes have.
func warn(w io.Writer, warnings []*configs.Error) {
	for _, warning := range warnings {
		said := *warning
		said.Msg = "warning: " + said.Msg
		fmt.Fprintln(w, said.Error())
	}
}

// soundFile says what is in a file that is good.
func soundFile(path string, cfg *configs.Config) string {
	b := &cfg.Balancer
	return fmt.Sprintf("%s: ok, %s, %s", path, count(len(b.Routes), "route"), count(len(b.Pools), "pool"))
}

// againstRunning is the comparison of a file with what runs.
type againstRunning struct {
	yes    bool
	socket socketFlag
	out    outputFlag
}

func (a *againstRunning) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.yes, "against-running", false, "ask the running balancer what would change")
	a.socket.addPath(cmd)
	a.out.add(cmd)
}

// sensible refuses flags that mean nothing without --against-running.
func (a *againstRunning) sensible(cmd *cobra.Command) error {
	for _, name := range []string{"socket", "output"} {
		if cmd.Flags().Changed(name) && !a.yes {
			return usageError("add it, or leave this out", "--%s is for --against-running", name)
		}
	}
	_, err := a.out.json()
	return err
}

// ask sends the file to the running balancer, and prints what it says.
func (a *againstRunning) ask(cmd *cobra.Command, path string, cfg *configs.Config) error {
	if a.socket.path == "" && cfg.Admin.Socket == "" {
		return withHint(errors.New(path+" names no admin.socket"), "say where the balancer answers: --socket PATH")
	}
	a.socket.config = path
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return err
	}
	call := admin.Call{Method: "POST", Path: admin.Path("check"), Query: url.Values{"name": {path}, "dir": {dir}}, Body: text}
	return ask(cmd, &a.socket, &a.out, call, func(w io.Writer, r *control.Result) {
		r.Warnings = nil // those of the file were told already
		fmt.Fprintln(w, soundFile(path, cfg))
		printResult(w, cmd.ErrOrStderr(), r)
	})
}
