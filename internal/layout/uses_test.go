package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"testing"
)

// uses lists the names that s takes from the package known to it as pkg, each once, sorted.
func (s source) uses(pkg string) []string {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, s.path), nil, parser.SkipObjectResolution)
	if err != nil {
		return []string{"?" + err.Error()}
	}
	return namesFrom(file, pkg)
}

func namesFrom(file *ast.File, pkg string) []string {
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok && id.Name == pkg {
				names = append(names, sel.Sel.Name)
			}
		}
		return true
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// The rules themselves: what they must let through, and what they must not.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		name, dir, imp string
		ok             bool
	}{
		{"peek takes the standard library", "peek", "encoding/binary", true},
		{"peek takes nothing else", "peek", "golang.org/x/crypto/cryptobyte", false},
		{"peek does not know route", "peek", module + "/route", false},
		{"route takes go-memdb", "route", "github.com/hashicorp/go-memdb", true},
		{"route does not know peek", "route", module + "/peek", false},
		{"balancer knows its parts", "balancer", module + "/balancer/loop", true},
		{"balancer never sees YAML", "balancer", "go.yaml.in/yaml/v4", false},
		{"balancer does not know configs", "balancer", module + "/configs", false},
		{"a part of balancer does not know the whole", "balancer/pool", module + "/balancer", false},
		{"checks know what a pool asks of them", "balancer/health", module + "/balancer/pool", true},
		{"checks do not know the event loop", "balancer/health", module + "/balancer/loop", false},
		{"configs knows pools", "configs", module + "/balancer/pool", true},
		{"configs does not know peek", "configs", module + "/peek", false},
		{"bench does not know balancer", "bench", module + "/balancer", false},
		{"commands know everything", "cmd/switchyard", module + "/balancer/proxyheader", true},
		{"a name that only starts alike is another package", "configs", module + "/routes", false},
	} {
		r, found := ruleFor(c.dir)
		if !found {
			t.Fatalf("%s: no rule for %s", c.name, c.dir)
		}
		if why := r.refuses(c.imp); (why == "") != c.ok {
			t.Errorf("%s: %s imports %s: got %q", c.name, c.dir, c.imp, why)
		}
	}
}
