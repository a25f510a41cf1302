package bench

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes the tables for a page such as docs/benchmarks.md: first what stands behind the rows, then a line
// for each case and size, then every case with all its rows.
func (c *Comparison) WriteMarkdown(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%s. Measured on %s, %d rounds.\n\n", c.Machine, c.When.Format("2 January 2006"), c.Config.Rounds)
	table(b, []string{"row", "version", "configuration"}, c.peerRows())
	fmt.Fprint(b, "\n### All cases\n\n")
	table(b, []string{"case", "names", "unit", "HAProxy", "nginx", "Switchyard", "to the better"}, c.summary())
	for i, result := range c.Cases {
		if i == 0 || c.Cases[i-1].Key != result.Key {
			fmt.Fprintf(b, "\n### %s: %s\n\n", result.Key, result.Title)
			fmt.Fprintf(b, "%s; less is better.\n\n", result.Unit)
			table(b, append([]string{"names", "row"}, result.heading()[1:]...), c.caseRows(result.Key))
			for _, note := range c.caseNotes(result.Key) {
				fmt.Fprintf(b, "\n- %s", note)
			}
			fmt.Fprintln(b)
		}
	}
	for _, warning := range c.allWarnings() {
		fmt.Fprintf(b, "\n> %s\n", warning)
	}
	return b.Flush()
}

// table writes a table of Markdown. Rows may be short.
func table(w io.Writer, heading []string, rows [][]string) {
	line := func(cells []string) {
		for range len(heading) - len(cells) {
			cells = append(cells, "")
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
	line(heading)
	fmt.Fprintf(w, "|%s\n", strings.Repeat("---|", len(heading)))
	for _, cells := range rows {
		line(cells)
	}
}

func (c *Comparison) peerRows() (rows [][]string) {
	for _, p := range c.Peers {
		rows = append(rows, []string{p.Name, p.version(), p.Note})
	}
	return rows
}

// summary has a line for each case and size: the plain rows beside each other.
func (c *Comparison) summary() (rows [][]string) {
	for _, result := range c.Cases {
		line := []string{result.Key, fmt.Sprint(result.Names), result.Unit}
		for _, family := range []string{familyHAProxy, familyNginx, familyOurs} {
			line = append(line, c.medianOf(result, family))
		}
		if ours := c.row(result.Key, result.Names, familyOurs); ours != nil {
			line = append(line, ratio(ours.Ratio))
		}
		rows = append(rows, line)
	}
	return rows
}

func (c *Comparison) medianOf(result *CaseResult, peer string) string {
	row := c.row(result.Key, result.Names, peer)
	if row == nil || len(row.Rounds) == 0 {
		return ""
	}
	return number(row.Value.Median)
}

// caseRows are the rows of a case at all sizes.
func (c *Comparison) caseRows(key string) (rows [][]string) {
	for _, result := range c.Cases {
		if result.Key != key {
			continue
		}
		for _, r := range result.Rows {
			rows = append(rows, append([]string{fmt.Sprint(result.Names)}, result.cells(r)...))
		}
	}
	return rows
}

func (c *Comparison) caseNotes(key string) (notes []string) {
	for _, result := range c.Cases {
		if result.Key != key {
			continue
		}
		for _, note := range result.notes() {
			notes = append(notes, fmt.Sprintf("%d names: %s", result.Names, note))
		}
	}
	return notes
}
