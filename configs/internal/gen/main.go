// Command gen writes the reference page and the JSON schema of the configuration file. Both come from the structs of
// configs/internal/file: the text from their doc comments, everything else from their tags.
//
//	file/*.go ──▶ comments ─┬─▶ reference.md
//	file.Keys ──▶ tags     ─┴─▶ switchyard.schema.json
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	src := flag.String("src", "internal/file", "directory of package file")
	out := flag.String("out", "../docs", "directory to write to")
	flag.Parse()
	pages, err := generate(*src)
	for name, data := range pages {
		if err == nil {
			err = os.WriteFile(filepath.Join(*out, name), data, 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// generate returns the generated files by name.
func generate(src string) (map[string][]byte, error) {
	docs, err := readComments(src)
	if err != nil {
		return nil, err
	}
	schema, err := schemaOf(docs)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{"reference.md": reference(docs), "switchyard.schema.json": schema}, nil
}
