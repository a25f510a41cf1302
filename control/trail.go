package control

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// trail returns the directory entries that decide what file a path leads to: every link on the way, the file itself,
// and the directory that it lies in. Where the way ends early, its last element is what is missing. All are absolute.
func trail(path string) (on []string) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil
	}
	const most = 40 // links on one path, as in path_resolution(7)
	at, rest := "/", elements(abs)
	for links := 0; len(rest) > 0; {
		next := filepath.Join(at, rest[0]) // at has no links: ".." is what it seems
		rest = rest[1:]
		info, err := os.Lstat(next)
		if err != nil {
			return append(on, next)
		}
		if info.Mode().Type() != fs.ModeSymlink {
			at = next
			continue
		}
		on = append(on, next)
		to, err := os.Readlink(next)
		if links++; err != nil || links > most {
			return on
		}
		if filepath.IsAbs(to) {
			at = "/"
		}
		rest = append(elements(to), rest...)
	}
	if dir := filepath.Dir(at); dir != "/" {
		on = append(on, dir)
	}
	return append(on, at)
}

// elements are the elements of a path.
func elements(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == filepath.Separator })
}

// stamp is what tells cheaply that a file is another one, or another content. The zero stamp is that of no file.
type stamp struct {
	device, inode uint64
	mode          fs.FileMode
	size          int64
	modified      time.Time
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{mode: info.Mode(), size: info.Size(), modified: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.device, s.inode = uint64(st.Dev), st.Ino //nolint:unconvert // it is narrower elsewhere
	}
	return s
}

// stampAt is the stamp of the file that path leads to.
func stampAt(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stampOf(info)
}
