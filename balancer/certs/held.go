package certs

import (
	"errors"
	"slices"
	"strings"
)

// Kind is where a certificate that a Set has comes from.
type Kind uint8

// The kinds of certificates.
const (
	FromFile      Kind = iota // a pair of files
	FromDirectory             // a file of a directory, read when it was asked for
	FromACME
)

// Held is what a Set has of one part of its [Config], for people to look at. Nothing of it is secret; it is as small for a
// directory of very many certificates as it is for a pair.
type Held struct {
	Kind    Kind
	File    string // of the certificate; the directory; the storage of ACME
	KeyFile string // of a pair
	Host    string // that ACME orders a certificate for
	// Cert is shown now; of a directory, it is the one that expires first among those that are in use. Nil: there is none,
	// since ACME has not obtained it yet, or nobody has asked for a name of the directory.
	Cert    *Choice
	Pending *Pending // what is known of an order that has come to nothing yet; nil: there is none
	Default bool     // a pair is for clients that no other certificate is for, too
	InUse   int      // certificates of a directory that are in memory
	// Refused says why the newest files are not shown; nil: they are. Of a directory it has [mostRefused] at the most, of
	// RefusedAll, and what was found when somebody last asked for the name; that the directory itself cannot be read is one of
	// them, as long as that is so.
	Refused    Errors
	RefusedAll int
}

// mostRefused is how many files of a directory that are wrong are told of.
const mostRefused = 10

// Parts is how many parts of its Config a Set tells of: pairs, directories, and names that ACME orders for.
func (s *Set) Parts() int {
	n := len(s.pairs) + len(s.dirs)
	if s.acme != nil {
		n += len(s.acme.Names())
	}
	return n
}

// Dir is the directory that a part is; "" if it is none. What [Set.Held] tells of it is the same for all Sets, and takes a look at
// all that is in memory: whoever asks for many parts asks once for each directory.
func (s *Set) Dir(part int) string {
	if part -= len(s.pairs); part >= 0 && part < len(s.dirs) {
		return s.dirs[part].path
	}
	return ""
}

// Held tells of one of the parts, which are counted from 0 in the order of [Set.Parts]. It reads no file and waits for
// nobody who does.
func (s *Set) Held(part int) Held {
	if part < len(s.pairs) {
		return s.pairs[part].held(s.index.Load().all[part])
	}
	part -= len(s.pairs)
	if part < len(s.dirs) {
		return s.dirs[part].held()
	}
	name := s.acme.Names()[part-len(s.dirs)]
	h := Held{Kind: FromACME, File: s.acme.Storage(), Host: name}
	list, err := s.ordered(name)
	if list != nil {
		h.Cert = list[0]
	}
	h.Pending, _ = errors.AsType[*Pending](err)
	return h
}

// From is where one of [Set.Choices] comes from, and of a pair, which part that is; otherwise it is -1.
func (s *Set) From(c *Choice) (kind Kind, part int) {
	for i, own := range s.index.Load().all {
		if own.File == c.File { // its certificate may be another one by now
			return FromFile, i
		}
	}
	if s.acme != nil && c.File == s.acme.Storage() {
		return FromACME, -1
	}
	return FromDirectory, -1
}

// held tells of a pair, whose certificate is cert.
func (p *pair) held(cert *Choice) Held {
	h := Held{Kind: FromFile, File: p.file.Cert, KeyFile: p.file.Key, Cert: cert, Default: p.file.Default}
	if wrong := p.wrong.Load(); wrong != nil {
		h.Refused, h.RefusedAll = *wrong, len(*wrong)
	}
	return h
}

// held tells of a directory what is in memory.
func (d *directory) held() Held { return d.memory.held(d.path) }

func (m *cache) held(dir string) Held {
	h := Held{Kind: FromDirectory, File: dir}
	if away := m.place(dir).away.Load(); away != nil {
		h.Refused = Errors{away} // for all names, and for no longer than that
	}
	for _, e := range m.entriesOf(dir) {
		now := e.known()
		h.InUse += len(now.list)
		for _, w := range slices.Concat(now.wrong, now.stale) {
			if w != now.lost {
				h.Refused = append(h.Refused, w)
			}
		}
		for _, c := range now.list {
			if h.Cert == nil || c.NotAfter.Before(h.Cert.NotAfter) {
				h.Cert = c
			}
		}
	}
	slices.SortFunc(h.Refused, func(a, b *Error) int { return strings.Compare(a.File, b.File) })
	h.RefusedAll = len(h.Refused)
	h.Refused = h.Refused[:min(h.RefusedAll, mostRefused)]
	return h
}

// entriesOf are the entries of a directory. Handshakes wait for mu: nothing else is done under it.
func (m *cache) entriesOf(dir string) []*entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(m.of(dir))
}
