package configs

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v4"

	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

// loaded compares two Configs by what they mean.
var loaded = cmp.Options{
	cmpopts.IgnoreFields(Config{}, "Digest", "Warnings"),
	cmpopts.IgnoreFields(routeTest{}, "at"),
	cmp.Comparer(func(a, b *terminate.Policy) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b *terminate.BackendTLS) bool { return a.Equal(b) }),
	cmp.Exporter(func(reflect.Type) bool { return true }),
}

// readFull reads testdata/full.yaml for trying a key. Its tests stay only where the key is one of theirs: they would fail
// with most other values of the others.
func readFull(t *testing.T, path string) *yaml.Node {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "full.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	root := node(t, string(data))
	if !strings.HasPrefix(path, "tests") {
		_, i := find(root, "tests")
		root.Content = slices.Delete(root.Content, i, i+2)
	}
	return root
}

func node(t *testing.T, text string) *yaml.Node {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Load([]byte(text), &doc); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return doc.Content[0]
}

// find returns the first mapping on the path that has the key, and the index of the key in its content. A path is one of
// file.Key: "pools[].health.interval".
func find(n *yaml.Node, path string) (*yaml.Node, int) {
	name, rest, deeper := strings.Cut(path, ".")
	i := 0
	for i < len(n.Content) && n.Content[i].Value != strings.TrimSuffix(name, "[]") {
		i += 2 // a value, which is no key, lies between
	}
	if n.Kind != yaml.MappingNode || i >= len(n.Content) {
		return nil, 0
	}
	if !deeper {
		return n, i
	}
	next := []*yaml.Node{n.Content[i+1]}
	if strings.HasSuffix(name, "[]") {
		next = next[0].Content
	}
	for _, item := range next {
		if m, i := find(item, rest); m != nil {
			return m, i
		}
	}
	return nil, 0
}

// set returns testdata/full.yaml with another value of a key, and the lines that the value takes.
func set(t *testing.T, path, value string) (data []byte, first, last int) {
	t.Helper()
	root := readFull(t, path)
	m, i := find(root, path)
	if m == nil {
		t.Fatalf("testdata/full.yaml does not have %s", path)
	}
	m.Content[i+1] = node(t, value)
	data, err := yaml.Dump(root)
	if err != nil {
		t.Fatal(err)
	}
	m, i = find(node(t, string(data)), path)
	return data, m.Content[i].Line, lastLine(m.Content[i+1])
}

func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}

func TestEveryKeyTakesWhatTheReferenceShowsAndRefusesTheOther(t *testing.T) {
	dir := certificates(t)
	for _, k := range file.Keys() {
		t.Run(k.Path(), func(t *testing.T) {
			t.Parallel()
			for _, tag := range []string{"good", "default"} {
				value := k.Field.Tag.Get(tag)
				if value == "" {
					continue
				}
				data, _, _ := set(t, k.Path(), value)
				if _, err := Parse("full.yaml", data, dir); err != nil {
					t.Errorf("%s: %s, which the reference shows as %s, is refused:\n%v", k.Path(), value, tag, err)
				}
			}
			value := k.Field.Tag.Get("bad")
			if value == "" {
				return // a mapping; its keys are tested
			}
			data, first, last := set(t, k.Path(), value)
			_, err := Parse("full.yaml", data, dir)
			errs, ok := errors.AsType[Errors](err)
			if !ok {
				t.Fatalf("%s: %s is accepted (%v)", k.Path(), value, err)
			}
			if !slices.ContainsFunc(errs, func(e *Error) bool { return e.Line >= first && e.Line <= last }) {
				t.Errorf("%s: %s is refused, but not on its lines %d to %d:\n%v", k.Path(), value, first, last, err)
			}
		})
	}
}

func TestAnAbsentKeyMeansItsDefault(t *testing.T) {
	dir := certificates(t)
	for _, k := range file.Keys() {
		value := k.Field.Tag.Get("default")
		if value == "" {
			continue
		}
		t.Run(k.Path(), func(t *testing.T) {
			t.Parallel()
			data, _, _ := set(t, k.Path(), value)
			said, err := Parse("full.yaml", data, dir)
			if err != nil {
				t.Fatal(err)
			}
			root := node(t, string(data))
			m, i := find(root, k.Path())
			m.Content = slices.Delete(m.Content, i, i+2)
			if len(m.Content) == 0 {
				return // another mapping has the key then
			}
			data, err = yaml.Dump(root)
			if err != nil {
				t.Fatal(err)
			}
			unsaid, err := Parse("full.yaml", data, dir)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(said, unsaid, loaded); d != "" {
				t.Errorf("%s: saying %s and not saying it differ:\n%s", k.Path(), value, d)
			}
		})
	}
}

// envoy#44274: an option was documented and never implemented. A key that is read and then forgotten is worse than one that
// is refused: every key must change what is loaded.
func TestEveryKeyHasAnEffect(t *testing.T) {
	dir := certificates(t)
	bases := map[bool]*Config{}
	for _, path := range []string{"tests", "routes"} {
		full, err := yaml.Dump(readFull(t, path))
		if err != nil {
			t.Fatal(err)
		}
		if bases[path == "tests"], err = Parse("full.yaml", full, dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range file.Keys() {
		t.Run(k.Path(), func(t *testing.T) {
			t.Parallel()
			mapping, _ := file.Elem(k.Field.Type)
			if mapping != nil && k.Field.Tag.Get("good") == "" && effects[k.Path()] == "" || k.Name == "key" {
				return // its keys are tried; of a private key every good one is the same
			}
			if strings.HasPrefix(k.Path(), "tests[].expect") {
				return // only one value passes: see the pairs test_*
			}
			if k.Path() == "routes[].terminate.acme.agree" {
				return // likewise: see acme_agree
			}
			base := bases[strings.HasPrefix(k.Path(), "tests")]
			differs := false
			for _, value := range []string{k.Field.Tag.Get("good"), k.Field.Tag.Get("default"), effects[k.Path()]} {
				if value == "" {
					continue
				}
				data, _, _ := set(t, k.Path(), value)
				cfg, err := Parse("full.yaml", data, dir)
				if err != nil {
					t.Fatal(err)
				}
				differs = differs || !cmp.Equal(base, cfg, loaded)
			}
			if !differs {
				t.Errorf("%s: setting it changes nothing", k.Path())
			}
		})
	}
}

// effects are values to try for keys whose reference shows none.
var effects = map[string]string{
	"pools": "[{name: canary, backends: [192.0.2.1:443]}, {name: spare, backends: [192.0.2.2:443]}]",
}
