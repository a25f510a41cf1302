//go:build linux

package bench_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-23b4a313/switchyard/bench"
)

func TestComparisonIsWrittenInEveryFormat(t *testing.T) {
	t.Parallel()
	c := compare(t, small(t, bench.CompareConfig{
		Only: []string{"direct", "gocopy"}, Cases: []string{"hello", "rate", "roundtrip", "idle", "download", "startup"}}))
	for _, test := range []struct {
		name  string
		write func(io.Writer) error
		want  []string
	}{
		{"text", c.WriteText, []string{"congestion control", "gocopy", "µs of CPU per connection", "s of CPU per GB", "adds at p50"}},
		{"markdown", c.WriteMarkdown, []string{"| case | names |", "### hello: ", "| 20 | gocopy | ", "Measured on "}},
		{"benchmarks", c.WriteBenchmarks, []string{"goos: linux", "Unit conn/s better=higher", "BenchmarkHello/names=20/peer=gocopy ", " cpu-ns/conn ", " cpu-ns/GB "}},
		{"page", c.WriteHTML, []string{"<!DOCTYPE html>", "prefers-color-scheme: dark", `id="download"`, "<svg ", "gocopy", "tcp_tw_reuse", "io.Copy"}},
	} {
		var out bytes.Buffer
		if err := test.write(&out); err != nil {
			t.Fatal(err)
		}
		for _, want := range test.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s lacks %q:\n%.2000s", test.name, want, &out)
			}
		}
	}
}

// What is written as JSON and read again says the same in every other format.
func TestSavedComparisonIsWrittenTheSame(t *testing.T) {
	t.Parallel()
	c := compare(t, small(t, bench.CompareConfig{Only: []string{"direct", "gocopy"}, Cases: []string{"hello", "upload"}}))
	var saved bytes.Buffer
	if err := c.WriteJSON(&saved); err != nil {
		t.Fatal(err)
	}
	back, err := bench.ReadComparison(&saved)
	if err != nil {
		t.Fatal(err)
	}
	var before, after bytes.Buffer
	err = errors.Join(c.WriteText(&before), c.WriteMarkdown(&before), c.WriteBenchmarks(&before),
		back.WriteText(&after), back.WriteMarkdown(&after), back.WriteBenchmarks(&after))
	// A clock that was read has digits that JSON does not keep; none of them is printed.
	if err != nil || before.String() != after.String() {
		t.Errorf("%v: written\n%s\nread again\n%s", err, &before, &after)
	}
}

// benchmarkLine is what benchstat takes for a result: a name, a count, and pairs of value and unit.
var benchmarkLine = regexp.MustCompile(`^Benchmark[A-Z]\S* \d+( [-+.\deE]+ \S+)+$`)

func TestBenchmarkLines(t *testing.T) {
	targets := startBackend(t, bench.BackendConfig{})
	r := runLoad(t, bench.LoadConfig{Mode: bench.ModeHello, Targets: targets, Count: 50, Workers: 2})
	var out bytes.Buffer
	if err := r.WriteBenchmarks(&out); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "Benchmark") {
			lines++
			if !benchmarkLine.MatchString(strings.TrimSpace(line)) {
				t.Errorf("no result: %q", line)
			}
		}
	}
	if lines != 1 {
		t.Errorf("%d lines of one run:\n%s", lines, &out)
	}
}

// The page has to be whole: nothing is fetched, and every drawing is well-formed.
func TestPageNeedsNothingElse(t *testing.T) {
	targets := startBackend(t, bench.BackendConfig{FailEvery: 10})
	r := runLoad(t, bench.LoadConfig{Mode: bench.ModeHello, Targets: targets, Rate: 1000, Count: 200, Names: "a.example,<b>.example"})
	var out bytes.Buffer
	if err := r.WriteHTML(&out); err != nil {
		t.Fatal(err)
	}
	for _, outside := range []string{"src=", "@import", "url(", "http://", "https://", "<script"} {
		if strings.Contains(out.String(), outside) {
			t.Errorf("the page has %q", outside)
		}
	}
	if strings.Contains(out.String(), "<b>.example") {
		t.Error("a name is on the page unescaped")
	}
	drawings := regexp.MustCompile(`(?s)<svg .*?</svg>`).FindAllString(out.String(), -1)
	if len(drawings) != 3 {
		t.Errorf("%d drawings, want 3", len(drawings))
	}
	for _, drawing := range drawings {
		d := xml.NewDecoder(strings.NewReader(drawing))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v in %s", err, drawing)
			}
		}
	}
}

func TestSelfCheckRunsEveryCheck(t *testing.T) {
	t.Parallel()
	told := 0
	checks, err := bench.SelfCheck(t.Context(), func(string) { told++ })
	if err != nil || len(checks) != 5 || told != 5 {
		t.Fatalf("%d checks, %d told, %v", len(checks), told, err)
	}
	for _, c := range checks {
		t.Logf("%v %s: want %s, got %s", c.OK, c.Name, c.Want, c.Got)
		// The others depend on how busy the machine is.
		if strings.Contains(c.Name, "resets") && !c.OK {
			t.Errorf("%s: want %s, got %s", c.Name, c.Want, c.Got)
		}
	}
}
