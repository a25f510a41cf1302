package certs

import "strings"

// Part is the part of a [Config] that something is wrong with.
type Part uint8

// The parts of a Config.
const (
	PartCert Part = iota // Pairs[Index].Cert
	PartKey              // Pairs[Index].Key
	PartDir              // Dirs[Index]
	PartCA               // CA
)

// Error is one thing that is wrong with a [Config], or with a file that it leads to.
type Error struct {
	Part  Part
	Index int
	File  string // path of what is wrong
	Why   string // to be read after the path: "holds no certificate"; never with anything that the file holds
	Hint  string // what to do; "" where there is nothing to suggest

	err       error // of the system, if there is one
	mismatch  bool  // certificate and key do not belong together, or not yet
	outage    bool  // what there is cannot be told: no word on the file, but on the system
	misplaced bool  // the certificate is good, and not for what its file is named for
}

func (e *Error) Error() string { return "certs: " + e.File + " " + e.Why }

// Unwrap returns the error of the system behind e, such as [io/fs.ErrNotExist]; nil if there is none.
func (e *Error) Unwrap() error { return e.err }

// attrs are what a log line says of e. A hint that there is none of is left out.
func (e *Error) attrs() []any {
	all := []any{"file", e.File, "error", e.Why}
	if e.Hint != "" {
		all = append(all, "hint", e.Hint)
	}
	return all
}

// Errors are all mistakes of a [Config], in the order of its parts.
type Errors []*Error

func (e Errors) Error() string {
	all := make([]string, len(e))
	for i := range e {
		all[i] = e[i].Error()
	}
	return strings.Join(all, "\n")
}

// Unwrap lets each of them be found with [errors.AsType].
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i := range e {
		all[i] = e[i]
	}
	return all
}
