package layout

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/seed-23b4a313/switchyard"

// root is the top of the repository, seen from this package.
const root = "../.."

// rule says what the code of one directory tree may import besides the standard library. Tests may import more:
// they are held to the arrows inside the module only.
type rule struct {
	dir     string   // relative to the top; the longest match counts
	own     []string // packages of this module, with all below them
	foreign []string // import path prefixes of other modules
}

// rules are the arrows. The depguard section of .golangci.yaml says the same to editors.
var rules = []rule{
	{dir: "peek"},
	{dir: "route", foreign: []string{"github.com/hashicorp/go-memdb", "github.com/hashicorp/go-immutable-radix"}},
	{dir: "balancer", own: []string{"balancer", "peek", "route"}},
	{dir: "balancer/sys", foreign: []string{"golang.org/x/sys/unix"}},
	{dir: "balancer/loop", own: []string{"balancer/sys"}},
	{dir: "balancer/relay", own: []string{"balancer/loop", "balancer/sys"}},
	{dir: "balancer/pool"},
	{dir: "balancer/proxyheader", foreign: []string{"github.com/pires/go-proxyproto"}},
	{dir: "balancer/health", own: []string{"balancer/pool", "balancer/proxyheader", "balancer/sys"}},
	{dir: "balancer/certs"},
	{dir: "balancer/certs/acme", own: []string{"balancer/certs"},
		foreign: []string{"github.com/caddyserver/certmagic", "github.com/mholt/acmez/v3", "go.uber.org/zap"}},
	{dir: "balancer/terminate", own: []string{"balancer/certs", "balancer/pool", "balancer/proxyheader", "balancer/sys", "peek", "route"}},
	{dir: "balancer/resolve", foreign: []string{"golang.org/x/net/dns/dnsmessage"}},
	{dir: "configs", own: []string{"balancer", "route"}, foreign: []string{"go.yaml.in/yaml/v4", "github.com/invopop/jsonschema"}},
	{dir: "control", own: []string{"balancer", "configs", "route"}, foreign: []string{"github.com/fsnotify/fsnotify"}},
	{dir: "admin", own: []string{"balancer", "control", "route"}, foreign: []string{"github.com/prometheus/"}},
	{dir: "bench", own: []string{"peek"}, foreign: []string{"github.com/HdrHistogram/hdrhistogram-go", "golang.org/x/sys/unix"}},
	{dir: "cmd", own: []string{"admin", "balancer", "bench", "cmd", "configs", "control", "peek", "route"},
		foreign: []string{"github.com/spf13/", "github.com/gopacket/gopacket", "golang.org/x/term"}},
	{dir: "internal"},
}

// unsafeAllowed and rawAllowed are the directory trees whose code may import unsafe, and the raw system calls. The
// load generator has a loop and clocks of its own: it would otherwise measure the balancer with the balancer.
var (
	unsafeAllowed = []string{"balancer/sys"}
	rawAllowed    = []string{"balancer/sys", "bench"}
)

func TestImportsFollowTheArrows(t *testing.T) {
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		r, ok := ruleFor(f.dir)
		if !ok {
			t.Errorf("%s: directory %s has no rule in layout_test.go", f.path, f.dir)
			continue
		}
		for _, imp := range f.imports {
			if why := r.refuses(imp); why != "" {
				t.Errorf("%s imports %s: %s", f.path, imp, why)
			}
		}
	}
}

func TestOwnPackagesInTestsFollowTheArrows(t *testing.T) {
	for _, f := range sources(t) {
		r, ok := ruleFor(f.dir)
		if !f.test || !ok {
			continue
		}
		for _, imp := range f.imports {
			own, found := ownPackage(imp)
			// A test of the whole may drive any package from the outside; a leaf stays a leaf in its tests too.
			if leaf := len(r.own) == 0; found && leaf && !r.allowsOwn(own) {
				t.Errorf("%s imports %s: %s imports no other package of ours", f.path, imp, r.dir)
			}
		}
	}
}

func TestUnsafeLivesInOnePlace(t *testing.T) {
	for _, f := range sources(t) {
		for _, imp := range f.imports {
			switch {
			case f.test:
			case imp == "unsafe" && !f.below(unsafeAllowed):
				t.Errorf("%s imports unsafe: only %v may", f.path, unsafeAllowed)
			case imp == "golang.org/x/sys/unix" && !f.below(rawAllowed):
				t.Errorf("%s imports %s: only %v may", f.path, imp, rawAllowed)
			}
		}
	}
}

func TestSyscallIsForSignalsAndErrnos(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || f.below(rawAllowed) || !slices.Contains(f.imports, "syscall") {
			continue
		}
		for _, name := range f.uses("syscall") {
			if strings.HasPrefix(name, "SIG") || strings.HasPrefix(name, "E") || plainSyscalls[name] {
				continue
			}
			t.Errorf("%s uses syscall.%s: raw system calls live in %v", f.path, name, rawAllowed)
		}
	}
}

// plainSyscalls are names of package syscall that make no call by themselves or concern the process, not a socket.
var plainSyscalls = map[string]bool{
	"Signal": true, "RawConn": true, "Conn": true, "Stat_t": true, // types
	"O_NONBLOCK": true, "O_NOFOLLOW": true, // flags for package os
	"Umask": true, "Getrlimit": true, "Rlimit": true, "RLIMIT_NOFILE": true, "RLIMIT_CORE": true,
}

// refuses returns why a file under r may not import imp, or "".
func (r rule) refuses(imp string) string {
	if own, ok := ownPackage(imp); ok {
		if r.allowsOwn(own) {
			return ""
		}
		return r.dir + " may import of ours: " + orNothing(r.own)
	}
	if standard(imp) {
		return ""
	}
	for _, f := range r.foreign {
		if strings.HasPrefix(imp, f) {
			return ""
		}
	}
	return r.dir + " may import besides the standard library: " + orNothing(r.foreign)
}

// allowsOwn reports whether code under r may import the package at own, relative to the top.
func (r rule) allowsOwn(own string) bool {
	return within(own, r.dir) || slices.ContainsFunc(r.own, func(allowed string) bool { return within(own, allowed) })
}

// ruleFor returns the rule of the longest directory that holds dir.
func ruleFor(dir string) (best rule, ok bool) {
	for _, r := range rules {
		if within(dir, r.dir) && len(r.dir) >= len(best.dir) {
			best, ok = r, true
		}
	}
	return best, ok
}

// within reports whether dir is parent or lies below it.
func within(dir, parent string) bool { return dir == parent || strings.HasPrefix(dir, parent+"/") }

// ownPackage cuts the module's path from an import path.
func ownPackage(imp string) (string, bool) { return strings.CutPrefix(imp, module+"/") }

// standard reports whether imp belongs to the standard library: its first element has no dot.
func standard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".")
}

func orNothing(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

// source is one Go file of the repository.
type source struct {
	path    string // relative to the top
	dir     string
	test    bool
	imports []string
}

// below reports whether s lies in one of the trees.
func (s source) below(trees []string) bool {
	return slices.ContainsFunc(trees, func(tree string) bool { return within(s.dir, tree) })
}

// sources parses the imports of every Go file of the repository, generators and tests included.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || path.Ext(p) != ".go" {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		s := source{path: rel, dir: filepath.Dir(rel), test: strings.HasSuffix(p, "_test.go")}
		for _, imp := range file.Imports {
			name, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, name)
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("found %d Go files under %s: the walk is broken", len(all), root)
	}
	return all
}
