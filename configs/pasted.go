package configs

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

// pasted says of a path that it looks like the key that the file is to hold, without showing it; wrong is why the file
// cannot be read. false: it does not look like one, and nothing was said.
func (c *checker) pasted(key string, at file.Path, wrong error) bool {
	if !errors.Is(wrong, fs.ErrNotExist) || !looksLikeKey(at.V) {
		return false
	}
	c.errorf(at, "put it into a file of its own (mode 0600), and name that here",
		"%s: there is no such file, and what is named looks like a key: it is to be the path of a file that holds one", key)
	c.hide(at.At)
	return true
}

// looksLikeKey reports whether s could be the base64 of 16 bytes or more, in either alphabet, and is unlike a word: it has
// letters of both kinds and digits.
func looksLikeKey(s string) bool {
	const least = 22
	const lower, upper, digits = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	return len(s) >= least && strings.Trim(s, lower+upper+digits+"+/-_=") == "" &&
		strings.ContainsAny(s, lower) && strings.ContainsAny(s, upper) && strings.ContainsAny(s, digits)
}
