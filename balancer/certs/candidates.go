package certs

import (
	"errors"
	"iter"
	"slices"
)

// candidates yields the certificates for a normal name, those of pairs among them, the preferred first, and an error for each file that would have
// one and cannot be read. Defaults are for names without either: a broken file must not turn one host into another.
// What is on its way into a directory is waited for as asking does.
func (s *Set) candidates(pairs *index, name string, asking *asking) iter.Seq2[*Choice, error] {
	return func(yield func(*Choice, error) bool) {
		found := false
		for tier := tierExact; tier <= tierWildcardFile; tier++ {
			list, err := s.tier(tier, pairs, name, asking)
			if err != nil && !yield(nil, err) || !yieldAll(list, yield) {
				return
			}
			found = found || err != nil || len(list) > 0
		}
		if !found {
			yieldAll(pairs.defaults, yield)
		}
	}
}

// Where certificates for a name are looked for, in this order.
const (
	tierExact = iota
	tierExactFile
	tierOrdered
	tierWildcard
	tierWildcardFile
)

func (s *Set) tier(tier int, pairs *index, name string, asking *asking) ([]*Choice, error) {
	switch tier {
	case tierExact:
		return pairs.byName[name], nil
	case tierExactFile:
		return s.inDirs(name, exactBases, asking)
	case tierOrdered:
		return s.ordered(name)
	case tierWildcard:
		return pairs.byName[wildcardOf(name)], nil
	default:
		return s.inDirs(name, wildcardBases, asking)
	}
}

// yieldAll yields each of a list, and reports whether more are wanted.
func yieldAll(list []*Choice, yield func(*Choice, error) bool) bool {
	for _, c := range list {
		if !yield(c, nil) {
			return false
		}
	}
	return true
}

// inDirs returns the certificates for a normal name in files that are named for it.
func (s *Set) inDirs(name string, bases func(string) []base, asking *asking) (list []*Choice, err error) {
	if len(s.dirs) == 0 || !isFileName(name) {
		return nil, nil
	}
	for _, b := range bases(name) {
		for _, d := range s.dirs {
			found, e := d.read(b, name, s.log.Load(), asking)
			list, err = append(list, found...), errors.Join(err, e)
		}
	}
	slices.SortStableFunc(list, byKey)
	return list, err
}

// ordered returns the certificate that ACME has for a normal name.
func (s *Set) ordered(name string) ([]*Choice, error) {
	if !s.orders(name) {
		return nil, nil
	}
	cert, err := s.acme.Certificate(name)
	if err != nil {
		return nil, err
	}
	return []*Choice{newChoice(cert, s.acme.Storage())}, nil
}

// orders reports whether ACME orders a certificate for a normal name.
func (s *Set) orders(name string) bool {
	return s.acme != nil && slices.Contains(s.acme.Names(), name)
}
