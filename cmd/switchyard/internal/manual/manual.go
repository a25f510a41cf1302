package manual

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Commands returns root and every command below it that users see, depth first, in the order of their names.
func Commands(root *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{root}
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			all = append(all, Commands(c)...)
		}
	}
	return all
}

// PageName returns the name of the man page of cmd without its section, such as "switchyard-run".
func PageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// synopsis is the command line in general: the path, then what may follow.
func synopsis(cmd *cobra.Command) string {
	switch {
	case cmd.HasAvailableSubCommands():
		return cmd.CommandPath() + " COMMAND"
	case cmd.HasAvailableFlags() && !strings.Contains(cmd.UseLine(), "["):
		return cmd.UseLine() + " [flags]"
	}
	return cmd.UseLine()
}

// description is the long text, or the short one where there is none.
func description(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short + "."
}

// flags returns the flags of cmd alone, sorted, without --help, which every command has.
func flags(cmd *cobra.Command) []*pflag.Flag {
	var list []*pflag.Flag
	cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && f.Name != "help" {
			list = append(list, f)
		}
	})
	return list
}

// flagForm returns how f is written on a command line, and what it does with its default.
func flagForm(f *pflag.Flag) (form, usage string) {
	value, usage := pflag.UnquoteUsage(f)
	form = "--" + f.Name
	if f.Shorthand != "" {
		form = "-" + f.Shorthand + ", " + form
	}
	if value != "" {
		form += " " + value
	}
	switch f.DefValue {
	case "", "false", "0", "[]", "0s":
	default:
		usage += " (default " + f.DefValue + ")"
	}
	return form, usage
}
