package configs

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

// Config is a checked file. It is not changed after loading, and may be read by any number of goroutines.
type Config struct {
	Admin    Admin
	Log      Log
	Balancer balancer.Config
	// Warnings are what is allowed, and yet probably not meant. In file order.
	Warnings []*Error
	// Digest is the SHA-256 of the file in hexadecimal: two Configs with one digest were loaded from the same bytes.
	// Certificates are not part of it, and neither are entries on top of the file.
	Digest string
	// Reload says when the file is loaded again.
	Reload Reload
	// InFile tells for each entry of ParseWith whether the file by itself has something of its kind and name.
	InFile []bool
	// Tests are the route tests of the file, which have passed; nil if it has none.
	Tests *Tests
	// File and Dir are what the file is called, and the directory that its relative paths start at; both as given to
	// [Parse].
	File, Dir string
}

// Admin is where the running process is asked and told things.
type Admin struct {
	Socket string         // absolute path of the unix socket; "" for none
	Listen netip.AddrPort // address of the read-only pages; the zero AddrPort for none
	// StateFile is the absolute path of the file in which changes made at run time outlive a restart; "" for none.
	StateFile string
}

// Log is what is logged, and how.
type Log struct {
	Level       slog.Level
	Format      string // "json" or "text"
	Connections bool   // one line when a connection ends
}

// Reload is when the file is loaded again without being asked for.
type Reload struct {
	Watch bool          // whenever it changes
	Guard time.Duration // how long such a reload, or one by SIGHUP, is guarded; 0: not
}

// Load reads and checks the file at path. Mistakes in the file are [Errors]; any other error says why it could not be
// read.
func Load(path string) (*Config, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	return Parse(path, data, dir)
}

// read reads a file that is not larger than it may be. A pipe or a device is no file: a reload would find it empty,
// or wait for it forever.
func read(path string) ([]byte, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, file.MaxSize+1))
}

// Parse checks the content of a file. The name is for messages; relative paths in the file are relative to dir. It
// keeps nothing of data. The error is [Errors], and then the Config is nil.
func Parse(name string, data []byte, dir string) (*Config, error) {
	return ParseWith(name, data, dir, nil)
}

// ParseWith is [Parse] of a file with entries on top of it, in their order: a put takes the place of what has its name,
// or is added at the end, and a deletion of what is not there does nothing. What entries take away from the file must
// be readable, and is not checked beside the rest. A mistake in an entry has its Origin for the file, and its text for
// the line.
func ParseWith(name string, data []byte, dir string, entries []Entry) (*Config, error) {
	return ParseNoting(nil, name, data, dir, entries)
}

// ParseNoting is [ParseWith], which tells p how far it has come.
func ParseNoting(p *Progress, name string, data []byte, dir string, entries []Entry) (*Config, error) {
	c := &checker{dir: dir, texts: []text{{name: name, data: data}}, progress: p}
	return c.whole(entries)
}
