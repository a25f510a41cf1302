package configs

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-23b4a313/switchyard/route"
)

const tested = served + `tests:
  - {name: the website, sni: www.example.com, expect: {pool: web, route: www}}
  - {sni: api.example.com, alpn: h2, client: 10.1.2.3, expect: {pool: api}}
  - {name: no name, expect: {reject: alert}}
`

// A change at run time is held against the tests of the file; what fails is reported at its place in the file.
func TestTheTestsOfAFileRunOnAnyTable(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("tested.yaml", []byte(tested), ".")
	if err != nil {
		t.Fatal(err)
	}
	table, err := route.NewTable(cfg.Balancer.RouteSet())
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.Tests.Run(table.Snapshot()); err != nil {
		t.Errorf("the table of the file itself: %v", err)
	}
	x, err := ParseRoute("PUT /v1/routes/api", "api", []byte("{hosts: [api.example.com], alpn: [h3], pool: api}"), ".", ran{cfg, new(int)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := table.PrepareEdit(&route.Edit{PutRoutes: x.Edit.PutRoutes})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Abort()
	const want = `tested.yaml:16:5: tests[1]: expected pool api, got pool web by unknown_sni of listener public
  - {sni: api.example.com, alpn: h2, client: 10.1.2.3, expect: {pool: api}}
    ^
api.example.com: pool web
  1. api.example.com  route api        no   alpn: wants h3; the client offers h2
  2. -                listener public  yes  no route takes this name: unknown_sni of the listener`
	err = cfg.Tests.Run(p.Snapshot())
	if errs, ok := errors.AsType[Errors](err); !ok || len(errs) != 1 || errs.Error() != want {
		t.Errorf("the changed table:\n%v\nwant\n%s", err, want)
	}
	entries := x.Entries
	if _, err = ParseWith("tested.yaml", []byte(tested), ".", entries); err == nil || err.Error() != want {
		t.Errorf("the file with the entry of the change:\n%v\nwant\n%s", err, want)
	}
}

func TestAFileWithoutTestsPasses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{served, served + "tests: []\n"} {
		cfg, err := Parse("a.yaml", []byte(text), ".")
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Tests != nil || cfg.Tests.Run(nil) != nil {
			t.Errorf("tests %+v", cfg.Tests)
		}
	}
}

// Tests outlive the bytes that they were read from.
func TestTestsKeepNothingOfTheFile(t *testing.T) {
	t.Parallel()
	data := []byte(tested)
	cfg, err := Parse("a.yaml", data, ".")
	if err != nil {
		t.Fatal(err)
	}
	table, err := route.NewTable(&route.Set{})
	if err != nil {
		t.Fatal(err)
	}
	before := cfg.Tests.Run(table.Snapshot()).Error()
	for i := range data {
		data[i] = 'x'
	}
	if d := cmp.Diff(before, cfg.Tests.Run(table.Snapshot()).Error()); d != "" {
		t.Errorf("the message changed with the input:\n%s", d)
	}
}

func TestALongListOfFailedTestsEnds(t *testing.T) {
	t.Parallel()
	text := served + "tests:\n" + strings.Repeat("  - {sni: www.example.com, expect: {pool: api}}\n", 5000)
	_, err := Parse("a.yaml", []byte(text), ".")
	if errs, _ := errors.AsType[Errors](err); len(errs) != maxMistakes {
		t.Errorf("%d of 5000 failed tests are reported", len(errs))
	}
}
