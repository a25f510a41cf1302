package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"

	"github.com/invopop/jsonschema"
	"go.yaml.in/yaml/v4"

	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

// exactlyOne are the mappings that have one of several keys.
var exactlyOne = map[reflect.Type][]string{
	reflect.TypeFor[file.Action](): {"pool", "reject"},
	reflect.TypeFor[file.Route]():  {"pool", "split", "reject"},
	reflect.TypeFor[file.Expect](): {"pool", "reject"},
}

// schemaOf returns the JSON schema of the file, for editors. It is never stricter than the program, which checks more.
func schemaOf(docs comments) ([]byte, error) {
	b := &schemaBuilder{docs: docs, defs: jsonschema.Definitions{}}
	root := b.mapping(reflect.TypeFor[file.File]())
	root.Version = jsonschema.Version
	root.Title = "Switchyard configuration file"
	root.Definitions = b.defs
	if b.err != nil {
		return nil, b.err
	}
	data, err := json.MarshalIndent(root, "", "  ")
	return append(data, '\n'), err
}

type schemaBuilder struct {
	docs comments
	defs jsonschema.Definitions
	err  error
}

// mapping returns the schema of a struct.
func (b *schemaBuilder) mapping(t reflect.Type) *jsonschema.Schema {
	s := &jsonschema.Schema{
		Type: "object", Description: b.docs.of(t),
		Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema,
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("yaml")
		if name == "" {
			continue
		}
		s.Properties.Set(name, b.field(t, f))
		if f.Tag.Get("required") != "" {
			s.Required = append(s.Required, name)
		}
	}
	for _, key := range exactlyOne[t] {
		s.OneOf = append(s.OneOf, &jsonschema.Schema{Required: []string{key}})
	}
	return s
}

// field returns the schema of a key, with its default and range.
func (b *schemaBuilder) field(t reflect.Type, f reflect.StructField) *jsonschema.Schema {
	s := b.value(f.Type)
	s.Description = b.docs[t.Name()+"."+f.Name]
	if text := f.Tag.Get("default"); text != "" {
		if err := yaml.Load([]byte(text), &s.Default); err != nil {
			b.err = fmt.Errorf("default of %s.%s: %w", t.Name(), f.Name, err)
		}
	}
	lo, hi := f.Tag.Get("min"), f.Tag.Get("max")
	switch s.Type {
	case "integer":
		s.Minimum, s.Maximum = json.Number(lo), json.Number(hi)
	case "array":
		s.MinItems, s.MaxItems = b.items(lo), b.items(hi)
	}
	return s
}

func (b *schemaBuilder) items(text string) *uint64 {
	if text == "" {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		b.err = err
	}
	return &n
}

// value returns the schema of a type; structs are defined once and referred to.
func (b *schemaBuilder) value(t reflect.Type) *jsonschema.Schema {
	switch {
	case t.Kind() == reflect.Pointer:
		return b.value(t.Elem())
	case t.Kind() == reflect.Slice:
		return &jsonschema.Schema{Type: "array", Items: b.value(t.Elem())}
	}
	if l, words, ok := leafOf(t); ok {
		return l.schema(words)
	}
	name := t.Name()
	if _, ok := b.defs[name]; !ok {
		b.defs[name] = nil // an end to recursion, should a struct ever contain itself
		b.defs[name] = b.mapping(t)
	}
	ref := &jsonschema.Schema{Ref: "#/$defs/" + name}
	if t == reflect.TypeFor[file.Backend]() {
		short, _, _ := leafOf(reflect.TypeFor[file.Target]())
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{short.schema(nil), ref}}
	}
	return ref
}
