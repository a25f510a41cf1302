package terminate

import (
	"log/slog"
	"strings"
	"sync"
	"time"
)

// trust is what a [Policy] goes by at one moment: the terms under which it speaks with clients, and which of their
// certificates are revoked. Both are of one look at their files, and go together. It is not changed.
type trust struct {
	terms *terms
	lists revocations // nil: none
}

// trustFiles are the files of a [ClientAuth]. They are followed together: a change of one is taken only if it goes with what
// is in force of the other, or with what that one has changed to.
type trustFiles struct {
	ca  *watched[*authorities]
	crl *watched[[]*revocationList] // nil: none

	mu     sync.Mutex // held while the files are looked at
	looked time.Time
	ends   reminder
}

// openTrust reads the files for the first time.
func openTrust(a *ClientAuth) (f *trustFiles, lists revocations, wrong FileErrors) {
	f = &trustFiles{}
	var err error
	if f.ca, err = watch(a.CA, false, parseAuthorities); err != nil {
		wrong = append(wrong, fileError(a.CA, err).of("ca"))
	}
	if a.CRL == "" {
		return f, nil, wrong
	}
	if f.crl, err = watch(a.CRL, false, parseLists); err != nil {
		wrong = append(wrong, fileError(a.CRL, err).of("crl"))
	}
	if wrong != nil {
		return f, nil, wrong
	}
	lists, not := revocationsOf(*f.crl.value.Load(), f.authorities(), nil)
	if not != nil {
		wrong = FileErrors{f.blameCRL(not).of("crl")}
	}
	return f, lists, wrong
}

// authorities are those in force.
func (f *trustFiles) authorities() *authorities { return *f.ca.value.Load() }

// read looks at the files, and returns the lists that are in force from now on: before, if nothing is to change. The caller
// holds mu.
func (f *trustFiles) read(before revocations, log *slog.Logger) revocations {
	f.ca.read(log)
	if f.crl == nil {
		if f.ca.next != nil {
			f.ca.take(log)
		}
		return nil
	}
	f.crl.read(log)
	ca, crl := f.ca.next != nil, f.crl.next != nil
	if !ca && !crl {
		return before
	}
	lists, not := f.fit(ca, crl, before)
	switch {
	case not == nil:
	case ca && crl: // they may still be good one by one
		why := not
		if lists, not = f.fit(true, false, before); not == nil {
			f.crl.postpone(f.blameCRL(why), log)
			crl = false
		} else if lists, not = f.fit(false, true, before); not == nil {
			f.ca.postpone(f.blameCA(why), log)
			ca = false
		} else {
			f.ca.postpone(f.blameCA(why), log)
			f.crl.postpone(f.blameCRL(why), log)
			return before
		}
	case ca:
		f.ca.postpone(f.blameCA(not), log)
		return before
	default:
		f.crl.postpone(f.blameCRL(not), log)
		return before
	}
	if ca {
		f.ca.take(log)
	}
	if crl {
		f.crl.take(log)
	}
	f.ends.looked = time.Time{} // whatever is wrong with what is new is told now
	return lists
}

// fit puts together what the files have changed to, of those that are asked for, and what is in force of the others.
func (f *trustFiles) fit(ca, crl bool, before revocations) (revocations, *misfit) {
	trusted, lists := f.authorities(), *f.crl.value.Load()
	if ca {
		trusted, before = *f.ca.next, nil // who was below the authorities before is nobody to these
	}
	if crl {
		lists = *f.crl.next
	}
	return revocationsOf(lists, trusted, before)
}

func (f *trustFiles) blameCRL(not *misfit) *FileError {
	return &FileError{File: f.crl.path, Why: not.why, Hint: not.hint}
}

func (f *trustFiles) blameCA(not *misfit) *FileError {
	return &FileError{File: f.ca.path, Why: "it does not go with " + f.crl.path + ": " + strings.Replace(not.why, "it holds", "that one holds", 1),
		Hint: "renew the list, too: both are taken as soon as they go together"}
}

// Follow looks at the files of client_auth, takes what has changed and is sound, and speaks of lists that end. It is for whoever
// has p in force, about once a second; clients that come do so, too.
func (p *Policy) Follow(now time.Time, log *slog.Logger) {
	if p.files != nil {
		p.files.mu.Lock()
		defer p.files.mu.Unlock()
		p.look(now, log)
	}
}

// trusted is what p goes by now.
func (p *Policy) trusted(now time.Time, log *slog.Logger, aside aside) *trust {
	if f := p.files; f != nil {
		aside.ifDue(&f.mu, &f.looked, now, func() { p.look(now, log) })
	}
	return p.trust.Load()
}

// look puts in force what the files have changed to, authorities and lists at once. p.files.mu is held.
func (p *Policy) look(now time.Time, log *slog.Logger) {
	f, before := p.files, p.trust.Load()
	f.looked = now
	authorities := f.authorities()
	next := &trust{terms: before.terms, lists: f.read(before.lists, log)}
	if f.authorities() != authorities {
		next.terms = p.newTerms(f.authorities(), before.terms.tickets)
	}
	p.trust.Store(next)
	if f.crl != nil {
		f.ends.remind(f.crl.path, next, now, log)
	}
}

// ListEnd tells until when p has good lists of revoked certificates. It is the zero ListEnd where there are none, or they have no
// end.
func (p *Policy) ListEnd() ListEnd {
	if ends := p.trust.Load().lists.ends(); len(ends) > 0 {
		return ListEnd{p.files.crl.path, ends[0].end}
	}
	return ListEnd{}
}
