package certs

import (
	"bytes"
	"context"
	"crypto"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"
)

// pair is one [PairFile] with what its files held when they were last good.
type pair struct {
	file   PairFile
	number int // in Config.Pairs
	loaded
	wrong atomic.Pointer[Errors] // why the newest files are not taken, once that is told; nil: they are

	// Of the keeper's goroutine, under Set.mu.
	broken  bool      // the files were, at the last look
	refused [2]Stamp  // what they were then
	told    bool      // the log says so
	waits   *loaded   // good, and refused for the time being: see early, and Set.take; nil: none
	warned  time.Time // when the log last spoke of the end of the certificate
}

// loaded is what the files of a pair held.
type loaded struct {
	cert     *Choice
	stamps   [2]Stamp // of the certificate and of the key, when they were read
	warnings []*Error
}

// How often files that do not belong together are read again at first, and after how long; each pause is twice the one
// before it, 127 ms in all. They may be on their way, one rename after the other.
const (
	swapTries = 8
	swapPause = time.Millisecond
	// swapReads is how often a pair of a directory is read that is another one each time, and never whole.
	swapReads = 8 * swapTries
)

// openPair reads a pair for the first time. It returns one even if something is wrong.
func openPair(number int, f PairFile) (p *pair, wrong Errors) {
	p = &pair{file: f, number: number}
	pause := swapPause
	for try := 1; ; try++ {
		if p.loaded, wrong = load(f); !isMismatch(wrong) || try == swapTries {
			break
		}
		time.Sleep(pause)
		pause *= 2
	}
	if wrong == nil {
		p.loaded.warnings = append(p.loaded.warnings, misgivings(f, p.cert)...)
	}
	for _, e := range slices.Concat(p.loaded.warnings, wrong) {
		e.Index = number
	}
	return p, wrong
}

func isMismatch(wrong Errors) bool {
	return slices.ContainsFunc(wrong, func(e *Error) bool { return e.mismatch })
}

// load reads the files of a pair and checks them. The stamps are those of what was read, even if something is wrong.
func load(f PairFile) (l loaded, wrong Errors) {
	cert, inCert := l.read(PartCert, f.Cert, f.Key == f.Cert, &wrong)
	defer clear(cert.Data)
	key, inKey := cert, inCert
	if f.Key != f.Cert {
		if inCert.key != nil {
			warning, access := strayKey(f.Cert, &cert)
			l.add(PartCert, warning, access, &wrong)
		}
		key, inKey = l.read(PartKey, f.Key, true, &wrong)
		defer clear(key.Data) // what is left of the key is in the certificate
	}
	l.stamps = [2]Stamp{cert.Stamp, key.Stamp}
	if inKey.key != nil { // otherwise there is worse to say
		l.add(keyPart(f), nil, key.access, &wrong)
	}
	if wrong != nil {
		return l, wrong
	}
	var bad *Error
	if l.cert, bad = parse(f, inCert, inKey); bad != nil {
		return l, Errors{bad}
	}
	if bad = f.misplaced(l.cert); bad != nil {
		return l, Errors{bad}
	}
	warning, bad := checkValidity(f, l.cert.Certificate.Leaf, time.Now())
	l.add(PartCert, warning, bad, &wrong)
	return l, wrong
}

// read reads one file of a pair. It returns something even if something is wrong.
func (l *loaded) read(part Part, path string, secret bool, wrong *Errors) (File, *content) {
	file, bad := readFile(path, maxPair, secret)
	l.add(part, file.Warning, bad, wrong)
	if bad != nil {
		return file, &content{}
	}
	c, bad := contentOf(path, file.Data)
	l.add(part, nil, bad, wrong)
	return file, c
}

// strayKey looks at who may touch a file of a certificate that has a key in it, although the key is named elsewhere: often it is
// the same one.
func strayKey(path string, f *File) (warning, wrong *Error) {
	warning, wrong, err := checkAccess(path, f.Stamp.info)
	if err != nil {
		f.Stamp = Stamp{} // it is read again, changed or not
		return nil, unreadable(path, err)
	}
	for _, e := range [...]*Error{warning, wrong} {
		if e != nil {
			e.Why = "has a private key in it, and " + e.Why
		}
	}
	return warning, wrong
}

