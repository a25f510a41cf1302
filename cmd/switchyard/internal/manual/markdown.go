package manual

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Markdown returns one page with a section for every command of the tree.
func Markdown(root *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!-- Made from the command tree by `make generate`; not to be edited. -->\n\n# Commands of %s\n", root.Name())
	for _, cmd := range Commands(root) {
		writeSection(&b, cmd)
	}
	return b.Bytes()
}

func writeSection(b *bytes.Buffer, cmd *cobra.Command) {
	fmt.Fprintf(b, "\n## %s\n\n    %s\n\n%s\n", cmd.CommandPath(), synopsis(cmd), prose(description(cmd)))
	if list := flags(cmd); len(list) > 0 {
		b.WriteString("\n| flag | what it does |\n|---|---|\n")
		for _, f := range list {
			form, usage := flagForm(f)
			fmt.Fprintf(b, "| `%s` | %s |\n", form, cell.Replace(usage))
		}
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteByte('\n')
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() && c.Name() != "help" {
				fmt.Fprintf(b, "- [%s](#%s): %s\n", c.CommandPath(), PageName(c), c.Short)
			}
		}
	}
	if cmd.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", unindent(cmd.Example))
	}
}

// cell keeps a text inside its cell of a table.
var cell = strings.NewReplacer("|", `\|`, "\n", " ")

// prose gives the indented blocks of a text the four spaces that Markdown wants.
func prose(text string) string {
	pars := strings.Split(text, "\n\n")
	for i, par := range pars {
		if strings.HasPrefix(par, "  ") {
			pars[i] = "    " + strings.ReplaceAll(par, "\n", "\n    ")
		}
	}
	return strings.Join(pars, "\n\n")
}
