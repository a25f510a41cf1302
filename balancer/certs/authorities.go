package certs

import (
	"crypto/x509"
	"log/slog"
	"sync/atomic"
)

// authorities is the file of [Config.CA] with what it held when it was last good.
type authorities struct {
	path string
	pool atomic.Pointer[x509.CertPool] // never nil once it was opened
	// wrong is why the file as it is now is not taken, once that is told; nil: it is.
	wrong atomic.Pointer[Error]

	// Of the keeper's goroutine, under Set.mu.
	stamp   Stamp // of the file, when pool was read
	refused Stamp // what it was at the last look, if it was broken then
	broken  bool
	told    bool // the log says so
}

// openAuthorities reads the file for the first time. It returns something even if something is wrong.
func openAuthorities(path string) (a *authorities, wrong *Error) {
	a = &authorities{path: path}
	var pool *x509.CertPool
	pool, a.stamp, wrong = loadAuthorities(path)
	a.pool.Store(pool)
	return a, wrong
}

// Authorities reads the certificates to trust out of a file in PEM. A file that holds none is an error, and so is one of which
// anything is damaged: to go on without it would be to trust somebody else.
func Authorities(path string, data []byte) (all []*x509.Certificate, wrong *Error) {
	for b, wrong := range Blocks(path, data) {
		if wrong != nil {
			return nil, wrong
		}
		if !b.isCertificate() {
			continue
		}
		cert, wrong := b.certificate()
		if wrong != nil {
			return nil, wrong
		}
		all = append(all, cert)
	}
	if len(all) == 0 {
		return nil, HoldsNo(path, data, "CERTIFICATE")
	}
	return all, nil
}

// loadAuthorities reads a file of authorities.
func loadAuthorities(path string) (pool *x509.CertPool, stamp Stamp, wrong *Error) {
	f, wrong := readFile(path, maxAuthorities, false)
	var all []*x509.Certificate
	if wrong == nil {
		all, wrong = Authorities(path, f.Data)
	}
	if wrong != nil {
		wrong.Part = PartCA
		return nil, f.Stamp, wrong
	}
	pool = x509.NewCertPool()
	for _, cert := range all {
		pool.AddCert(cert)
	}
	return pool, f.Stamp, nil
}

// refresh takes the file if it has changed and is good. Whatever is wrong with it is told once, and only if it is still so
// at the next look.
func (a *authorities) refresh(log *slog.Logger) {
	now := StampOf(a.path)
	switch {
	case a.stamp.Unchanged(now):
		a.whole()
		return
	case a.told && a.refused.Unchanged(now):
		return
	}
	pool, stamp, wrong := loadAuthorities(a.path)
	if wrong != nil {
		a.refuse(stamp, wrong, log)
		return
	}
	if !pool.Equal(a.pool.Load()) { // otherwise nobody is to see a change
		a.pool.Store(pool)
		log.Info("authorities taken", "file", a.path)
	}
	a.stamp = stamp
	a.whole()
}

// whole notes that what is in force is what the file holds.
func (a *authorities) whole() {
	a.broken, a.told = false, false
	a.wrong.Store(nil)
}

func (a *authorities) refuse(stamp Stamp, wrong *Error, log *slog.Logger) {
	again := a.broken && a.refused.same(stamp)
	a.broken, a.refused = true, stamp
	if again || a.told {
		a.wrong.Store(wrong)
	}
	if again && !a.told {
		a.told = true
		log.Error("authorities not taken: those before them stay", wrong.attrs()...)
	}
}