// keyPart is the part of a Config that names the file of a key.
func keyPart(f PairFile) Part {
	if f.Key == f.Cert {
		return PartCert
	}
	return PartKey
}

func (l *loaded) add(part Part, warning, bad *Error, wrong *Errors) {
	if warning != nil {
		warning.Part = part
		l.warnings = append(l.warnings, warning)
	}
	if bad != nil {
		bad.Part = part
		*wrong = append(*wrong, bad)
	}
}

// refresh takes the files of a pair if they have changed and are good, and reports whether the certificate is another
// one. Whatever is wrong with them is told once, and only if it is still so at the next look.
func (p *pair) refresh(log *slog.Logger) (changed bool) {
	l := p.look(log)
	return l != nil && !p.early(l, time.Now(), log) && p.take(l, log)
}

// early reports whether what look returned is not good yet, while what is there is: it is refused until it is, so that no client
// meets the gap.
func (p *pair) early(l *loaded, now time.Time, log *slog.Logger) bool {
	next, present := l.cert.Certificate.Leaf, p.cert.Certificate.Leaf
	if !now.Before(next.NotBefore) || now.Before(present.NotBefore) || now.After(present.NotAfter) {
		return false
	}
	p.refuse(l.stamps, Errors{notBefore(p.file, next, "it is taken then; is the clock right?")}, log)
	p.waits = l
	return true
}

// look returns what the files of a pair hold if they have changed and are good; otherwise nil.
func (p *pair) look(log *slog.Logger) *loaded {
	now := [2]Stamp{StampOf(p.file.Cert), StampOf(p.file.Key)}
	switch {
	case p.stamps[0].Unchanged(now[0]) && p.stamps[1].Unchanged(now[1]):
		p.whole()
		return nil
	case p.told && p.refused[0].Unchanged(now[0]) && p.refused[1].Unchanged(now[1]):
		return p.waits
	}
	p.waits = nil
	l, wrong := load(p.file)
	if wrong != nil {
		p.refuse(l.stamps, wrong, log)
		return nil
	}
	return &l
}

// take puts in force what look returned, and reports whether the certificate is another one.
func (p *pair) take(l *loaded, log *slog.Logger) (changed bool) {
	if samePair(p.cert, l.cert) {
		l.cert = p.cert // so that nobody sees a change
	} else {
		changed = true
		p.warned = time.Time{}
		log.Info("certificate taken", "file", p.file.Cert, "key", l.cert.Key, "not_after", l.cert.NotAfter)
	}
	p.loaded = *l
	p.whole()
	return changed
}

// whole notes that what is shown is what the files hold.
func (p *pair) whole() {
	p.broken, p.told, p.waits = false, false, nil
	p.wrong.Store(nil)
}

func (p *pair) refuse(stamps [2]Stamp, wrong Errors, log *slog.Logger) {
	again := p.broken && p.refused[0].same(stamps[0]) && p.refused[1].same(stamps[1])
	p.broken, p.refused = true, stamps
	if again || p.told {
		p.wrong.Store(&wrong)
	}
	if !again || p.told || !log.Enabled(context.Background(), slog.LevelError) { // a Set that is not in force tells nothing
		return
	}
	p.told = true
	for _, e := range wrong {
		log.Error("certificate not taken: the one before it stays", e.attrs()...)
	}
}

// remind speaks of the end of a certificate, once a day.
func (p *pair) remind(now time.Time, log *slog.Logger) {
	leaf := p.cert.Certificate.Leaf
	if now.Before(warnFrom(leaf)) || now.Sub(p.warned) < 24*time.Hour {
		return
	}
	p.warned = now
	if now.After(leaf.NotAfter) {
		log.Error("certificate has expired", "file", p.file.Cert, "not_after", leaf.NotAfter)
		return
	}
	log.Warn("certificate expires soon", "file", p.file.Cert, "not_after", leaf.NotAfter)
}

// samePair reports whether two certificates are the same, with their chains and keys.
func samePair(a, b *Choice) bool {
	key, ok := a.Certificate.PrivateKey.(interface{ Equal(crypto.PrivateKey) bool })
	return ok && key.Equal(b.Certificate.PrivateKey) &&
		slices.EqualFunc(a.Certificate.Certificate, b.Certificate.Certificate, bytes.Equal)
}
