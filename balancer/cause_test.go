package balancer

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite docs/causes.md")

func TestEveryCauseHasAWordAMeaningAndAnAction(t *testing.T) {
	word := regexp.MustCompile(`^[a-z][a-z_]*$`)
	seen := map[string]Cause{}
	for c := CauseNone + 1; c < NumCauses; c++ {
		text := causeTable[c]
		if !word.MatchString(text.word) || text.meaning == "" || text.action == "" {
			t.Errorf("cause %d: incomplete: %+v", c, text)
		}
		if other, ok := seen[text.word]; ok {
			t.Errorf("causes %d and %d share the word %q", other, c, text.word)
		}
		seen[text.word] = c
	}
	if CauseNone.String() != "" || NumCauses.String() != "invalid" {
		t.Errorf("outside the table: %q and %q", CauseNone, NumCauses)
	}
}

func TestCausesPageIsCurrent(t *testing.T) {
	const page = "../docs/causes.md"
	want := causesMarkdown()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not what the source says; run with -update (-want +got):\n%s", page, diff)
	}
}

// causesMarkdown is docs/causes.md: what each cause means and what to do. A test holds the file against it.
func causesMarkdown() string {
	var b strings.Builder
	b.WriteString("# How a connection ends\n\n" +
		"Every connection ends with exactly one cause. The same word stands in the log line (`cause`), in the metric\n" +
		"`switchyard_connections_closed_total{listener,cause}` and here. They come in the order in which a connection can\n" +
		"meet them. This page is made from the source by `go test ./balancer -run TestCausesPageIsCurrent -update`.\n")
	for c := CauseNone + 1; c < NumCauses; c++ {
		t := causeTable[c]
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n**What to do:** %s\n", t.word, t.meaning, t.action)
	}
	return b.String()
}
