package route

import (
	"regexp"
	"strings"
	"testing"
)

// What ParseName returns is a fixed point of it, made of allowed bytes only, and names that differ in case and one
// trailing dot are one name.
func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"", ".", "a", "API.Example.com.", "192.0.2.1", "a..b", "bücher.example", "a\x00b", longestName} {
		f.Add([]byte(seed))
	}
	allowed := regexp.MustCompile(`^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$`)
	f.Fuzz(func(t *testing.T, raw []byte) {
		n, err := ParseName(raw)
		if (err == nil) == n.IsZero() {
			t.Fatalf("%q: name %q and error %v", raw, n, err)
		}
		if err != nil {
			return
		}
		if s := n.String(); len(s) > maxName || !allowed.MatchString(s) {
			t.Errorf("%q: %q is no normal name", raw, s)
		}
		for _, spelling := range []string{n.String(), n.String() + ".", strings.ToUpper(n.String())} {
			if again, err := ParseName(spelling); again != n || err != nil {
				t.Errorf("%q: got %q, %v; want %q", spelling, again, err, n)
			}
		}
	})
}

// No host makes parsePattern panic; one that it takes matches what it says: an exact host itself, and a "*." host what
// is below it and not what it is below.
func FuzzParsePattern(f *testing.F) {
	for _, seed := range []string{"", "*", "*.", "*.Example.com", "example.com.", "~^a$", "~", "**", "a.*.b", "bücher.example"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		p, err := parsePattern(host)
		if err != nil || p.kind == kindRegexp {
			return
		}
		base, err := ParseName(strings.TrimPrefix(host, "*."))
		if p.kind == kindAny {
			base, err = ParseName("any.name")
		}
		if err != nil {
			t.Fatalf("%q was taken: %v", host, err)
		}
		matches := func(name Name) bool { return strings.HasPrefix(string(appendKey(nil, name, endExact)), p.key) }
		if got, want := matches(base), p.kind != kindSuffix; got != want {
			t.Errorf("%q matches %q: got %v, want %v", host, base, got, want)
		}
		if below, err := ParseName("x." + base.String()); err == nil && matches(below) != (p.kind != kindExact) {
			t.Errorf("%q matches %q: got %v", host, below, matches(below))
		}
	})
}

// An automaton agrees with package regexp on every name.
func FuzzExpression(f *testing.F) {
	for _, source := range []string{
		`^db-[0-9]+\.example\.net$`, `^(a|b)*\.com$`, `(^a$)|(^b\.c$)`, `^a{2,3}(b|cd)?.*$`, `^[^.]+\.x$`, `^\D\w\W?\S$`,
		`^$`, `^a$b$`, `^(?-i:A|a)$`, `^(?s:.)\z`, `^\Aa$$`, `^[[:alpha:]]*\.\pL$`, `^(^a|b$)$`,
	} {
		for _, name := range []string{"db-1.example.net", "a", "b.c", "ab.com", "aabxyz", "x.x"} {
			f.Add(source, name)
		}
	}
	f.Fuzz(func(t *testing.T, source, raw string) {
		name, err := ParseName(raw)
		if err != nil {
			return
		}
		expr, err := compileExpression(source)
		if err != nil {
			return
		}
		want := regexp.MustCompile("(?i)" + source).MatchString(name.String())
		if got := expr.match(name); got != want {
			t.Errorf("%q on %q: got %v, want %v", source, name, got, want)
		}
		if want && !strings.HasSuffix(name.String(), expr.suffix) {
			t.Errorf("%q matches %q, which does not end in %q", source, name, expr.suffix)
		}
	})
}
