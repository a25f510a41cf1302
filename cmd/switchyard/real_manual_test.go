//go:build linux

package main

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-23b4a313/switchyard/configs"
)

const manualPage = "../../docs/manual.md"

func TestManualsFirstFileIsGood(t *testing.T) {
	page := readManual(t)
	_, rest, _ := strings.Cut(page, "```yaml\n")
	file, _, ok := strings.Cut(rest, "```\n")
	if !ok {
		t.Fatalf("%s has no yaml block", manualPage)
	}
	cfg, err := configs.Parse("switchyard.yaml", []byte(file), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range cfg.Warnings {
		t.Errorf("warning: %v", w)
	}
}

// The table of fields lists what the lines of the tests here have, which refuse any other.
func TestManualListsTheFieldsOfTheLog(t *testing.T) {
	var want []string
	for f := range reflect.TypeFor[ended]().Fields() {
		want = append(want, f.Tag.Get("json"))
	}
	_, rest, _ := strings.Cut(readManual(t), "| field | meaning |\n|---|---|\n")
	table, _, _ := strings.Cut(rest, "\n\n")
	var got []string
	for row := range strings.Lines(table) {
		names, _, _ := strings.Cut(strings.TrimPrefix(row, "|"), "|")
		for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(names, -1) {
			got = append(got, m[1])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields in %s (-want +got):\n%s", manualPage, diff)
	}
}

func readManual(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(manualPage)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
