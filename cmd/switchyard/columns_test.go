package main

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/admin"
)

func TestWordsForPeople(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{shown("www.example.com"), "www.example.com"},
		{shown("a\x1b[2Jb"), `"a\x1b[2Jb"`},
		{shown("b\u00e4r"), `"b\u00e4r"`},
		{some(nil, 3), ""},
		{some([]string{"a", "b", "c"}, 3), "a, b, c"},
		{some([]string{"a", "b", "c"}, 2), "a, b and 1 more"},
		{age(1234 * time.Millisecond), "1.2s"},
		{age(59 * time.Second), "59s"},
		{age(61 * time.Minute), "1h1m"},
		{age(50 * time.Hour), "2d2h"},
		{admin.FormatBytes[uint64](1023), "1023 B"},
		{admin.FormatBytes[uint64](1 << 20), "1 MiB"},
		{admin.FormatBytes[uint64](1 << 63), "8 EiB"},
		{percents(0.0123), "1.2 %"},
		{orDash(""), "-"},
		{named(""), "(no server name)"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestColumnsAlignAndEscape(t *testing.T) {
	var b strings.Builder
	c := newColumns(&b, "NAME", "N")
	c.row("a\tb", 1)
	c.row("longer than that", 22)
	c.end()
	want := "NAME              N\n\"a\\tb\"            1\nlonger than that  22\n"
	if b.String() != want {
		t.Errorf("got\n%s want\n%s", b.String(), want)
	}
}

func TestParseShare(t *testing.T) {
	for s, want := range map[string]float64{"1%": 0.01, "0.01": 0.01, "100%": 1, "1": 1, "0.5 %": 0.005} {
		if got, err := parseShare(s); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "%", "0", "-1%", "101%", "1.1", "NaN", "Inf", "one"} {
		if got, err := parseShare(s); err == nil {
			t.Errorf("%q is taken for %v", s, got)
		}
	}
}
