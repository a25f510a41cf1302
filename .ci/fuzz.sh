#!/usr/bin/env bash
# Runs every fuzz target of the module for $1 (a Go duration, default 10s), one after the other.
# A finding is written to testdata/fuzz of its package; commit it with the mend.
set -euo pipefail
time=${1:-10s}

go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./... | while read -r pkg; do
	dir=$(go list -f '{{.Dir}}' "$pkg")
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | cut -d' ' -f2 | sort -u); do
		echo "fuzz $pkg $target $time"
		# -fuzzminimizetime bounds what follows a new input, or a short run overruns its time
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5s "$pkg" | grep -v '^fuzz: elapsed' || exit 1
	done
done
