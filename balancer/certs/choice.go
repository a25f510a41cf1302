package certs

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Choice is a certificate that a Set has for a name. It must not be changed.
type Choice struct {
	Certificate *tls.Certificate // Leaf is set
	File        string           // of the certificate; of ACME, the storage directory
	Key         string           // "ECDSA P-256", "RSA 2048", "Ed25519"
	Names       []string         // that the certificate is for
	NotAfter    time.Time        // when it expires
	Taken       time.Time        // when it was read from its file; of ACME, zero
	Default     bool             // no certificate is for the name: this is the default

	rank uint8 // of the key
}

// Choose returns the certificate for a handshake: one for the very name before one for its wildcard, ECDSA before Ed25519
// before RSA among those that the client can use, and a default only where the operator has named one. If the client can
// use none of those for its name, it is the first of them, and crypto/tls refuses with the alert that is right.
//
// The error is [ErrNone], or says which file would be for the name and what is wrong with it. Where a certificate is on its way
// into a directory it may take a moment: see [Waiter].
func (s *Set) Choose(hello *tls.ClientHelloInfo) (*Choice, error) {
	anyName := *hello
	anyName.ServerName = "" // which of them are for the name is decided here
	var first *Choice
	failed := ErrNone
	for c, err := range s.candidates(s.index.Load(), normal(hello.ServerName), newAsking(waiterOf(hello))) {
		switch {
		case err != nil:
			failed = graver(failed, err)
		case anyName.SupportsCertificate(c.Certificate) == nil:
			return c, nil
		case first == nil:
			first = c
		}
	}
	if first != nil {
		return first, nil
	}
	return nil, failed
}

// graver is what is told of two errors, one after the other: that a certificate cannot be read before that there is none.
func graver(a, b error) error {
	if errors.Is(a, ErrNone) {
		return b
	}
	return a
}

// Choices tells what [Set.Choose] chooses from for a name, the preferred first. The client decides among them by what it
// can use. The empty name stands for a handshake without one. The error is that of Choose, and then there are none.
func (s *Set) Choices(name string) ([]*Choice, error) { return s.choices(s.index.Load(), name) }

func (s *Set) choices(pairs *index, name string) ([]*Choice, error) {
	var all []*Choice
	failed := ErrNone
	for c, err := range s.candidates(pairs, normal(name), newAsking(sleeper{})) {
		if err != nil {
			failed = graver(failed, err)
			continue
		}
		all = append(all, c)
	}
	if all != nil {
		failed = nil
	}
	return all, failed
}

// Covers returns nil if a host of a route can be terminated: a name has a certificate, or will have one by ACME; below a
// wildcard "*.example.com", a regular expression "~^…$" or "*" there may be certificates. Otherwise it returns the error
// of [Set.Choose].
func (s *Set) Covers(host string) error { return s.covers(s.index.Load(), host) }

func (s *Set) covers(at *index, host string) error {
	suffix, below := strings.CutPrefix(host, "*.")
	covered := len(s.dirs) > 0
	switch {
	case len(at.defaults) > 0:
		return nil
	case below:
		covered = covered || at.below(normal(suffix))
	case host == "*", strings.HasPrefix(host, "~"):
		covered = covered || len(s.pairs) > 0
	case s.orders(normal(host)):
		return nil
	default:
		_, err := s.choices(at, host)
		return err
	}
	if !covered {
		return ErrNone
	}
	return nil
}

// newChoice describes a certificate whose Leaf is set.
func newChoice(cert *tls.Certificate, file string) *Choice {
	c := &Choice{Certificate: cert, File: file, NotAfter: cert.Leaf.NotAfter}
	c.Key, c.rank = describeKey(cert.Leaf.PublicKey)
	for _, name := range cert.Leaf.DNSNames {
		c.Names = append(c.Names, normal(name))
	}
	return c
}

// isFor reports whether the certificate is for a normal name. Its wildcards stand for one label (RFC 6125 §6.4.3).
func (c *Choice) isFor(name string) bool {
	return slices.Contains(c.Names, name) || slices.Contains(c.Names, wildcardOf(name))
}

// asDefault is c for a name that it is not for.
func (c *Choice) asDefault() *Choice {
	d := *c
	d.Default = true
	return &d
}

// byKey orders by what a handshake costs: an RSA signature costs twenty times one with ECDSA on P-256.
func byKey(a, b *Choice) int { return int(a.rank) - int(b.rank) }

// Ranks of keys, in the order of byKey.
const (
	rankECDSA = iota
	rankEd25519
	rankRSA
)

func describeKey(public any) (text string, rank uint8) {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name, rankECDSA
	case ed25519.PublicKey:
		return "Ed25519", rankEd25519
	case *rsa.PublicKey:
		return "RSA " + strconv.Itoa(k.N.BitLen()), rankRSA
	}
	return fmt.Sprintf("%T", public), rankRSA
}

// wildcardOf is the wildcard that a certificate for a normal name may have; "" if there is none.
func wildcardOf(name string) string {
	if parent := parentOf(name); parent != "" {
		return "*." + parent
	}
	return ""
}

// parentOf is a normal name without its first label; "" if that is all.
func parentOf(name string) string {
	_, parent, _ := strings.Cut(name, ".")
	return parent
}
