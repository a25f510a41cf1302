package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// columns is an aligned table. Its error is that of the writer below, which main remembers.
type columns struct{ tab *tabwriter.Writer }

// newColumns writes the heads; without any there is no head line.
func newColumns(w io.Writer, heads ...string) *columns {
	c := &columns{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	if len(heads) > 0 {
		fmt.Fprintln(c.tab, strings.Join(heads, "\t"))
	}
	return c
}

// row adds a line. Text is shown as it may be on a terminal.
func (c *columns) row(cells ...any) {
	for i, cell := range cells {
		if i > 0 {
			fmt.Fprint(c.tab, "\t")
		}
		if s, ok := cell.(string); ok {
			cell = shown(s)
		}
		fmt.Fprint(c.tab, cell)
	}
	fmt.Fprintln(c.tab)
}

func (c *columns) end() { _ = c.tab.Flush() }

// shown is s if it is printable ASCII, and s quoted otherwise: names come from files, APIs and clients, and a
// terminal acts on some bytes.
func shown(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= utf8.RuneSelf || s[i] == 0x7f {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}

// some lists at most most of names, and how many there are besides.
func some(names []string, most int) string {
	listed := names[:min(len(names), most)]
	text := make([]string, len(listed))
	for i, n := range listed {
		text[i] = shown(n)
	}
	list := strings.Join(text, ", ")
	if more := len(names) - len(listed); more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

// age is how long something has been there, for people.
func age(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
	case d >= time.Minute:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// when is a moment, for people, where they are.
func when(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// percents writes a share.
func percents(share float64) string { return strconv.FormatFloat(100*share, 'f', 1, 64) + " %" }
