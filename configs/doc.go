// Package configs turns a YAML file into checked values, and owns every message about the file.
//
//	        ┌─────────── internal/file ──────────┐     ┌─────────────── configs ───────────────┐
//	data ──▶│ YAML nodes ──▶ keys, types, ranges │ ──▶ │ names, references, files, routes, … │ ──▶ *Config
//	        └─────────────────┬──────────────────┘     └──────────────────┬────────────────────┘
//	                          └──────────────▶ Errors, in file order ◀────┘
//
// A loaded [Config] holds addresses, durations and parsed certificates, never the text they were written as. Loading at
// start, `switchyard check` and a reload are the same call, so that they cannot disagree. Every mistake of a file is
// reported at once, as
//
//	switchyard.yaml:3:5: unknown key "balence" in pools[0]
//	    balence: least_connections
//	    ^
//	hint: did you mean "balance"?
//
// docs/reference.md and docs/switchyard.schema.json are generated from the structs of internal/file.
package configs

//go:generate go run ./internal/gen -out ../docs
