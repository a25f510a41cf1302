//go:build race

package main

// raced reports whether the race detector is built in, whose own memory grows with what it has seen.
const raced = true
