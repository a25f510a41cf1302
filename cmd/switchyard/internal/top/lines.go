package top

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/seed-23b4a313/switchyard/admin"
)

// Line is one line of the screen.
type Line struct {
	Text string // printable ASCII, not wider than was asked for
	Head bool   // to be shown so that it stands out
}

// Lines are the whole screen, at most height lines of at most width characters; 0 means no bound. Where not everything
// fits, each table gets its share, and scrolls.
func (v *View) Lines(width, height int) []Line {
	d := &drawing{width: width}
	if v.now == nil {
		d.line("waiting for the first answer")
		return d.fit(height)
	}
	v.head(d)
	grids := v.grids()
	rows := everyRow(grids)
	if height > 0 {
		rows = share(rows, height-len(d.lines)-numTables*tableFrame-1, v.focus)
	}
	for i := range grids {
		v.table(d, i, &grids[i], rows[i])
	}
	if height > 0 {
		d.line("q quit  p pause  s sort  Tab next table  arrows scroll")
	}
	return d.fit(height)
}

// tableFrame is how many lines a table takes besides its rows: an empty one, its title, its heads.
const tableFrame = 3

// everyRow is how many rows the tables have.
func everyRow(grids [numTables]grid) (rows [numTables]int) {
	for i := range grids {
		rows[i] = len(grids[i].rows)
	}
	return rows
}

// share divides room lines among tables that need so many: round after round each gets one more until it has enough,
// the one at first before the others.
func share(need [numTables]int, room, first int) (rows [numTables]int) {
	for more := true; more; {
		more = false
		for k := range rows {
			i := (first + k) % numTables
			if rows[i] < need[i] && room > 0 {
				rows[i]++
				room--
				more = true
			}
		}
	}
	return rows
}

// drawing is a screen in the making.
type drawing struct {
	width int
	lines []Line
}

func (d *drawing) line(format string, args ...any) {
	d.lines = append(d.lines, Line{Text: cut(fmt.Sprintf(format, args...), d.width)})
}

// fit drops what is below the last line.
func (d *drawing) fit(height int) []Line {
	if height > 0 && len(d.lines) > height {
		return d.lines[:height]
	}
	return d.lines
}

// head writes the lines above the tables.
func (v *View) head(d *drawing) {
	s := &v.now.Status
	d.line("%sswitchyard %s  %s  up %s%s  %s", v.mood(), text(s.Version), text(s.State), span(s.UptimeSeconds), v.revision(),
		v.now.At.Local().Format("15:04:05"))
	d.lines[0].Head = true
	now, before := totalsOf(v.now), totalsOf(v.before)
	d.line("connections  %s/s accepted  %d open of %d  %s/s in  %s/s out",
		number(v.rate(now.accepted, before.accepted)), s.Active, s.Limit, admin.FormatBytes(v.rate(now.bytesIn, before.bytesIn)), admin.FormatBytes(v.rate(now.bytesOut, before.bytesOut)))
	var was Sample
	if v.before != nil {
		was = *v.before
	}
	b := &was.Status
	d.line("attempts     %s/s begun  %s/s not connected  %s/s not answered", number(v.rate(s.Attempts, b.Attempts)),
		number(v.rate(s.ConnectFailures, b.ConnectFailures)), number(v.rate(s.AnswerFailures, b.AnswerFailures)))
	var ended []string
	for _, c := range v.causes(&now, &before) {
		ended = append(ended, fmt.Sprintf("%s/s %s (%d)", number(c.rate), text(c.cause), c.total))
	}
	if len(ended) == 0 {
		ended = []string{"none yet"}
	}
	d.line("ended        %s", strings.Join(ended, "  "))
}

// revision says what is in force.
func (v *View) revision() string {
	c := v.now.Status.Config
	if c == nil {
		return ""
	}
	s := fmt.Sprintf("  revision %d", c.Revision)
	if n := len(c.Overlay); n > 0 {
		s += fmt.Sprintf(" +%d at run time", n)
	}
	if c.Guard != nil && c.Guard.State == "watching" {
		s += " guarded"
	}
	if !c.LastReload.OK {
		s += " last reload REFUSED"
	}
	return s
}

// mood says why the screen may be old. It comes first: the end of a line may be cut.
func (v *View) mood() string {
	switch {
	case v.trouble != "":
		return "NO ANSWER (" + text(v.trouble) + ")  "
	case v.paused:
		return "PAUSED  "
	}
	return ""
}

// table writes one table with so many of its rows, from where it is scrolled to.
func (v *View) table(d *drawing, i int, g *grid, rows int) {
	t := &v.tables[i]
	t.scroll = min(t.scroll, len(g.rows)-rows)
	t.scroll = max(t.scroll, 0)
	mark := " "
	if i == v.focus {
		mark = ">"
	}
	title := fmt.Sprintf("%s%s by %s", mark, g.title, v.order(i))
	switch {
	case rows == 0 && len(g.rows) > 0:
		title += fmt.Sprintf("  (%d, and no room)", len(g.rows))
	case len(g.rows) > rows:
		title += fmt.Sprintf("  (%d to %d of %d)", min(t.scroll+1, len(g.rows)), t.scroll+rows, len(g.rows))
	}
	d.line("")
	d.line("%s", title)
	d.lines[len(d.lines)-1].Head = true
	shown := append([][]string{g.heads}, g.rows[t.scroll:t.scroll+rows]...)
	for _, row := range align(shown, g.left) {
		d.line("%s", row)
	}
}

// align pads cells to columns; text to the left, numbers to the right.
func align(rows [][]string, left int) []string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	out := make([]string, len(rows))
	for k, row := range rows {
		var b strings.Builder
		b.WriteString(" ")
		for i, cell := range row {
			if i < left {
				fmt.Fprintf(&b, " %-*s", widths[i], cell)
			} else {
				fmt.Fprintf(&b, "  %*s", widths[i], cell)
			}
		}
		out[k] = strings.TrimRight(b.String(), " ")
	}
	return out
}

// cut shortens s to width characters; 0 means no bound. s is ASCII.
func cut(s string, width int) string {
	if width > 0 && len(s) > width {
		return s[:width]
	}
	return s
}

// longestText is how much of one name is shown: a name of 253 bytes would push everything else off the screen.
const longestText = 60

// text is s as it may be on a terminal: quoted unless it is printable ASCII, and not long.
func text(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= utf8.RuneSelf || s[i] == 0x7f {
			s = fmt.Sprintf("%+q", s)
			break
		}
	}
	if len(s) > longestText {
		s = s[:longestText-2] + ".."
	}
	return s
}

// number writes a rate with as many digits as are of use.
func number(f float64) string {
	switch {
	case f == 0:
		return "0"
	case f < 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.0f", f)
}

// span writes seconds as people do.
func span(s float64) string {
	switch n := int(s); {
	case n >= 2*86400:
		return fmt.Sprintf("%dd%dh", n/86400, n/3600%24)
	case n >= 3600:
		return fmt.Sprintf("%dh%dm", n/3600, n/60%60)
	case n >= 60:
		return fmt.Sprintf("%dm%ds", n/60, n%60)
	default:
		return fmt.Sprintf("%ds", n)
	}
}
