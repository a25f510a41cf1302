package certs

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// directory is one of Config.Dirs: certificates in files that are named for what they are for. The file system is the
// index of it, so that 100 000 certificates cost nothing until somebody asks for them.
//
//	a.example.com.pem                     certificate, chain and key in one, in any order of the key among them
//	a.example.com.pem.ecdsa, .pem.rsa     the same, side by side
//	a.example.com.crt, a.example.com.key  certificate with chain, and key
//	_.example.com.pem, *.example.com.pem  for names one label below example.com
//	example.com.pem                       for these too, if its certificate has *.example.com
//
// Certificates of files that are not named so are not found, whatever they are for.
type directory struct {
	path   string
	number int    // in Config.Dirs
	memory *cache // of what was read; one for the process
}

// base is the name of a file without what says how it is written.
type base struct {
	name string
	want string // a name or a wildcard that its certificate must be for; "": whatever it is for
}

// exactBases are where the certificate of a name is.
func exactBases(name string) []base { return []base{{name, name}} }

// wildcardBases are where a certificate for the wildcard of a name may be.
func wildcardBases(name string) []base {
	wildcard, parent := wildcardOf(name), parentOf(name)
	if parent == "" {
		return nil
	}
	return []base{{"_." + parent, wildcard}, {wildcard, wildcard}, {parent, ""}}
}

// variants are the ways to write the files of a base name.
func variants(path string) [4]PairFile {
	base := filepath.Base(path)
	one := func(ext string) PairFile {
		return PairFile{Cert: path + ext, Key: path + ext, AllowExpired: true, base: base}
	}
	return [...]PairFile{
		one(".pem"), one(".pem.ecdsa"), one(".pem.rsa"),
		{Cert: path + ".crt", Key: path + ".key", AllowExpired: true, base: base},
	}
}

// misplaced says that a certificate is for nothing that the name of its file is looked for.
func (f *PairFile) misplaced(c *Choice) *Error {
	want := f.base
	if parent, wildcard := strings.CutPrefix(want, "_."); wildcard {
		want = "*." + parent
	}
	if want == "" || c.isFor(want) || c.isFor("*."+want) {
		return nil
	}
	return notFor(c, want)
}

// notFor says that a certificate is in a file with the name of another one.
func notFor(c *Choice, want string) *Error {
	return &Error{File: c.File, Why: "is not for " + want, Hint: "the name of a file says what it is for", misplaced: true}
}

// maxName is the longest name that is looked for: that of a host (RFC 1035 §2.3.4).
const maxName = 253

// isFileName reports whether a normal name, which a stranger has sent, can be a part of a path that leads nowhere else.
func isFileName(name string) bool {
	return name != "" && len(name) <= maxName && name[0] != '.' && !strings.ContainsFunc(name, notOfHost)
}

func notOfHost(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}

// check looks at the directory itself.
func (d *directory) check() *Error {
	f, err := os.Open(d.path)
	if err != nil {
		return d.wrong(unreadable(d.path, err))
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return d.wrong(unreadable(d.path, err))
	} else if !info.IsDir() {
		return d.wrong(&Error{File: d.path, Why: "is not a directory"})
	}
	return nil
}

// read returns the certificates for a normal name in the files of a base name. What is on its way is waited for as asking does.
func (d *directory) read(b base, name string, log *slog.Logger, asking *asking) (list []*Choice, err error) {
	entry := d.memory.entry(d.path, b.name)
	now := entry.look(log, asking)
	if now.lost != nil {
		entry.place.tell(now.lost, log)
	}
	for _, e := range now.wrong {
		if e.outage && e != now.lost {
			entry.place.tell(e, log)
		}
		if e.misplaced && b.want == "" {
			continue // it might have had the wildcard, and is known not to
		}
		err = errors.Join(err, d.wrong(e))
	}
	for _, c := range now.list {
		switch {
		case b.want != "" && !c.isFor(b.want):
			err = errors.Join(err, d.wrong(notFor(c, b.want)))
		case c.isFor(name):
			list = append(list, c)
		}
	}
	return list, err
}

// place is the directory in the file system.
func (d *directory) place() *place { return d.memory.place(d.path) }

// wrong is e as a mistake of this directory.
func (d *directory) wrong(e *Error) *Error {
	own := *e
	own.Part, own.Index = PartDir, d.number
	return &own
}
