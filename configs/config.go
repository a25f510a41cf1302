package configs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

// Config is a checked file. It is not changed after loading, and may be read by any number of goroutines.
type Config struct {
	Admin    Admin
	Log      Log
	Balancer balancer.Config
	// Features are the settings of pools that the balancer does not know yet, by pool name. Pools without any are
	// absent.
	Features map[string]Features
	// Warnings are what is allowed, and yet probably not meant. In file order.
	Warnings []*Error
	// Digest is the SHA-256 of the file in hexadecimal: two Configs with one digest were loaded from the same bytes.
	// Certificates are not part of it.
	Digest string
}

// Admin is where the running process is asked and told things.
type Admin struct {
	Socket string         // absolute path of the unix socket; "" for none
	Listen netip.AddrPort // address of the read-only pages; the zero AddrPort for none
}

// Log is what is logged, and how.
type Log struct {
	Level       slog.Level
	Format      string // "json" or "text"
	Connections bool   // one line when a connection ends
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
	f, mistakes := file.Read(data)
	c := &checker{dir: dir, mistakes: mistakes}
	cfg := &Config{}
	if f != nil {
		c.file(f, cfg)
	}
	if errs := illustrate(name, data, c.mistakes); errs != nil {
		return nil, errs
	}
	cfg.Warnings = illustrate(name, data, c.warnings)
	sum := sha256.Sum256(data)
	cfg.Digest = hex.EncodeToString(sum[:])
	return cfg, nil
}

// checker gives the keys their meaning, and keeps what is wrong with it.
type checker struct {
	dir      string
	mistakes []file.Mistake
	warnings []file.Mistake
}

// placed is whatever knows its place in the file.
type placed interface{ Place() file.At }

// maxMistakes bounds what is said about one file: nobody reads on.
const maxMistakes = 1000

func (c *checker) errorf(at placed, hint, format string, args ...any) {
	c.mistakes = note(c.mistakes, at, hint, format, args)
}

func (c *checker) warnf(at placed, hint, format string, args ...any) {
	c.warnings = note(c.warnings, at, hint, format, args)
}

func note(list []file.Mistake, at placed, hint, format string, args []any) []file.Mistake {
	switch {
	case len(list) > maxMistakes:
		return list
	case len(list) == maxMistakes:
		hint, format, args = "", "more than %d of these; the rest is not shown", []any{maxMistakes}
	}
	return append(list, file.Mistake{At: at.Place(), Msg: fmt.Sprintf(format, args...), Hint: hint})
}

// path makes a path of the file absolute.
func (c *checker) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dir, p)
}

// file checks a whole file. Each part is checked even where another one is wrong, so that all mistakes are seen.
func (c *checker) file(f *file.File, cfg *Config) {
	cfg.Admin = c.admin(&f.Admin)
	cfg.Log = Log{Level: f.Log.Level.V, Format: f.Log.Format.V, Connections: f.Log.Connections.V}
	names := c.names(f)
	b := &cfg.Balancer
	b.MaxConnections = f.MaxConnections.V
	b.Drain = balancer.Drain{Announce: f.Drain.Announce.V, Max: f.Drain.Max.V}
	b.Listeners = c.listeners(f, names)
	b.Routes = c.routes(f, names)
	b.Pools, cfg.Features = c.pools(f)
	c.addresses(f)
	c.use(f, names)
}

// maxSocketPath is the longest path that fits sockaddr_un with its NUL (unix(7)).
const maxSocketPath = 107

func (c *checker) admin(a *file.Admin) Admin {
	socket := c.path(a.Socket.V)
	if len(socket) > maxSocketPath {
		c.errorf(a.Socket, "choose a shorter one, such as /run/switchyard/admin.sock",
			"socket: the path has %d bytes; the path of a unix socket has at most %d", len(socket), maxSocketPath)
	}
	return Admin{Socket: socket, Listen: a.Listen.V}
}
