package manual

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Roff returns the man page of cmd (man(7)).
func Roff(cmd *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"%s\" \"Switchyard manual\"\n", quote(strings.ToUpper(PageName(cmd))), escape(cmd.Root().Name()))
	b.WriteString(".nh\n.ad l\n") // commands and addresses are not to be hyphenated or stretched
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", escape(PageName(cmd)), escape(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", escape(synopsis(cmd)))
	b.WriteString(".SH DESCRIPTION\n")
	writeParagraphs(&b, description(cmd))
	writeCommands(&b, cmd)
	writeFlags(&b, cmd)
	if cmd.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", lines(unindent(cmd.Example)))
	}
	writeSeeAlso(&b, cmd)
	return b.Bytes()
}

// writeParagraphs writes text: an empty line ends a paragraph, an indented block stays as it is.
func writeParagraphs(b *bytes.Buffer, text string) {
	for i, par := range strings.Split(text, "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if strings.HasPrefix(par, " ") {
			fmt.Fprintf(b, ".nf\n%s\n.fi\n", lines(par))
			continue
		}
		b.WriteString(lines(par) + "\n")
	}
}

func writeCommands(b *bytes.Buffer, cmd *cobra.Command) {
	if !cmd.HasAvailableSubCommands() {
		return
	}
	b.WriteString(".SH COMMANDS\n")
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			fmt.Fprintf(b, ".TP\n.BR %s (1)\n%s\n", escape(PageName(c)), escape(c.Short))
		}
	}
}

func writeFlags(b *bytes.Buffer, cmd *cobra.Command) {
	b.WriteString(".SH OPTIONS\n")
	for _, f := range flags(cmd) {
		form, usage := flagForm(f)
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", escape(form), escape(usage))
	}
	b.WriteString(".TP\n.B \\-h, \\-\\-help\nprint the help of the command\n")
}

func writeSeeAlso(b *bytes.Buffer, cmd *cobra.Command) {
	if !cmd.HasParent() {
		return
	}
	fmt.Fprintf(b, ".SH SEE ALSO\n.BR %s (1)\n", escape(PageName(cmd.Parent())))
}

// lines escapes text line by line. A line that would begin with a control character is protected.
func lines(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		line = escape(strings.TrimRight(line, "\n"))
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			line = `\&` + line
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// escape makes s plain text for roff: '-' would become a hyphen that cannot be copied back into a shell.
var escape = strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace

func quote(s string) string { return `"` + escape(s) + `"` }

// unindent takes off the two spaces that examples have for --help.
func unindent(s string) string {
	return strings.TrimPrefix(strings.ReplaceAll(s, "\n  ", "\n"), "  ")
}
