package peek

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every test that docs/peek.md refers to exists, and so does every row of a table that it
// quotes.
func TestDocsNameWhatExists(t *testing.T) {
	page, err := os.ReadFile("../docs/peek.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	names := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllSubmatch(page, -1)
	if len(names) < 20 {
		t.Errorf("only %d tests named; has the page changed its form?", len(names))
	}
	for _, name := range names {
		if !strings.Contains(source.String(), "func "+string(name[1])+"(") {
			t.Errorf("docs/peek.md names %s, which is no test here", name[1])
		}
	}
	for _, row := range regexp.MustCompile(`"([a-zA-Z_][^"|]+)"`).FindAllSubmatch(page, -1) {
		if !strings.Contains(source.String(), `"`+string(row[1])+`"`) {
			t.Errorf("docs/peek.md names the row %q, which is in no table here", row[1])
		}
	}
}
