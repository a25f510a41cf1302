// Package file is the configuration file as it is written: Go structs whose fields are the keys, and the strict
// reading of YAML into them. What the keys mean together is the business of package configs. A request to change what runs
// is read the same way, and so is JSON, which is YAML.
//
//	bytes ──▶ Read: UTF-8? control bytes? ──▶ yaml nodes ──▶ mapping ──▶ leaf ──▶ File, Route, Pool, Transaction …
//	                     │                        │             │          │
//	                     │                        │             │          └ wrong type, range, spelling
//	                     │                        │             └ unknown, repeated, missing keys
//	                     └────────────────────────┴──▶ []Mistake, each with line, column and hint
//
// The structs are the one source of the keys' documentation. A field's comment says what the key does; its tags say
// the rest, and are obeyed as well as printed, so that the reference and the program cannot disagree:
//
//	yaml      the key
//	default   the value of an absent key, as it would be written
//	min, max  the range, ends included; for a list the number of items
//	required  "true" for a key that must be there
//	good, bad a value that is accepted and one that is not, as they would be written
//	since     the first version with this key, where that is not 0.1
//
// Strictness belongs to this package's own decoder and not to options of the YAML library, which a custom
// unmarshaler would have to ask for again.
package file
