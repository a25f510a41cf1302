package configs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/configs/internal/file"
	"github.com/seed-23b4a313/switchyard/route"
)

// checker gives the keys their meaning, and keeps what is wrong with it. It checks a file, with entries on top of it
// or without, or one request to change what runs; each of these is a text.
type checker struct {
	dir      string
	texts    []text // by file.At.Text; the first one is the file, or the request
	mistakes []file.Mistake
	warnings []file.Mistake
	progress *Progress             // nil: nobody asks
	trusted  map[string]*certs.Set // the authorities of health checks, by path; one without mistakes
}

// text is what is checked, and what messages call it.
type text struct {
	name   string
	data   []byte
	hidden map[int32]bool // lines that may hold what nobody is to see: none is shown, whatever is said of it
}

// hide keeps the line of at out of all that is said.
func (c *checker) hide(at file.At) {
	t := &c.texts[at.Text]
	if t.hidden == nil {
		t.hidden = map[int32]bool{}
	}
	t.hidden[at.Line] = true
}

// placed is whatever knows its place in a text.
type placed interface{ Place() file.At }

// maxMistakes bounds what is said about one file: nobody reads on.
const maxMistakes = 1000

// errorf notes a mistake. What %w stands for is behind it, for [Error.Unwrap].
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
	said := fmt.Errorf(format, args...)
	return append(list, file.Mistake{At: at.Place(), Msg: said.Error(), Hint: hint, Err: errors.Unwrap(said)})
}

// line says where a place is, to somebody who looks at another one: "line 7", or "line 7 of switchyard.yaml".
func (c *checker) line(at, from file.At) string {
	s := "line " + strconv.Itoa(int(at.Line))
	if at.Text != from.Text {
		s += " of " + c.texts[at.Text].name
	}
	return s
}

// path makes a path of the file absolute.
func (c *checker) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dir, p)
}

// whole checks a file with the entries on top of it, and returns what both mean together if nothing is wrong.
func (c *checker) whole(entries []Entry) (*Config, error) {
	name, data := c.texts[0].name, c.texts[0].data
	cfg := &Config{File: name, Dir: c.dir}
	f, mistakes := file.Read(data)
	c.mistakes = mistakes
	var table *route.Table
	if f != nil {
		gone, inFile := c.overlay(f, entries)
		cfg.InFile = inFile
		table = c.file(f, cfg, gone)
	}
	if errs := illustrate(c.texts, c.mistakes); errs != nil {
		return nil, errs
	}
	if table != nil {
		if err := cfg.Tests.Run(table.Snapshot()); err != nil {
			return nil, err
		}
	}
	cfg.Warnings = illustrate(c.texts, c.warnings)
	sum := sha256.Sum256(data)
	cfg.Digest = hex.EncodeToString(sum[:])
	return cfg, nil
}

// file checks a whole file without what entries have deleted. Each part is checked even where another one is wrong, so
// that all mistakes are seen. It returns the routing table if everything is sound and there are tests to try it with.
func (c *checker) file(f *file.File, cfg *Config, gone deleted) *route.Table {
	cfg.Admin = c.admin(&f.Admin)
	cfg.Log = Log{Level: f.Log.Level.V, Format: f.Log.Format.V, Connections: f.Log.Connections.V}
	cfg.Reload = Reload{Watch: f.Reload.Watch.V, Guard: f.Reload.Guard.V}
	n := c.names(f, gone)
	b := &cfg.Balancer
	b.MaxConnections = f.MaxConnections.V
	b.Drain = balancer.Drain{Announce: f.Drain.Announce.V, Max: f.Drain.Max.V}
	c.handshakes(f, b)
	b.Listeners = c.listeners(f, n)
	b.Routes = c.routes(f.Routes, n)
	b.Pools = c.pools(f.Pools)
	c.addresses(f)
	cfg.Tests = c.tests(f, n)
	c.use(f, n)
	c.encrypted(f, b.Routes, n)
	c.covering(f.Routes, b.Routes)
	return c.table(f.Routes, b.RouteSet(), cfg.Tests != nil)
}

// maxSocketPath is the longest path that fits sockaddr_un with its NUL (unix(7)).
const maxSocketPath = 107

func (c *checker) admin(a *file.Admin) Admin {
	socket, state := c.path(a.Socket.V), c.path(a.StateFile.V)
	if len(socket) > maxSocketPath {
		c.errorf(a.Socket, "choose a shorter one, such as /run/switchyard/admin.sock",
			"socket: the path has %d bytes; the path of a unix socket has at most %d", len(socket), maxSocketPath)
	}
	switch self := filepath.Join(c.dir, filepath.Base(c.texts[0].name)); {
	case state == "":
	case filepath.Clean(state) == self:
		c.errorf(a.StateFile, "choose another one, such as /var/lib/switchyard/state.json", "state_file: this is the configuration file itself")
	case socket != "" && filepath.Clean(state) == filepath.Clean(socket):
		c.errorf(a.StateFile, "choose another one, such as /var/lib/switchyard/state.json", "state_file: this is the path of the socket")
	}
	return Admin{Socket: socket, Listen: a.Listen.V, StateFile: state}
}
