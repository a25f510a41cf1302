package file

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxAliased bounds the values that are read through aliases, so that a small file cannot stand for a huge one.
const maxAliased = 1 << 18

// maxMistakes bounds the list: nobody reads on, and a file of the wrong kind could have millions.
const maxMistakes = 1000

// At is a place in a text: line and column from 1, the column in characters. The zero At is no place: the value is a
// default.
type At struct {
	Line, Col int32
	Text      int32 // as given to the function that read it; 0 for the file
}

// IsSet reports whether the value stands in a text.
func (a At) IsSet() bool { return a.Line > 0 }

// Place returns a itself, for whatever embeds it.
func (a At) Place() At { return a }

// Mapping is what every mapping of the file knows of itself: where it is, and which keys it has, those that could
// not be read included. The place is that of its key, where an operator looks first.
type Mapping struct {
	At
	shape *shape
	seen  uint64 // bits of keys, and odd
}

// odd is the bit of all keys that are unknown.
const odd = 1 << 63

// Has reports whether the mapping has the key, be its value sound or not.
func (m *Mapping) Has(name string) bool { return m.shape != nil && m.seen&m.shape.keys[name].bit != 0 }

// Sound reports whether there is a mapping, and every key of it is known. Where there is not, it was reported, and what
// seems to be missing may be what could not be read.
func (m *Mapping) Sound() bool { return m.shape != nil && m.seen&odd == 0 }

func (m *Mapping) mapping() *Mapping { return m }

// leaf is a value that reads itself from a node. The key holds its range and is nil for an item of a list.
type leaf interface {
	decode(d *decoder, n *yaml.Node, k *key)
}

// nullable is a leaf for which null, or nothing at all, is a value of its own.
type nullable interface{ nullable() }

// decoder walks the nodes and the structs side by side and keeps all mistakes.
type decoder struct {
	source
	path     []segment
	mistakes []Mistake
	aliased  int  // values read through aliases
	inAlias  int  // depth of aliases around the present value
	overrun  bool // maxAliased was reached, and said so
}

// segment is a step into the file: a key, or an index where key is empty.
type segment struct {
	key   string
	index int
}

// place is where a node stands.
func (d *decoder) place(n *yaml.Node) At { return At{int32(n.Line), int32(n.Column), d.number} }

// add notes a mistake at a place.
func (d *decoder) add(at At, hint, format string, args ...any) {
	switch n := len(d.mistakes); {
	case n < maxMistakes:
		d.mistakes = append(d.mistakes, Mistake{At: at, Msg: fmt.Sprintf(format, args...), Hint: hint})
	case n == maxMistakes:
		d.mistakes = append(d.mistakes, Mistake{At: at, Msg: fmt.Sprintf("more than %d mistakes; the rest is not shown", maxMistakes)})
	}
}

// value reads node n into v. A mapping is said to be at the node `at`, its key, where an operator looks first.
func (d *decoder) value(v reflect.Value, n, at *yaml.Node, k *key) {
	if n.Kind == yaml.AliasNode {
		d.alias(v, n, at, k)
		return
	}
	if d.inAlias > 0 {
		d.aliased++
	}
	l, isLeaf := v.Addr().Interface().(leaf)
	if _, nothing := l.(nullable); len(d.mistakes) > maxMistakes || !d.plain(n, nothing) {
		return
	}
	if isLeaf {
		l.decode(d, n, k)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(v.Elem(), n, at, k)
	case reflect.Slice:
		d.sequence(v, n, k)
	default:
		d.mapping(v, n, at)
	}
}

