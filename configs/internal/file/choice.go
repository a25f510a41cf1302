package file

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Choice is one of a few words; W says which, and what they stand for.
type Choice[T any, W Words[T]] struct {
	At
	V T
}

// Words are the spellings of a Choice. A type may also have a method Hint(word string) string for words that are
// often written and not among them.
type Words[T any] interface{ Options() []Option[T] }

// Option is one word and what it stands for.
type Option[T any] struct {
	Word string
	V    T
}

func (c *Choice[T, W]) decode(d *decoder, n *yaml.Node, _ *key) {
	if n.Kind == yaml.ScalarNode && n.Tag != "!!str" && !slices.Contains(c.Words(), n.Value) { // quotes would not make it one
		hint := c.hint(n.Value)
		if hint == "" {
			hint = "it is one of " + strings.Join(c.Words(), ", ")
		}
		d.add(d.place(n), hint, "%s must be text, not %s", d.here(), describe(n))
		return
	}
	s, ok := d.text(n)
	if !ok {
		return
	}
	var w W
	for _, o := range w.Options() {
		if o.Word == s {
			c.At, c.V = d.place(n), o.V
			return
		}
	}
	words, hint := c.Words(), c.hint(s)
	if hint == "" {
		hint = Nearest(s, words)
	}
	d.add(d.place(n), hint, "%s: %s is not one of %s", d.here(), quote(s), strings.Join(words, ", "))
}

// hint is what the type of the words knows of a word that is not among them.
func (c *Choice[T, W]) hint(word string) string {
	var w W
	if h, ok := any(w).(interface{ Hint(string) string }); ok {
		return h.Hint(word)
	}
	return ""
}

// Words returns the words in the order of the documentation.
func (c *Choice[T, W]) Words() []string {
	var w W
	var words []string
	for _, o := range w.Options() {
		words = append(words, o.Word)
	}
	return words
}

func (c Choice[T, W]) String() string { return fmt.Sprint(c.V) }
