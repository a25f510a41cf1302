package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// MaxSize is the largest file that is read, in bytes: ten times what 100 000 routes need, and small enough that a
// mistaken path (a disk image, a log) costs no memory worth mentioning.
const MaxSize = 64 << 20

// start is where a mistake stands that is about a whole text.
var start = At{Line: 1, Col: 1}

// Mistake is one thing that is wrong, and where.
type Mistake struct {
	At
	Msg  string
	Hint string // "" where there is nothing to suggest
	Err  error  // of the system, about a file that the text names; nil for most
}

// source is what is known of a text before it is read.
type source struct {
	number int32    // of the text, for places
	noun   string   // "the file"; for messages
	told   []string // keys that may be absent because whoever sent the text has said them elsewhere
}

const theFile = "the file"

// Read reads a file strictly. It returns every mistake that it can see at once; the File holds what could be
// read, and is nil when the bytes are not YAML or the mistakes or aliases too many.
func Read(data []byte) (*File, []Mistake) {
	f, _, mistakes := read[File](data, source{noun: theFile})
	return f, mistakes
}

// ReadRoute reads one route, which need not say its name, as [Read] reads a file. The number of the text comes back
// in all places.
func ReadRoute(data []byte, text int) (*Route, []Mistake) {
	r, _, mistakes := read[Route](data, source{int32(text), "the route", []string{"name"}})
	return r, mistakes
}

// ReadPool reads one pool, which need not say its name, as [ReadRoute] reads a route.
func ReadPool(data []byte, text int) (*Pool, []Mistake) {
	p, _, mistakes := read[Pool](data, source{int32(text), "the pool", []string{"name"}})
	return p, mistakes
}

// read reads a T, and returns the root of its nodes too. Both are nil where nothing could be made of the bytes.
func read[T any](data []byte, from source) (*T, *yaml.Node, []Mistake) {
	if m := checkBytes(data, from.noun); m != nil {
		m.Text = from.number
		return nil, nil, []Mistake{*m}
	}
	root, m := parse(data, from.noun)
	if m != nil {
		m.Text = from.number
		return nil, nil, []Mistake{*m}
	}
	d := &decoder{source: from}
	v := new(T)
	d.value(reflect.ValueOf(v).Elem(), root, root, nil)
	if len(d.mistakes) > maxMistakes || d.overrun {
		return nil, nil, d.mistakes // reading ended there
	}
	return v, root, d.mistakes
}

// checkBytes refuses what is not plain UTF-8 text, so that YAML and this package count lines and columns alike: the
// YAML library would read UTF-16 too, and break lines at U+0085, U+2028, U+2029 and a lone carriage return.
func checkBytes(data []byte, noun string) *Mistake {
	if len(data) > MaxSize {
		return &Mistake{At: start, Msg: fmt.Sprintf("%s is larger than %d MiB", noun, MaxSize>>20), Hint: "is this the right file?"}
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return &Mistake{At: start, Msg: noun + " is UTF-16", Hint: "save it as UTF-8"}
	}
	at := start
	for i := 0; i < len(data); {
		c := data[i]
		if c >= ' ' && c < 0x7f || c == '\t' {
			at.Col++
			i++
			continue
		}
		if c == '\n' {
			at = At{Line: at.Line + 1, Col: 1}
			i++
			continue
		}
		r, n := utf8.DecodeRune(data[i:])
		if msg, hint := badRune(r, n, i, data); msg != "" {
			return &Mistake{At: at, Msg: msg, Hint: hint}
		}
		if i > 0 || r != '\ufeff' { // YAML does not count the byte order mark as a column either
			at.Col++
		}
		i += n
	}
	return nil
}

// badRune says what is wrong with the rune r of n bytes at data[i], if anything.
func badRune(r rune, n, i int, data []byte) (msg, hint string) {
	switch {
	case r == utf8.RuneError && n == 1:
		return fmt.Sprintf("the byte 0x%02x is not UTF-8", data[i]), "save the file as UTF-8"
	case r == 0:
		return "a NUL byte", "is this a text file, saved as UTF-8?"
	case r == '\r' && (i+1 == len(data) || data[i+1] != '\n'):
		return "a carriage return without a line feed", "end lines with a line feed"
	case r == '\r':
		return "", ""
	case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029':
		return fmt.Sprintf("the control character U+%04X", r), "remove it, or write it as an escape in double quotes"
	case r == '\ufeff' && i > 0:
		return "a byte order mark inside the file", "remove it"
	case r == 0xfffe || r == 0xffff:
		return fmt.Sprintf("the code point U+%04X, which is no character", r), "remove it"
	}
	return "", ""
}

