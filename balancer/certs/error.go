package certs

import "strings"

// Part is the part of a [Config] that something is wrong with.
type Part uint8

// The parts of a Config.
const (
	PartCert Part = iota // Pairs[Index].Cert
	PartKey              // Pairs[Index].Key
	PartDir              // Dirs[Index]
)

// Error is one thing that is wrong with a [Config].
type Error struct {
	Part  Part
	Index int
	File  string // that is wrong
	Why   string // never with anything that the file holds
	Hint  string // what to do; "" where there is nothing to suggest
}

func (e *Error) Error() string { return "certs: " + e.File + ": " + e.Why }

// Errors are all mistakes of a [Config], in the order of its parts.
type Errors []*Error

func (e Errors) Error() string {
	all := make([]string, len(e))
	for i := range e {
		all[i] = e[i].Error()
	}
	return strings.Join(all, "\n")
}