// alias reads what an alias stands for. Only a file has any: a short text gains nothing by them.
func (d *decoder) alias(v reflect.Value, n, at *yaml.Node, k *key) {
	if d.noun != theFile {
		d.add(d.place(n), "write the value out; text that starts with \"*\" needs quotes", "%s: aliases are for files", d.here())
		return
	}
	if d.aliased >= maxAliased || d.inAlias > 16 { // deeper than the structs are: an alias inside its own anchor
		if !d.overrun {
			d.add(d.place(n), "write the values out", "aliases stand for more than %d values", maxAliased)
		}
		d.overrun, d.aliased = true, maxAliased
		return
	}
	d.inAlias++
	d.aliased++
	d.value(v, n.Alias, at, k)
	d.inAlias--
}

// plain refuses what no value may be: something with a tag, or nothing at all unless that means something.
func (d *decoder) plain(n *yaml.Node, nothing bool) bool {
	switch {
	case n.Style&yaml.TaggedStyle != 0:
		d.add(d.place(n), "remove it; quotes make text of a value", "%s: the tag %s is not supported", d.here(), quote(n.Tag))
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null" && !nothing:
		d.add(d.place(n), "remove the key, or give it a value", "%s has no value", d.here())
	default:
		return true
	}
	return false
}

// sequence reads a list.
func (d *decoder) sequence(v reflect.Value, n *yaml.Node, k *key) {
	if n.Kind != yaml.SequenceNode {
		d.add(d.place(n), listHint(n), "%s must be a list, not %s", d.here(), describe(n))
		return
	}
	if k != nil && !k.within(int64(len(n.Content))) {
		d.add(d.place(n), "", "%s has %s; it takes %s", d.here(), plural(len(n.Content), "item"), k.limits())
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		blank(v.Index(i)) // an item that cannot be read is still looked at
		d.path = append(d.path, segment{index: i})
		d.value(v.Index(i), item, item, nil)
		d.path = d.path[:len(d.path)-1]
	}
}

// blank gives a struct the defaults of its keys, if it is a mapping.
func blank(v reflect.Value) {
	if _, ok := v.Addr().Interface().(interface{ mapping() *Mapping }); ok {
		v.Set(shapeOf(v.Type()).defaults)
	}
}

// mapping reads a mapping into the struct v: every key known, none twice, none missing.
func (d *decoder) mapping(v reflect.Value, n, at *yaml.Node) {
	s := shapeOf(v.Type())
	m := d.begin(s, v, at)
	if n.Kind != yaml.MappingNode {
		m.seen |= odd
		d.add(d.place(n), s.hint(), "%s must be a mapping of keys, not %s", d.here(), describe(n))
		return
	}
	var meant uint64 // keys that are there, but misspelt
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, item := n.Content[i], n.Content[i+1]
		k, near := d.known(s, name)
		if near != nil {
			meant |= near.bit
		}
		if k == nil {
			m.seen |= odd
			continue
		}
		if m.seen&k.bit != 0 {
			d.add(d.place(name), "", "%skey %q is repeated; it is already on line %d", d.prefix(), k.name, firstLine(n, k.name))
			continue
		}
		m.seen |= k.bit
		d.path = append(d.path, segment{key: k.name})
		d.value(v.Field(k.field), item, name, k)
		d.path = d.path[:len(d.path)-1]
	}
	d.required(s, m.seen|meant, at)
}

// begin fills v with the defaults, as a mapping at a node.
func (d *decoder) begin(s *shape, v reflect.Value, at *yaml.Node) *Mapping {
	v.Set(s.defaults)
	m := v.Addr().Interface().(interface{ mapping() *Mapping }).mapping()
	m.At, m.shape = d.place(at), s
	return m
}

// short reads a scalar that is short for a mapping with only one key, whose field is `into`.
func (d *decoder) short(v reflect.Value, n *yaml.Node, into leaf) {
	d.begin(shapeOf(v.Type()), v, n)
	into.decode(d, n, nil)
}

