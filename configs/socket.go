package configs

import (
	"bytes"
	"path/filepath"

	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

// SocketOf returns the absolute path of the admin socket that the file at path names, even if the file has mistakes
// elsewhere: whoever asks wants to reach the process that runs, not to load the file. It returns "" if the file names
// none, or cannot be read that far.
func SocketOf(path string) string {
	data, err := read(path)
	if err != nil {
		return ""
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return ""
	}
	c := &checker{dir: dir}
	if f, _ := file.Read(block(data, "admin:")); f != nil && f.Admin.Socket.IsSet() {
		return c.path(f.Admin.Socket.V)
	}
	if f, _ := file.Read(data); f != nil {
		return c.path(f.Admin.Socket.V)
	}
	return ""
}

// block returns the lines of a top-level key in block style, without those before and after it. It spares a large
// file, and whoever is in the middle of editing one.
func block(data []byte, key string) []byte {
	start := 0
	for !bytes.HasPrefix(data[start:], []byte(key)) {
		next := bytes.IndexByte(data[start:], '\n')
		if next < 0 {
			return nil
		}
		start += next + 1
	}
	end := start
	for {
		next := bytes.IndexByte(data[end:], '\n')
		if next < 0 {
			return data[start:]
		}
		end += next + 1
		if end < len(data) && data[end] != ' ' && data[end] != '\n' && data[end] != '\r' && data[end] != '#' {
			return data[start:end]
		}
	}
}