// parse returns the root node of the one document in data.
func parse(data []byte, noun string) (*yaml.Node, *Mistake) {
	l, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		return nil, yamlMistake(err, data)
	}
	var doc, next yaml.Node
	if err := l.Load(&doc); errors.Is(err, io.EOF) {
		return nil, empty(noun)
	} else if err != nil {
		return nil, yamlMistake(err, data)
	}
	if err := l.Load(&next); err == nil {
		at := At{Line: int32(max(next.Line, 1)), Col: int32(max(next.Column, 1))}
		return nil, &Mistake{At: at, Msg: "a second document", Hint: strings.Replace(noun, "the ", "a ", 1) + ` is one document: remove "---"`}
	} else if !errors.Is(err, io.EOF) {
		return nil, yamlMistake(err, data)
	}
	root := &doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		root = doc.Content[0]
	}
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" && root.Style&yaml.TaggedStyle == 0 {
		return nil, empty(noun) // "---" alone, too, whose nothing has a place behind the last line
	}
	return root, nil
}

func empty(noun string) *Mistake {
	hint := "send its keys as YAML or JSON"
	if noun == theFile {
		hint = `a file needs at least "listeners"`
	}
	return &Mistake{At: start, Msg: noun + " is empty", Hint: hint}
}

// yamlMistake gives an error of the YAML library the form of ours.
func yamlMistake(err error, data []byte) *Mistake {
	var all *yaml.LoadErrors
	if errors.As(err, &all) && len(all.Errors) > 0 {
		err = all.Errors[0]
	}
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		return &Mistake{At: start, Msg: "not YAML: " + err.Error()}
	}
	mark, last := e.Mark, lastPlace(data)
	if e.ContextMark.Line > 0 && (strings.Contains(e.Message, "end of stream") || mark.Line > int(last.Line)) {
		mark = e.ContextMark // where it began is of more use than the end of the file
	}
	msg := e.Message
	if e.ContextMsg != "" {
		msg = e.ContextMsg + ": " + msg
		if e.ContextMark.Line > 0 && e.ContextMark.Line != e.Mark.Line && mark == e.Mark {
			msg = fmt.Sprintf("%s of line %d: %s", e.ContextMsg, e.ContextMark.Line, e.Message)
		}
	}
	at := At{Line: int32(max(mark.Line, 1)), Col: int32(max(mark.Column, 1))}
	if at.Line > last.Line {
		at = last
	}
	return &Mistake{At: at, Msg: "not YAML: " + msg, Hint: yamlHint(e, at, data)}
}

// lastPlace is the place of the last character of data, line feeds aside.
func lastPlace(data []byte) At {
	text := bytes.TrimRight(data, "\r\n")
	line := text[bytes.LastIndexByte(text, '\n')+1:]
	return At{Line: int32(bytes.Count(text, []byte("\n")) + 1), Col: int32(max(utf8.RuneCount(line), 1))}
}

// yamlHint suggests what is usually behind a message of the YAML library.
func yamlHint(e *yaml.LoadError, at At, data []byte) string {
	lines := bytes.SplitN(data, []byte("\n"), int(at.Line)+1)
	line := ""
	if int(at.Line) <= len(lines) {
		line = string(lines[at.Line-1])
	}
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	switch {
	case strings.Contains(e.Message, "invalid Unicode character escape"):
		return "write the character itself, in UTF-8: YAML reads no \\u surrogates"
	case strings.Contains(indent, "\t"), strings.Contains(e.Message, "tab character"):
		return "indent with spaces: YAML allows no tabs there"
	case strings.Contains(e.Message, "cannot start any token"):
		return "put the value in quotes"
	case strings.Contains(e.Message, "mapping values are not allowed"):
		return `check the indentation; a value with ": " in it needs quotes`
	case strings.Contains(e.Message, "unknown anchor"):
		return `a value that starts with "*" needs quotes`
	case strings.Contains(e.Message, "end of stream"):
		return "is a closing quote or bracket missing?"
	case strings.Contains(e.Message, "did not find expected"):
		return "check the indentation, and for a missing quote, comma or bracket"
	}
	return ""
}
