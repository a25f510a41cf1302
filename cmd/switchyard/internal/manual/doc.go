// Package manual writes the manual of a cobra command tree: a man page for each command, and one Markdown page for
// all. What it writes depends on the tree alone, not on the day or the terminal.
package manual
