package certs

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ErrNone says that there is no certificate for the name of a handshake, or none for a handshake without a name. It
// never means that one could not be read now: that is another error. A caller of crypto/tls returns neither certificate
// nor error in its place, and the client gets the alert unrecognized_name.
var ErrNone = errors.New("certs: no certificate for this name")

// Source gives the certificate for a handshake. Implementations are safe for any number of goroutines.
type Source interface {
	// Certificate returns the certificate to show, which the caller must not change, or [ErrNone].
	Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
}

// Config says where the certificates of a Set are. Its paths are absolute. It is not changed once given to [Open].
type Config struct {
	Pairs []PairFile // of equal fitness, the first is preferred
	Dirs  []string   // directories of certificates, in this order
	CA    string     // PEM: authorities that the other side of a connection is verified with; "": none are named
	// Hosts are those of the route, as for [Set.Covers]; "" stands for hellos without a name. A changed pair that would leave
	// one of them without a certificate is not taken. They are no part of [Set.Equal], but of the route.
	Hosts []string
}

// PairFile is a certificate with its chain, and its private key.
type PairFile struct {
	Cert         string // PEM: the certificate, then its chain
	Key          string // PEM; the same path as Cert if one file holds both
	Default      bool   // also for handshakes whose name no certificate is for, or without one
	AllowExpired bool   // an expired certificate is a warning and no mistake
	Client       bool   // it is that of a client, for servers to see

	base string // of a directory: the name of the file without what says how it is written; "": it has none to go by
}

// Set is what one route terminates with, or what a pool shows to its backends and trusts them by. It is safe for any number of goroutines.
type Set struct {
	cfg      *Config
	acme     ACME    // nil: none
	pairs    []*pair // in the order of cfg
	dirs     []*directory
	ca       *authorities // nil: none are named
	warnings []*Error
	index    atomic.Pointer[index] // of pairs
	log      atomic.Pointer[slog.Logger]
	mu       sync.Mutex // held while files are looked at again
}

// Open reads and checks what cfg names, keeps it in memory and starts nothing: files are looked at again once the Set is
// given to a [Keeper]. Directories are only looked at, and their certificates read when they are asked for. The error is
// [Errors], with all that is wrong.
func Open(cfg *Config) (*Set, error) {
	s := &Set{cfg: cfg}
	s.log.Store(slog.New(slog.DiscardHandler))
	var wrong Errors
	for i := range cfg.Pairs {
		p, errs := openPair(i, cfg.Pairs[i])
		wrong = append(wrong, errs...)
		s.pairs = append(s.pairs, p)
	}
	for i, path := range cfg.Dirs {
		d := &directory{path: path, number: i, memory: memory}
		if err := d.check(); err != nil {
			wrong = append(wrong, err)
		}
		s.dirs = append(s.dirs, d)
	}
	if cfg.CA != "" {
		var err *Error
		if s.ca, err = openAuthorities(cfg.CA); err != nil {
			wrong = append(wrong, err)
		}
	}
	if wrong != nil {
		return nil, wrong
	}
	for _, p := range s.pairs {
		s.warnings = append(s.warnings, p.loaded.warnings...)
	}
	s.index.Store(newIndex(s.pairs, nil))
	return s, nil
}

// Certificate returns the certificate for a handshake, as [Set.Choose] chooses it.
func (s *Set) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c, err := s.Choose(hello)
	if err != nil {
		return nil, err
	}
	return c.Certificate, nil
}

// Challenge returns the certificate that answers a validation by TLS-ALPN-01, or [ErrNone]. It is for a hello that offers
// [ChallengeProtocol] and nothing else: the handshake must choose that protocol and must ask for no client certificate,
// and the connection ends after it (RFC 8737 §3). What answers is in the storage, which may be on a file system that does not:
// anybody can ask, so that it is waited for as for a directory.
func (s *Set) Challenge(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if !s.orders(normal(hello.ServerName)) {
		return nil, ErrNone
	}
	var cert *tls.Certificate
	var err error
	storage := memory.place(s.acme.Storage())
	wrong := newAsking(waiterOf(hello)).aside(storage, func() {
		leave, stuck := storage.enter(make(chan struct{}, 1))
		if stuck != nil {
			err = stuck
			return
		}
		defer leave()
		cert, err = s.acme.Challenge(hello)
	})
	if wrong != nil {
		return nil, wrong
	}
	return cert, err
}

