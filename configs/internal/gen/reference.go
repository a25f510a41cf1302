package main

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

const head = `<!-- Generated from configs/internal/file by "go generate ./configs". Edit the comments there. -->

# The configuration file

One YAML document in UTF-8. Unknown and repeated keys are mistakes, and so are values of another type: a number where text is
meant needs quotes. All mistakes are reported at once, in the order of the file, each with its line and, where there is one, a
suggestion; a file with a mistake changes nothing. Anchors and aliases may stand for whole values; merge keys (` + "`<<`" + `) and tags
are not supported. ` + "`switchyard check FILE`" + ` reads a file exactly as ` + "`switchyard run`" + ` and a reload do.

An editor that knows JSON schemas completes and checks the file with [switchyard.schema.json](switchyard.schema.json); for the
YAML language server, as the first line:

` + "```yaml" + `
# yaml-language-server: $schema=docs/switchyard.schema.json
` + "```" + `

In the tables, *accepted* and *refused* each show one value; a test holds them against the program.

`

// reference returns the reference page.
func reference(docs comments) []byte {
	var b bytes.Buffer
	b.WriteString(head)
	b.WriteString("## Contents\n\n")
	for _, m := range mappings() {
		fmt.Fprintf(&b, "- [%s](#%s)\n", m.title(), m.anchor())
	}
	b.WriteString("- [Kinds of values](#kinds-of-values)\n\n")
	for _, m := range mappings() {
		m.write(&b, docs)
	}
	b.WriteString("## Kinds of values\n\n")
	for _, l := range leaves {
		fmt.Fprintf(&b, "- **%s**: %s\n", l.name, l.about)
	}
	return b.Bytes()
}

// mapping is one mapping of the file and its keys.
type mapping struct {
	path string // "" for the top level
	of   reflect.Type
	keys []file.Key
}

// mappings returns all mappings, each before those within it.
func mappings() (all []*mapping) {
	byPath := map[string]*mapping{}
	for _, k := range file.Keys() {
		m := byPath[k.Parent]
		if m == nil {
			m = &mapping{path: k.Parent, of: k.Struct}
			byPath[k.Parent] = m
			all = append(all, m)
		}
		m.keys = append(m.keys, k)
	}
	return all
}

func (m *mapping) title() string {
	if m.path == "" {
		return "At the top level"
	}
	return "In `" + m.path + "`"
}

// anchor is what GitHub makes of the title.
func (m *mapping) anchor() string {
	if m.path == "" {
		return "at-the-top-level"
	}
	return anchor(m.path)
}

func anchor(path string) string {
	return "in-" + strings.NewReplacer(".", "", "[", "", "]", "").Replace(path)
}

func (m *mapping) write(b *bytes.Buffer, docs comments) {
	fmt.Fprintf(b, "## %s\n\n", m.title())
	fmt.Fprintf(b, "%s\n\n", docs.of(m.of))
	for _, k := range m.keys {
		writeKey(b, docs, k)
	}
}

func writeKey(b *bytes.Buffer, docs comments, k file.Key) {
	tag := func(name, otherwise string) string {
		if v := k.Field.Tag.Get(name); v != "" {
			return code(v)
		}
		return otherwise
	}
	value := "none"
	if k.Field.Tag.Get("required") != "" {
		value = "required"
	}
	since := k.Field.Tag.Get("since")
	if since == "" {
		since = "0.1"
	}
	fmt.Fprintf(b, "### `%s`\n\n%s\n\n", k.Path(), docs[k.Struct.Name()+"."+k.Field.Name])
	b.WriteString("| Type | Default | Range | Accepted | Refused | Since |\n|---|---|---|---|---|---|\n")
	fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n\n", kind(k), tag("default", value), limits(k), tag("good", ""), tag("bad", ""), since)
}

// kind names the type of a key, and links to where it is described.
func kind(k file.Key) string {
	t, list := k.Field.Type, ""
	if t.Kind() == reflect.Slice {
		t, list = t.Elem(), "list of "
	}
	if l, words, ok := leafOf(t); ok && words != nil {
		return list + l.name
	} else if ok {
		return list + "[" + l.name + "](#kinds-of-values)"
	}
	_, mark := file.Elem(k.Field.Type)
	if list != "" {
		list = "list of "
	}
	return list + "[mapping](#" + anchor(k.Path()+mark) + ")"
}

func limits(k file.Key) string {
	lo, hi := k.Field.Tag.Get("min"), k.Field.Tag.Get("max")
	unit := ""
	if k.Field.Type.Kind() == reflect.Slice {
		unit = " items"
	}
	switch {
	case lo == "" && hi == "":
		return ""
	case hi == "":
		return code(lo) + unit + " or more"
	}
	return code(lo) + " to " + code(hi) + unit
}

// code shows a value in a table.
func code(s string) string { return "`" + strings.ReplaceAll(s, "|", `\|`) + "`" }