// known finds the key that the node name spells, or else the one that it seems to mean.
func (d *decoder) known(s *shape, name *yaml.Node) (k, near *key) {
	switch {
	case name.Kind == yaml.ScalarNode && name.Tag == "!!merge":
		d.add(d.place(name), "write the keys out, or use an alias for a whole value", "%smerge keys (<<) are not supported", d.prefix())
	case name.Kind != yaml.ScalarNode || name.Tag != "!!str" || name.Style&yaml.TaggedStyle != 0:
		d.add(d.place(name), "", "%sa key must be a plain word, not %s", d.prefix(), describe(name))
	default:
		if k := s.keys[name.Value]; k != nil {
			return k, nil
		}
		near, hint := s.nearestKey(name.Value)
		d.add(d.place(name), hint, "unknown key %s %s", quote(name.Value), d.inside())
		return nil, near
	}
	return nil, nil
}

func (d *decoder) required(s *shape, seen uint64, at *yaml.Node) {
	for _, k := range s.required {
		if seen&k.bit == 0 && !(len(d.path) == 0 && slices.Contains(d.told, k.name)) {
			hint := ""
			if k.Good != "" {
				hint = fmt.Sprintf("for example `%s: %s`", k.name, k.Good)
			}
			d.add(d.place(at), hint, "%s needs the key %q", d.whole(), k.name)
		}
	}
}

// here names the value being read by its last key: "bind[0]".
func (d *decoder) here() string {
	i := len(d.path) - 1
	for i > 0 && d.path[i].key == "" {
		i--
	}
	if i < 0 {
		return d.noun
	}
	return join(d.path[i:])
}

// whole names the value being read by its whole path: "pools[0].health".
func (d *decoder) whole() string {
	if len(d.path) == 0 {
		return d.noun
	}
	return join(d.path)
}

// inside says where a key stands: "in pools[0]".
func (d *decoder) inside() string {
	if len(d.path) == 0 && d.noun == theFile {
		return "at the top level"
	}
	return "in " + d.whole()
}

func (d *decoder) prefix() string {
	if len(d.path) == 0 {
		return ""
	}
	return join(d.path) + ": "
}

func join(path []segment) string {
	var b strings.Builder
	for _, s := range path {
		switch {
		case s.key == "":
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		case b.Len() > 0:
			b.WriteString("." + s.key)
		default:
			b.WriteString(s.key)
		}
	}
	return b.String()
}

// firstLine finds the line where a repeated key stood first.
func firstLine(n *yaml.Node, name string) int {
	i := slices.IndexFunc(n.Content, func(c *yaml.Node) bool { return c.Value == name })
	return n.Content[i].Line
}

// describe says what a node is, for "must be X, not …".
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case n.Tag == "!!int" || n.Tag == "!!float":
		return "the number " + n.Value
	case n.Tag == "!!null":
		return "nothing"
	case n.Tag == "!!str":
		return "the text " + quote(n.Value)
	}
	return strings.TrimPrefix(n.Tag, "!!") + " " + n.Value
}

// listHint shows a lone value as the list that was probably meant.
func listHint(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str":
		return fmt.Sprintf("write it as [%s]", quote(n.Value))
	case n.Kind == yaml.MappingNode:
		return `start each item with "- "`
	}
	return ""
}

// How the first and the last line of a key or a certificate in PEM begin.
const (
	pemBegin = "-----BEGIN "
	pemEnd   = "-----END "
)

// quote shows text from the file: escaped, and cut where it is long, and where PEM begins, since that may be a private key.
func quote(s string) string {
	const most = 80
	shown := s
	switch begin := strings.Index(s, pemBegin); {
	case begin >= 0:
		shown = s[:begin+len(pemBegin)]
	case strings.Contains(s, pemEnd):
		shown = "" // the first line is missing: all of it may be of the key
	}
	if r := []rune(shown); len(r) > most {
		shown = string(r[:most])
	}
	if shown != s {
		return strconv.Quote(shown) + "…"
	}
	return strconv.Quote(s)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if n == 0 {
		return "no " + what + "s"
	}
	return strconv.Itoa(n) + " " + what + "s"
}
