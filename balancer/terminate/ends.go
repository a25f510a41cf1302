package terminate

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// ListEnd is until when there is a good list of every authority that a ClientAuth.CRL has lists of. From then on clients of
// one of them are refused.
type ListEnd struct {
	File  string
	Until time.Time
}

// listEnd is until when there is a good list of one authority.
type listEnd struct {
	issuer string
	warn   time.Time // from when on it ends soon
	end    time.Time
}

// A list is renewed in the last part of its time, and by many authorities on the last days only. So it ends soon when a
// day is left, or, of one that is good for less than three, a third of its time.
const listEndsSoon = 24 * time.Hour

// ends returns for each authority when the last of its lists ends; the first to end comes first. Those that have a list without
// an end are left out, and so are those that nobody is known to be trusted by: their lists are for nothing, or for
// clients that have not come yet.
func (r revocations) ends() (all []listEnd) {
	type authority struct{ name, key string }
	last := map[authority]listEnd{}
	endless := map[authority]bool{}
	for name, lists := range r {
		for _, l := range lists {
			by := l.signer
			if by == nil {
				by = l.below.Load()
			}
			if by == nil {
				continue
			}
			a := authority{name, string(by.RawSubjectPublicKeyInfo)}
			end := l.NextUpdate
			endless[a] = endless[a] || end.IsZero()
			if before, is := last[a]; !is || end.After(before.end) {
				last[a] = listEnd{l.Issuer.String(), end.Add(-min(listEndsSoon, end.Sub(l.ThisUpdate)/3)), end}
			}
		}
	}
	for a, e := range last {
		if !endless[a] {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b listEnd) int { return a.end.Compare(b.end) })
	return all
}

// without are the authorities that have no list, so that clients of theirs are refused. One that has issued another of them is
// left out, as it rarely has clients of its own; and so are client certificates that are trusted themselves.
func (r revocations) without(trusted *authorities) (names []string) {
	for _, ca := range trusted.all {
		listed := slices.ContainsFunc(r[string(ca.RawSubject)], func(l *revocation) bool { return l.signedBy(ca) })
		above := slices.ContainsFunc(trusted.all, func(c *x509.Certificate) bool {
			return bytes.Equal(c.RawIssuer, ca.RawSubject) && !bytes.Equal(c.RawSubject, ca.RawSubject)
		})
		if name := ca.Subject.String(); ca.IsCA && !listed && !above && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// describe has a line for each list, by issuer.
func (r revocations) describe() (lines []string) {
	for _, lists := range r {
		for _, l := range lists {
			revoked := 0
			for _, is := range l.serials {
				if is {
					revoked++
				}
			}
			next := "that names no end"
			if !l.NextUpdate.IsZero() {
				next = "until " + l.NextUpdate.UTC().Format(time.RFC3339)
			}
			lines = append(lines, escaped(fmt.Sprintf("client certificates revoked by %.128s: %d, by a list %s", l.Issuer, revoked, next)))
		}
	}
	slices.Sort(lines)
	return lines
}

// reminder speaks of the ends of lists and of authorities that no list is of, of each once a day.
type reminder struct {
	looked time.Time
	told   map[string]time.Time // by what was said
}

// How often the ends of lists are looked at, and how often the log speaks of one.
const (
	lookAtEnds = time.Minute
	tellOfEnds = 24 * time.Hour
)

func (m *reminder) remind(file string, in *trust, now time.Time, log *slog.Logger) {
	if now.Sub(m.looked) < lookAtEnds && now.Sub(m.looked) >= 0 {
		return
	}
	m.looked = now
	told := map[string]time.Time{}
	say := func(level slog.Level, text, authority string, more ...slog.Attr) {
		at, is := m.told[text+authority]
		if !is || now.Sub(at) >= tellOfEnds {
			at = now
			log.LogAttrs(context.Background(), level, text,
				append([]slog.Attr{slog.String("file", file), slog.String("authority", authority)}, more...)...)
		}
		told[text+authority] = at
	}
	for _, e := range in.lists.ends() {
		next := slog.Time("next_update", e.end)
		switch {
		case !now.Before(e.end):
			say(slog.LevelError, "a list of revoked certificates has expired: clients of its authority are refused", e.issuer, next)
		case !now.Before(e.warn):
			say(slog.LevelWarn, "a list of revoked certificates ends soon: from then on clients of its authority are refused", e.issuer, next)
		}
	}
	for _, name := range in.lists.without(in.terms.trusted) {
		say(slog.LevelWarn, "there is no list of revoked certificates of an authority in ca: its clients are refused", name)
	}
	m.told = told
}
