package file

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"
)

// shape is what the decoder has to know of a struct type. It is made once for each type, and not changed.
type shape struct {
	keys     map[string]*key
	order    []*key // as in the struct
	required []*key
	defaults reflect.Value // a struct of the type, with the defaults of absent keys
}

// key is one key of a mapping: a field with its tags.
type key struct {
	name     string
	field    int    // index of the struct field
	bit      uint64 // its own, for sets of keys
	lo, hi   int64  // the range; for a list, of the number of items
	loText   string // as written in the tag; "" for no bound
	hiText   string
	Good     string
	required bool
}

var shapes sync.Map // reflect.Type to *shape

// shapeOf returns the shape of the struct type t. A wrong tag is a mistake in this package and panics.
func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := newShape(t)
	shapes.Store(t, s)
	return s
}

func newShape(t reflect.Type) *shape {
	s := &shape{keys: map[string]*key{}, defaults: reflect.New(t).Elem()}
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("yaml")
		if name == "" {
			continue
		}
		k := &key{name: name, field: i, bit: 1 << len(s.order), Good: f.Tag.Get("good"), required: f.Tag.Get("required") != ""}
		k.setLimits(f)
		s.keys[name] = k
		s.order = append(s.order, k)
		if k.required {
			s.required = append(s.required, k)
		}
		setDefault(s.defaults.Field(i), f.Tag.Get("default"), k)
	}
	return s
}

// setDefault fills v as if the file said text, but at no place. A mapping that is not said takes its own defaults.
func setDefault(v reflect.Value, text string, k *key) {
	if text == "" {
		if _, ok := v.Addr().Interface().(leaf); !ok && v.Kind() == reflect.Struct {
			v.Set(shapeOf(v.Type()).defaults)
		}
		return
	}
	var doc yaml.Node
	if err := yaml.Load([]byte(text), &doc); err != nil {
		panic(fmt.Sprintf("default of %s: %v", k.name, err))
	}
	unplace(&doc)
	d := &decoder{}
	d.value(v, doc.Content[0], doc.Content[0], k)
	if len(d.mistakes) > 0 {
		panic(fmt.Sprintf("default of %s: %v", k.name, d.mistakes))
	}
}

func unplace(n *yaml.Node) {
	n.Line, n.Column = 0, 0
	for _, c := range n.Content {
		unplace(c)
	}
}

// setLimits reads the tags min and max in the unit of the field.
func (k *key) setLimits(f reflect.StructField) {
	k.loText, k.hiText = f.Tag.Get("min"), f.Tag.Get("max")
	k.lo, k.hi = 0, 1<<62
	measure := func(s string) (int64, string, string) { return parseCount(s) }
	if m, ok := reflect.New(f.Type).Interface().(measurer); ok {
		measure = m.measure
	}
	for text, bound := range map[string]*int64{k.loText: &k.lo, k.hiText: &k.hi} {
		if text == "" {
			continue
		}
		n, msg, _ := measure(text)
		if msg != "" {
			panic(fmt.Sprintf("limit of %s: %s", k.name, msg))
		}
		*bound = n
	}
}

func (k *key) within(n int64) bool { return n >= k.lo && n <= k.hi }

// limits says the range as the tags write it.
func (k *key) limits() string {
	switch {
	case k.hiText == "":
		return "at least " + k.loText
	case k.loText == "":
		return "at most " + k.hiText
	}
	return k.loText + " to " + k.hiText
}

// nearestKey suggests what an unknown key may have meant: a key that looks like it, which is then returned too, the
// mapping that has such a key, or else all keys there are.
func (s *shape) nearestKey(name string) (*key, string) {
	if k := s.keys[theirKeys[name]]; k != nil {
		return k, didYouMean(k.name)
	}
	if near := nearest(name, s.names()); near != "" {
		return s.keys[near], didYouMean(near)
	}
	if owners := elsewhere()[name]; len(owners) > 0 {
		return nil, fmt.Sprintf("%q is a key of %s", name, strings.Join(owners, ", "))
	}
	return nil, s.hint()
}

// theirKeys are keys of nginx and HAProxy, and others that mean the same, for which another one of ours would be found.
var theirKeys = map[string]string{
	"ssl_certificate_key": "key", "certificate_key": "key", "private_key": "key", "key_file": "key",
	"ssl_certificate": "cert", "certificate": "cert", "crt": "cert", "cert_file": "cert",
	"ssl_client_certificate": "ca", "ca_file": "ca", "ca-file": "ca", "ssl_crl": "crl", "crl_file": "crl", "crl-file": "crl",
}

// hint lists the keys.
func (s *shape) hint() string { return "keys are " + strings.Join(s.names(), ", ") }

// names returns the keys in the order of the struct.
func (s *shape) names() []string {
	words := make([]string, len(s.order))
	for i, k := range s.order {
		words[i] = k.name
	}
	return words
}

// elsewhere tells for each key in which mappings it may stand.
var elsewhere = sync.OnceValue(func() map[string][]string {
	found := map[string]map[string]bool{}
	for _, k := range Keys() {
		if found[k.Name] == nil {
			found[k.Name] = map[string]bool{}
		}
		parent := "the top level"
		if k.Parent != "" {
			parent = k.Parent
		}
		found[k.Name][parent] = true
	}
	owners := map[string][]string{}
	for name, parents := range found {
		owners[name] = slices.Sorted(maps.Keys(parents))
	}
	return owners
})

// Key is one key of the file, for the reference, the schema and the tests.
type Key struct {
	Parent string // path of the mapping it belongs to: "pools[].health"; "" for the top level
	Name   string
	Struct reflect.Type // the struct of the mapping
	Field  reflect.StructField
}

// Path is where the key stands: "pools[].health.interval".
func (k Key) Path() string {
	if k.Parent == "" {
		return k.Name
	}
	return k.Parent + "." + k.Name
}

// Keys returns all keys in the order of the structs, each mapping before what it contains.
func Keys() []Key { return keysOf(reflect.TypeFor[File](), "") }

func keysOf(t reflect.Type, parent string) (all []Key) {
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("yaml")
		if name == "" {
			continue
		}
		k := Key{Parent: parent, Name: name, Struct: t, Field: f}
		all = append(all, k)
		if elem, mark := Elem(f.Type); elem != nil {
			all = append(all, keysOf(elem, k.Path()+mark)...)
		}
	}
	return all
}

// Elem returns the struct behind a field type, with "[]" if it is the item of a list; nil for a leaf.
func Elem(t reflect.Type) (elem reflect.Type, mark string) {
	if t.Kind() == reflect.Slice {
		t, mark = t.Elem(), "[]"
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.NumField() < 2 || t.Field(1).Tag.Get("yaml") == "" {
		return nil, ""
	}
	return t, mark
}

func structValue[T any](p *T) reflect.Value { return reflect.ValueOf(p).Elem() }
