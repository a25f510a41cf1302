// Package configs turns a YAML file into checked values, and owns every message about the file.
//
//	        ┌─────────── internal/file ──────────┐     ┌─────────────── configs ───────────────┐
//	data ──▶│ YAML nodes ──▶ keys, types, ranges │ ──▶ │ names, references, files, routes, … │ ──▶ *Config
//	        └─────────────────┬──────────────────┘     └──────────────────┬────────────────────┘
//	                          └──────────────▶ Errors, in file order ◀────┘
//
// A loaded [Config] holds addresses, durations and parsed certificates, never the text they were written as. Loading at
// start, `switchyard check` and a reload are the same call, so that they cannot disagree. Once everything else is sound,
// the file's own tests are put to the routing table that it describes.
//
// What is changed at run time goes the same way. A request becomes a [Change], which is checked beside the [Running]
// configuration instead of the rest of a file; what it puts is kept as text, an [Entry], and lies on top of the file when
// that is loaded again.
//
//	request ──▶ ParseRoute, ParsePool, ParseTransaction, ParseBackend ──▶ *Change ──▶ balancer.Edit, for now
//	               ▲                                                         └──────▶ []Entry ──┐ for later
//	            Running                                                                         ▼
//	                                                                     file ──▶ ParseWith ──▶ *Config
//
// Every mistake of a file or a request is reported at once, as
//
//	switchyard.yaml:3:5: unknown key "balence" in pools[0]
//	    balence: least_connections
//	    ^
//	hint: did you mean "balance"?
//
// docs/reference.md and docs/switchyard.schema.json are generated from the structs of internal/file.
package configs

//go:generate go run ./internal/gen -out ../docs
