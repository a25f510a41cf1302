package terminate

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// Of each authority the list that ends last counts, and of all authorities the one that has none first.
func TestAListEndsWithTheFirstAuthorityThatHasNone(t *testing.T) {
	t.Parallel()
	ours, partners, others := newIssuer(t, "ours"), newIssuer(t, "partners"), newIssuer(t, "others")
	below := ours.issuer(t, "below")
	now := time.Now().Truncate(time.Second).UTC() // once: a list and what is wanted of it are not made in the same second
	day := func(n int) time.Time { return now.Add(time.Duration(n) * 24 * time.Hour) }
	for _, tt := range []struct {
		name  string
		lists [][]byte
		shown *issuer // has issued the certificate of a client
		want  time.Time
	}{
		{"one list", [][]byte{ours.list(t, day(3))}, nil, day(3)},
		{"a newer list beside an older one", [][]byte{ours.list(t, day(3)), ours.list(t, day(5)), ours.list(t, day(4))}, nil, day(5)},
		{"two authorities", [][]byte{ours.list(t, day(3)), partners.list(t, day(2))}, nil, day(2)},
		{"one that has ended", [][]byte{ours.list(t, day(3)), partners.list(t, day(-2))}, nil, day(-2)},
		{"a list of others", [][]byte{ours.list(t, day(3)), others.list(t, day(1))}, nil, day(3)},
		{"one below ours, of no client", [][]byte{ours.list(t, day(3)), below.list(t, day(1))}, nil, day(3)},
		{"one below ours, of a client", [][]byte{ours.list(t, day(3)), below.list(t, day(1))}, &below, day(1)},
		{"a list without an end", [][]byte{ours.list(t, time.Time{}), partners.list(t, day(2))}, nil, day(2)},
		{"a list without an end beside one that ends", [][]byte{ours.list(t, day(3)), ours.list(t, time.Time{})}, nil, time.Time{}},
	} {
		f := newClientFiles(t)
		f.trust(t, ours, partners)
		f.revoke(t, tt.lists...)
		p := f.policy(t)
		if by := tt.shown; by != nil {
			leaf := by.leaf(t, 7)
			if err := p.trust.Load().lists.allow(chains(leaf, *by, ours), time.Now()); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			f.revoke(t, append(tt.lists, others.list(t, day(9)))...) // of whom clients have come is not forgotten
			p.Follow(time.Now(), quiet)
		}
		end := p.ListEnd()
		if want := (ListEnd{f.crl, tt.want}); end.Until.UTC() != want.Until || end.File != want.File && !want.Until.IsZero() {
			t.Errorf("%s: %v, want %v", tt.name, end, want)
		}
	}
}

// When a list begins to end soon, and what is said from then on.
func TestTheEndOfAListIsToldInTime(t *testing.T) {
	t.Parallel()
	ours := newIssuer(t, "ours")
	start := time.Now().Truncate(time.Second)
	for _, tt := range []struct {
		name       string
		life       time.Duration
		soon, over []time.Duration // before its end, and after it: when the log speaks of it
	}{
		{"thirty days", 30 * 24 * time.Hour, []time.Duration{24 * time.Hour}, []time.Duration{0, 24 * time.Hour}},
		{"two days", 48 * time.Hour, []time.Duration{16 * time.Hour}, []time.Duration{0, 24 * time.Hour}},
		{"three hours", 3 * time.Hour, []time.Duration{time.Hour}, []time.Duration{0, 24 * time.Hour}},
	} {
		f := newClientFiles(t)
		f.trust(t, ours)
		end := start.Add(tt.life)
		f.revoke(t, ours.listFrom(t, start, end))
		p := f.policy(t)
		var soon, over []time.Duration
		for at := start; at.Before(end.Add(47 * time.Hour)); at = at.Add(30 * time.Minute) {
			var log bytes.Buffer
			p.Follow(at, slog.New(slog.NewTextHandler(&log, nil)))
			switch text := log.String(); {
			case text == "":
			case strings.Contains(text, "level=WARN") && strings.Contains(text, "ends soon") && strings.Contains(text, "CN=ours") && strings.Contains(text, f.crl):
				soon = append(soon, end.Sub(at))
			case strings.Contains(text, "level=ERROR") && strings.Contains(text, "has expired"):
				over = append(over, at.Sub(end))
			default:
				t.Errorf("%s: the log says %q", tt.name, text)
			}
		}
		if !slices.Equal(soon, tt.soon) || !slices.Equal(over, tt.over) {
			t.Errorf("%s: told %v before its end and %v after it, want %v and %v", tt.name, soon, over, tt.soon, tt.over)
		}
	}
}

