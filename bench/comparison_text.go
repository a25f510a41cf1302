package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteText writes the tables for a person; configurations are in the JSON and on the page only.
func (c *Comparison) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s\n%s; %d rounds, medians (lowest to highest); less is better\n",
		c.Machine, c.When.Format(time.RFC3339), c.Config.Rounds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range c.Peers {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", p.Name, p.version(), p.Note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, result := range c.Cases {
		if err := result.writeText(w); err != nil {
			return err
		}
	}
	for _, warning := range c.allWarnings() {
		fmt.Fprintf(w, "warning: %s\n", warning)
	}
	return nil
}

func (c *CaseResult) writeText(w io.Writer) error {
	fmt.Fprintf(w, "\n%s, %d names: %s\n", c.Title, c.Names, c.Unit)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, strings.Join(c.heading(), "\t")+"\t")
	for _, r := range c.Rows {
		fmt.Fprintln(t, strings.Join(c.cells(r), "\t")+"\t")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, note := range c.notes() {
		fmt.Fprintf(w, "  %s\n", note)
	}
	return nil
}

// shorten leaves the middle of a long text out.
func shorten(text string) string {
	const head, foot = 30, 30
	lines := strings.Split(text, "\n")
	if len(lines) <= head+foot+1 {
		return text
	}
	lines[head] = fmt.Sprintf("# … %d lines …", len(lines)-head-foot)
	return strings.Join(append(lines[:head+1], lines[len(lines)-foot:]...), "\n")
}
