#!/usr/bin/env bash
# Runs every fuzz target of the module for $1 (a Go duration, default 10s), one after the other.
# A finding is written to testdata/fuzz of its package; commit it with the mend.
set -euo pipefail
time=${1:-10s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# fuzz runs target $2 of package $1. A target that is in the middle of an input when the time is up may end with
# "context deadline exceeded" and nothing else (go.dev/issue/75804, mended in Go 1.27): that is no finding.
fuzz() {
	# -fuzzminimizetime bounds what follows a new input, or a short run overruns its time.
	if go test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 5s "$1" >"$log" 2>&1; then
		echo "ok  	$1 $2 $(grep -oE 'execs: [0-9]+' "$log" | tail -n 1)"
	elif grep -q 'context deadline exceeded' "$log" && ! grep -qE 'Failing input|panic:|_test\.go:' "$log"; then
		echo "ok  	$1 $2 (cut off by its time)"
	else
		cat "$log"
		return 1
	fi
}

failed=0
for pkg in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do
	dir=$(go list -f '{{.Dir}}' "$pkg")
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | cut -d' ' -f2 | sort -u); do
		fuzz "$pkg" "$target" || failed=1
	done
done
exit $failed
