package configs

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

// Error is one mistake in a file. It is not changed after it was made.
type Error struct {
	File   string
	Line   int    // from 1
	Col    int    // from 1, in characters
	Msg    string // what is wrong
	Source string // the line as it can be shown on a terminal, cut around Col where it is long
	Hint   string // what may have been meant; "" if nothing is known
	// Detail is what led to the mistake, in lines without a last line feed, where one line is not enough: the
	// explanation of a decision that a test did not expect. "" for most.
	Detail string

	caret int   // column in Source, from 1
	err   error // of the system, if there is one
}

// Error returns the whole message: place, what is wrong, the line, a caret below it, the detail, and the hint. It does
// not end in a line feed.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", e.File, e.Line, e.Col, e.Msg)
	if strings.TrimSpace(e.Source) != "" {
		fmt.Fprintf(&b, "\n%s\n%s^", e.Source, indent(e.Source, e.caret-1))
	}
	if e.Detail != "" {
		b.WriteString("\n" + e.Detail)
	}
	if e.Hint != "" {
		b.WriteString("\nhint: " + e.Hint)
	}
	return b.String()
}

// Unwrap returns the error of the system behind e, where a file that the text names could not be read; otherwise nil.
func (e *Error) Unwrap() error { return e.err }

// because is why a file is refused, to be said after its name, with the error that says more.
type because struct {
	why string
	error
}

func (b because) Error() string { return b.why }
func (b because) Unwrap() error { return b.error }

// indent returns blanks as wide as the first n characters of line: tabs stay tabs.
func indent(line string, n int) string {
	var b strings.Builder
	for _, r := range line {
		if n--; n < 0 {
			return b.String()
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String() + strings.Repeat(" ", max(n, 0))
}

// Errors are all mistakes of a file, in file order. As an error value it is never empty.
type Errors []*Error

// Error returns all messages, one after the other.
func (e Errors) Error() string {
	all := make([]string, len(e))
	for i, one := range e {
		all[i] = one.Error()
	}
	return strings.Join(all, "\n")
}

// Unwrap gives the mistakes to errors.As and errors.Is.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

// illustrate puts mistakes in the order of the texts, each with its line. Aliases can bring one about twice; once is
// enough.
func illustrate(texts []text, mistakes []file.Mistake) Errors {
	slices.SortStableFunc(mistakes, func(a, b file.Mistake) int {
		return cmp.Or(cmp.Compare(a.Text, b.Text), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	var all Errors
	v := viewer{texts: texts}
	for _, m := range slices.CompactFunc(mistakes, saysTheSame) {
		all = append(all, v.show(m))
	}
	return all
}

func saysTheSame(a, b file.Mistake) bool { return a.At == b.At && a.Msg == b.Msg && a.Hint == b.Hint }

// viewer shows places of texts. It is quick where one text is asked for again and again.
type viewer struct {
	texts []text
	lines [][]byte // of the text that was asked for last; nil: none was
	of    int32
	keyed bool // that text has a private key in it
}

// show returns the mistake with the line that it is about.
func (v *viewer) show(m file.Mistake) *Error {
	if v.lines == nil || v.of != m.Text {
		v.lines, v.of = v.texts[m.Text].lines(), m.Text
		v.keyed = bytes.Contains(v.texts[m.Text].data, []byte("PRIVATE KEY-----"))
	}
	e := &Error{File: v.texts[m.Text].name, Line: max(int(m.Line), 1), Col: max(int(m.Col), 1), Msg: m.Msg, Hint: m.Hint, err: m.Err}
	if e.Line <= len(v.lines) && !v.texts[m.Text].hidden[m.Line] && !v.secret(v.lines[e.Line-1]) {
		e.Source, e.caret = excerpt(v.lines[e.Line-1], e.Col)
	}
	return e
}

// secret reports whether a line may be of a private key that somebody has pasted into the text, and is not to be shown. Where a
// text has one, that is any line with as much base64 as no name or path of a common length looks like.
func (v *viewer) secret(line []byte) bool {
	if !v.keyed {
		return false
	}
	const most = 24
	run := 0
	for _, c := range line {
		switch {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '+', c == '/', c == '=':
			if run++; run > most {
				return true
			}
		default:
			run = 0
		}
	}
	return false
}

// lines returns the lines of a text; none of UTF-16, which has none to show.
func (t *text) lines() [][]byte {
	if bytes.HasPrefix(t.data, []byte("\xff\xfe")) || bytes.HasPrefix(t.data, []byte("\xfe\xff")) {
		return [][]byte{}
	}
	return bytes.Split(bytes.TrimPrefix(t.data, []byte("\ufeff")), []byte("\n"))
}

// excerpt returns a line as it can be shown, and the column in it that shows col. What could steer a terminal is
// replaced, and what is longer than two lines of a screen is cut on both sides of the column.
func excerpt(line []byte, col int) (string, int) {
	const whole, before, after = 160, 100, 60
	if most := utf8.UTFMax * (col + whole); len(line) > most {
		line = line[:most] // not shown in any case
	}
	runes := []rune(harmless(strings.TrimRight(string(line), "\r")))
	if len(runes) <= whole {
		return string(runes), col
	}
	if end := max(col+after, whole); len(runes) > end {
		runes = append(runes[:end:end], '…')
	}
	if start := min(col-1-before, len(runes)); start > 0 {
		runes = append([]rune{'…'}, runes[start:]...)
		col -= start - 1
	}
	return string(runes), col
}

// harmless replaces what could steer a terminal; tabs stay.
func harmless(line string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, line)
}
