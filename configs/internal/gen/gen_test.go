package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

func TestTheGeneratedFilesAreCurrent(t *testing.T) {
	pages, err := generate("../file")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("docs/%s is not current: run go generate ./configs (-want +got):\n%s", name, d)
		}
	}
}

func TestEveryKeyIsDescribed(t *testing.T) {
	docs, err := readComments("../file")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range file.Keys() {
		if docs[k.Struct.Name()+"."+k.Field.Name] == "" {
			t.Errorf("%s has no comment", k.Path())
		}
		if _, mark := file.Elem(k.Field.Type); mark != "" || k.Field.Tag.Get("bad") != "" {
			continue
		}
		if elem, _ := file.Elem(k.Field.Type); elem == nil {
			t.Errorf("%s shows no value that is refused", k.Path())
		}
	}
}

func TestTheSchemaAcceptsWhatTheProgramAccepts(t *testing.T) {
	root := readSchema(t)
	for _, pattern := range []string{"../../testdata/*.good.yaml", "../../../examples/*.yaml", "../../../../shared/contract/switchyard.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if len(paths) == 0 && !strings.Contains(pattern, "shared") {
			t.Errorf("no files %s", pattern)
		}
		for _, path := range paths {
			if msg := root.check("", readYAML(t, path)); msg != "" {
				t.Errorf("%s: the schema refuses it: %s", path, msg)
			}
		}
	}
}

// The schema does not see what belongs together; what it has to see is told here.
func TestTheSchemaRefusesWhatAnEditorShouldMark(t *testing.T) {
	root := readSchema(t)
	for _, rule := range []string{
		"unknown_key", "unknown_key_top", "missing_key", "missing_listeners", "empty_list", "list_wanted", "mapping_wanted",
		"text_wanted", "number_wanted", "number_whole", "number_range", "flag", "choice", "duration_unit", "duration_days", "size_unit",
		"size_decimal", "percent", "name", "name_long", "bind_port", "bind_number", "backend_port", "backend_keys", "prefix",
		"not_tls_alert", "not_tls_pool", "proxy_from", "proxy_version", "route_one", "cert_keys", "tls_version", "no_value",
		"reload_watch", "test_expect", "test_values", "rate_unit", "rate_decimal", "handshakes_keys", "handshakes_burst",
	} {
		path := filepath.Join("..", "..", "testdata", rule+".bad.yaml")
		if msg := root.check("", readYAML(t, path)); msg == "" {
			t.Errorf("%s: the schema accepts it", path)
		}
	}
}

func readYAML(t *testing.T, path string) (v any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Load(data, &v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

func readSchema(t *testing.T) *schema {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "switchyard.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	s := new(schema)
	if err := json.Unmarshal(data, s); err != nil {
		t.Fatal(err)
	}
	s.root = s
	return s
}

// schema is as much of JSON schema as the generated one uses; it holds values against it.
type schema struct {
	Ref                  string             `json:"$ref"`
	Defs                 map[string]*schema `json:"$defs"`
	Type                 string             `json:"type"`
	Pattern              string             `json:"pattern"`
	Enum                 []string           `json:"enum"`
	Required             []string           `json:"required"`
	OneOf                []*schema          `json:"oneOf"`
	Properties           map[string]*schema `json:"properties"`
	AdditionalProperties *bool              `json:"additionalProperties"`
	Items                *schema            `json:"items"`
	MinItems             *int               `json:"minItems"`
	MaxItems             *int               `json:"maxItems"`
	Minimum              *float64           `json:"minimum"`
	Maximum              *float64           `json:"maximum"`

	root *schema
}

// check says what is wrong with a value at a path, "" for nothing.
func (s *schema) check(path string, v any) string {
	if s.Ref != "" {
		return s.root.def(s.Ref).check(path, v)
	}
	msg := ""
	switch v := v.(type) {
	case map[string]any:
		msg = s.checkObject(path, v)
	case []any:
		msg = s.checkArray(path, v)
	case string:
		if !regexp.MustCompile(s.Pattern).MatchString(v) || s.Enum != nil && !slices.Contains(s.Enum, v) {
			msg = fmt.Sprintf("%s: %q", path, v)
		}
	case int:
		if s.Minimum != nil && float64(v) < *s.Minimum || s.Maximum != nil && float64(v) > *s.Maximum {
			msg = fmt.Sprintf("%s: %d", path, v)
		}
	}
	if s.Type != "" && s.Type != typeOf(v) {
		return fmt.Sprintf("%s: %v is no %s", path, v, s.Type)
	}
	if msg == "" && s.OneOf != nil {
		return s.checkOneOf(path, v)
	}
	return msg
}

func (s *schema) def(ref string) *schema {
	d := s.Defs[strings.TrimPrefix(ref, "#/$defs/")]
	d.root = s
	return d
}

func (s *schema) child(c *schema) *schema {
	c.root = s.root
	return c
}

func (s *schema) checkObject(path string, v map[string]any) string {
	for _, key := range s.Required {
		if _, ok := v[key]; !ok {
			return path + ": " + key + " is missing"
		}
	}
	for key, item := range v {
		p, ok := s.Properties[key]
		if !ok && s.AdditionalProperties != nil {
			return path + ": unknown " + key
		}
		if ok {
			if msg := s.child(p).check(path+"."+key, item); msg != "" {
				return msg
			}
		}
	}
	return ""
}

func (s *schema) checkArray(path string, v []any) string {
	if s.MinItems != nil && len(v) < *s.MinItems || s.MaxItems != nil && len(v) > *s.MaxItems {
		return fmt.Sprintf("%s: %d items", path, len(v))
	}
	for i, item := range v {
		if s.Items == nil {
			break
		}
		if msg := s.child(s.Items).check(fmt.Sprintf("%s[%d]", path, i), item); msg != "" {
			return msg
		}
	}
	return ""
}

func (s *schema) checkOneOf(path string, v any) string {
	matches, last := 0, ""
	for _, one := range s.OneOf {
		if msg := s.child(one).check(path, v); msg == "" {
			matches++
		} else {
			last = msg
		}
	}
	if matches == 1 {
		return ""
	}
	return fmt.Sprintf("%s: %d alternatives match; %s", path, matches, last)
}

func typeOf(v any) string {
	switch v.(type) {
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case string:
		return "string"
	case bool:
		return "boolean"
	case int:
		return "integer"
	}
	return fmt.Sprintf("%T", v)
}