// A list that is renewed is spoken of no more, and once it ends, is again.
func TestTheEndOfARenewedListIsToldAgain(t *testing.T) {
	t.Parallel()
	ours := newIssuer(t, "ours")
	f := newClientFiles(t)
	f.trust(t, ours)
	start := time.Now()
	f.revoke(t, ours.list(t, start.Add(24*time.Hour)))
	p := f.policy(t)
	var log bytes.Buffer
	lines := slog.New(slog.NewTextHandler(&log, nil))
	for hour := range 6 * 24 {
		if hour == 4*24 {
			f.revoke(t, ours.list(t, start.Add(5*24*time.Hour)))
		}
		p.Follow(start.Add(time.Duration(hour)*time.Hour), lines)
	}
	if n := strings.Count(log.String(), "has expired"); n != 3+1 {
		t.Errorf("it was said %d times that it has expired: %s", n, log.String())
	}
	if n := strings.Count(log.String(), "ends soon"); n != 2 {
		t.Errorf("it was said %d times that it ends soon: %s", n, log.String())
	}
}

// An authority that comes into ca without a list has its clients refused, and that is told when it comes.
func TestAnAuthorityWithoutAListIsToldAtOnce(t *testing.T) {
	t.Parallel()
	ours, partners := newIssuer(t, "ours"), newIssuer(t, "partners")
	f := newClientFiles(t)
	f.trust(t, ours)
	now := time.Now()
	f.revoke(t, ours.list(t, now.Add(40*24*time.Hour)))
	p := f.policy(t)
	var log bytes.Buffer
	lines := slog.New(slog.NewTextHandler(&log, nil))
	p.Follow(now, lines)
	if log.Len() > 0 {
		t.Errorf("with nothing wrong the log says %q", log.String())
	}
	f.trust(t, ours, partners)
	for range 3 {
		now = now.Add(2 * time.Second)
		p.Follow(now, lines)
	}
	const want = `level=WARN msg="there is no list of revoked certificates of an authority in ca: its clients are refused"`
	if text := log.String(); strings.Count(text, want) != 1 || !strings.Contains(text, "CN=partners") || !strings.Contains(text, f.crl) {
		t.Errorf("the log says %q", text)
	}
	p.Follow(now.Add(25*time.Hour), lines)
	if n := strings.Count(log.String(), want); n != 2 {
		t.Errorf("it was said %d times after a day", n)
	}
	f.revoke(t, ours.list(t, now.Add(40*24*time.Hour)), partners.list(t, now.Add(40*24*time.Hour)))
	log.Reset()
	p.Follow(now.Add(50*time.Hour), lines)
	p.Follow(now.Add(75*time.Hour), lines)
	if text := log.String(); strings.Contains(text, "there is no list") {
		t.Errorf("with a list the log says %q", text)
	}
}

// A list that is no better than the one before is taken, since it may say more; that it has ended is told at once.
func TestTheEndOfANewListIsToldAtOnce(t *testing.T) {
	t.Parallel()
	ours := newIssuer(t, "ours")
	f := newClientFiles(t)
	f.trust(t, ours)
	now := time.Now()
	f.revoke(t, ours.list(t, now.Add(40*24*time.Hour)))
	p := f.policy(t)
	p.Follow(now, quiet)
	f.revoke(t, ours.list(t, now.Add(-time.Hour)))
	var log bytes.Buffer
	p.Follow(now.Add(lookEvery), slog.New(slog.NewTextHandler(&log, nil)))
	if text := log.String(); !strings.Contains(text, "is in force") || !strings.Contains(text, "has expired") {
		t.Errorf("the log says %q", text)
	}
}

// What check says of a list is what the log says when it is loaded.
func TestAListThatEndsSoonIsAWarning(t *testing.T) {
	t.Parallel()
	ours := newIssuer(t, "ours")
	f := newClientFiles(t)
	f.trust(t, ours)
	for _, tt := range []struct {
		left time.Duration
		want string
	}{
		{20 * 24 * time.Hour, ""}, {25 * time.Hour, ""}, {23 * time.Hour, `the list of "CN=ours" ends on `}, {-time.Hour, `the list of "CN=ours" expired on `},
	} {
		end := time.Now().Add(tt.left)
		f.revoke(t, ours.listFrom(t, end.Add(-30*24*time.Hour), end))
		said := ""
		for _, w := range f.policy(t).Warnings() {
			said += w.Why
			if w.File != f.crl || w.Hint != "renew the list" {
				t.Errorf("%v left: the warning is %+v", tt.left, w)
			}
		}
		if !strings.HasPrefix(said, tt.want) || (said == "") != (tt.want == "") {
			t.Errorf("%v left: %q", tt.left, said)
		}
	}
}
