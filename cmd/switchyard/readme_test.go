package main

import (
	"os"
	"strings"
	"testing"

	"github.com/seed-23b4a313/switchyard/configs"
)

// The configuration that the README shows is one that loads, without a warning.
func TestTheReadmesConfigurationLoads(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "```yaml\n")
	text, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("no yaml block in the README")
	}
	cfg, err := configs.Parse("README.md", []byte(text), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range cfg.Warnings {
		t.Error(w)
	}
}