// Default returns the certificate for a handshake without a name: the preferred one of those that are defaults, whole; nil
// if there is none.
func (s *Set) Default() *tls.Certificate {
	if all := s.index.Load().defaults; len(all) > 0 {
		return all[0].Certificate
	}
	return nil
}

// Authorities returns what the file of Config.CA held when it was last good; nil if none is named.
func (s *Set) Authorities() *x509.CertPool {
	if s.ca == nil {
		return nil
	}
	return s.ca.pool.Load()
}

// Names are the names that the certificates of pairs are for and that ACME orders for, sorted. Those of directories
// are not among them.
func (s *Set) Names() []string {
	names := s.index.Load().names()
	if s.acme != nil {
		names = append(names, s.acme.Names()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Pairs are the certificates of the pairs, in their order.
func (s *Set) Pairs() []*Choice { return s.index.Load().all }

// Warnings are what Open found that is allowed, and yet probably not meant.
func (s *Set) Warnings() []*Error { return s.warnings }

// Order has certificates ordered for the names of a, as long as the Set is kept. It is called once, before the Set is used,
// and typically for names that [Set.Choices] has no certificate for.
func (s *Set) Order(a ACME) { s.acme = a }

// Equal reports whether other is a *Set that was opened with the same Config and orders the same. What the files hold does not matter: both
// follow them.
func (s *Set) Equal(other any) bool {
	o, ok := other.(*Set)
	if !ok || s == nil || o == nil {
		return ok && s == o
	}
	a, b := s.cfg, o.cfg
	ordersSame := s.acme == nil && o.acme == nil
	if s.acme != nil && o.acme != nil {
		ordersSame = s.acme.Equal(o.acme)
	}
	return ordersSame && slices.Equal(a.Pairs, b.Pairs) && slices.Equal(a.Dirs, b.Dirs) && a.CA == b.CA
}

// refresh takes files of pairs, and of authorities, that have changed.
func (s *Set) refresh(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	log, next := s.log.Load(), map[*pair]*loaded{}
	for _, p := range s.pairs {
		if l := p.look(log); l != nil && !p.early(l, now, log) {
			next[p] = l
		}
	}
	if len(next) > 0 {
		s.take(next, log)
	}
	for _, p := range s.pairs {
		p.remind(now, log)
	}
	if s.ca != nil {
		s.ca.refresh(log)
	}
}

// take puts in force what pairs have changed to, unless a host of the route would have no certificate any more: that of
// another site may have been copied over its files. All are tried together first, since names may have moved from one
// pair to another, and then one by one.
func (s *Set) take(next map[*pair]*loaded, log *slog.Logger) {
	together, changed := s.lost(next) == "", false
	for _, p := range s.pairs {
		l := next[p]
		switch {
		case l == nil:
			continue
		case !together:
			if host := s.lost(map[*pair]*loaded{p: l}); host != "" {
				p.refuse(l.stamps, Errors{without(host, p.file)}, log)
				p.waits = l // another pair may come to have the host
				continue
			}
		}
		changed = p.take(l, log) || changed
	}
	if changed {
		s.index.Store(newIndex(s.pairs, nil))
	}
}

// lost returns a host that would have no certificate any more if pairs took what they have changed to; "" if there is none.
func (s *Set) lost(next map[*pair]*loaded) string {
	before, after := newIndex(s.pairs, nil), newIndex(s.pairs, next)
	for _, host := range s.cfg.Hosts {
		if s.covers(before, host) == nil && s.covers(after, host) != nil {
			return cmp.Or(host, "hellos without a server name")
		}
	}
	return ""
}

func without(host string, f PairFile) *Error {
	return &Error{File: f.Cert, Why: "is for other names: there would be no certificate for " + host,
		Hint: "put back one that is for it, or take the host out of the route"}
}

// normal is a name as the index knows it: in lower case, without a trailing dot.
func normal(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
