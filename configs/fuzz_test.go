package configs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/seed-23b4a313/switchyard/route"
)

// Whatever the bytes: no panic; a mistake has a place in the file and shows nothing that could steer a terminal; and what is
// accepted is a table that can be served.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "../examples/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	dir := certificates(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := Parse("fuzz.yaml", data, dir)
		if err == nil {
			checkLoaded(t, cfg)
			checkErrors(t, data, cfg.Warnings)
			return
		}
		errs, ok := errors.AsType[Errors](err)
		if !ok || len(errs) == 0 || cfg != nil {
			t.Fatalf("Parse returned %v and the error %#v", cfg, err)
		}
		checkErrors(t, data, errs)
	})
}

func checkErrors(t *testing.T, data []byte, errs []*Error) {
	lines := strings.Count(string(data), "\n") + 1
	for i, e := range errs {
		if e.Line < 1 || e.Line > lines+1 || e.Col < 1 || e.Msg == "" || e.File != "fuzz.yaml" {
			t.Errorf("mistake %d of a file of %d lines: %+v", i, lines, e)
		}
		if i > 0 && (e.Line < errs[i-1].Line || e.Line == errs[i-1].Line && e.Col < errs[i-1].Col) {
			t.Errorf("mistake %d is out of order: %+v", i, e)
		}
		for _, r := range e.Error() {
			if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
				t.Errorf("mistake %d shows %U: %q", i, r, e.Error())
			}
		}
	}
}

func checkLoaded(t *testing.T, cfg *Config) {
	set := &route.Set{Routes: cfg.Balancer.Routes}
	for _, l := range cfg.Balancer.Listeners {
		set.Listeners = append(set.Listeners, route.Listener{Name: l.Name, NoSNI: l.NoSNI, UnknownSNI: l.UnknownSNI})
		if l.HelloTimeout <= 0 || l.HelloMaxSize < 512 || len(l.Bind) == 0 || l.NotTLS == route.RejectNone || l.NotTLS == route.RejectAlert {
			t.Errorf("a listener that cannot be served: %+v", l)
		}
		for _, p := range l.ProxyFrom {
			if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() {
				t.Errorf("listener %s trusts %v", l.Name, p)
			}
		}
	}
	for _, p := range cfg.Balancer.Pools {
		set.Pools = append(set.Pools, p.Name)
		if p.ConnectTimeout <= 0 || p.AnswerTimeout <= 0 || p.Attempts < 1 || len(p.Backends) == 0 {
			t.Errorf("a pool that cannot be served: %+v", p)
		}
		for _, b := range p.Backends {
			if b.Addr.Port() == 0 || (b.Host == "") != b.Addr.Addr().IsValid() || b.Weight < 0 {
				t.Errorf("pool %s has the backend %+v", p.Name, b)
			}
		}
	}
	if _, err := route.NewTable(set); err != nil {
		t.Errorf("accepted, and refused by the table: %v", err)
	}
}
