package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/cmd/switchyard/internal/manual"
)

func newMan() *cobra.Command {
	var markdown bool
	cmd := &cobra.Command{
		Use:   "man DIR",
		Short: "Write the man pages",
		Long: `Write one man page per command into DIR, which is made if it is not there:
switchyard.1, switchyard-run.1 and so on. They are made from the same texts as --help.`,
		Example: `  switchyard man /usr/local/share/man/man1
  switchyard man . && man ./switchyard-run.1`,
		Args: exactArgs("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			if markdown {
				return os.WriteFile(args[0], manual.Markdown(root), 0o644)
			}
			return writeMan(root, args[0])
		},
	}
	cmd.Flags().BoolVar(&markdown, "markdown", false, "write one Markdown file instead; DIR is its name")
	return cmd
}

// writeMan writes a page for cmd and for everything below it.
func writeMan(cmd *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, c := range manual.Commands(cmd) {
		name := filepath.Join(dir, manual.PageName(c)+".1")
		if err := os.WriteFile(name, manual.Roff(c), 0o644); err != nil {
			return fmt.Errorf("man page of %q: %w", c.CommandPath(), err)
		}
	}
	return nil
}
