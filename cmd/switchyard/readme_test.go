package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-23b4a313/switchyard/configs"
)

// Each configuration that the README shows is one that loads, without a warning. The files that it names are those of
// the examples.
func TestTheReadmesConfigurationsLoad(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../examples")); err != nil {
		t.Fatal(err)
	}
	keys, err := filepath.Glob(filepath.Join(dir, "certs", "*.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys { // as a checkout does not have them
		if err := os.Chmod(key, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, rest, found := strings.Cut(string(readme), "```yaml\n")
	if !found {
		t.Fatal("no yaml block in the README")
	}
	for n := 1; found; n++ {
		var text string
		text, rest, _ = strings.Cut(rest, "```")
		cfg, err := configs.Parse("README.md", []byte(text), dir)
		if err != nil {
			t.Fatalf("block %d: %v", n, err)
		}
		for _, w := range cfg.Warnings {
			t.Errorf("block %d: %v", n, w)
		}
		_, rest, found = strings.Cut(rest, "```yaml\n")
	}
}
