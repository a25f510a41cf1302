package route

import (
	"strings"
	"testing"
)

// Names that match and names that don't, host by host.
func TestHostMatches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		host    string
		match   []string
		nomatch []string
	}{
		{
			"api.example.com",
			[]string{"api.example.com", "API.EXAMPLE.COM", "api.example.com."},
			[]string{"example.com", "x.api.example.com", "api-example.com", "api.example.co", "api.example.comm", "xapi.example.com"},
		},
		{
			"API.Example.com.",
			[]string{"api.example.com", "Api.example.com."},
			[]string{"example.com"},
		},
		{ // the file format says any depth; envoy 1.12.6 was surprised by it
			"*.example.com",
			[]string{"a.example.com", "a.b.example.com", "A.Example.Com.", "a.b.c.d.example.com"},
			[]string{"example.com", "badexample.com", "a.example.org", "example.com.evil.org", "com"},
		},
		{
			"*.com",
			[]string{"example.com", "a.example.com"},
			[]string{"com", "example.org"},
		},
		{
			`~^db-[0-9]+\.example\.net$`,
			[]string{"db-1.example.net", "DB-42.Example.NET."},
			[]string{"db-.example.net", "db-1.example.net.evil.org", "xdb-1.example.net", "db-1xexample.net"},
		},
		{
			`~^(?:a|b)\.example\.com$`,
			[]string{"a.example.com", "b.example.com"},
			[]string{"c.example.com", "a.b.example.com"},
		},
		{
			`~(^a\.com$|^b\.com$)`,
			[]string{"a.com", "b.com"},
			[]string{"c.com", "a.com.b.com"},
		},
		{
			`~^DB-\D+\.com$`, // case does not count, in \D neither
			[]string{"db-x.com"},
			[]string{"db-1.com"},
		},
		{
			"*",
			[]string{"a", "example.com", "a.b.c.d"},
			nil,
		},
	} {
		t.Run(tt.host, func(t *testing.T) {
			t.Parallel()
			snap := mustTable(t, oneRoute(Route{Hosts: []string{tt.host}})).Snapshot()
			for _, name := range tt.match {
				if d := snap.Match(&Query{Name: mustName(t, name)}); d.Verdict != VerdictRoute {
					t.Errorf("%s does not match %s", tt.host, name)
				}
			}
			for _, name := range tt.nomatch {
				if d := snap.Match(&Query{Name: mustName(t, name)}); d.Verdict != VerdictUnknownSNI {
					t.Errorf("%s matches %s", tt.host, name)
				}
			}
		})
	}
}

// oneRoute is a set with r to pool "web", and a listener "public".
func oneRoute(r Route) *Set {
	if r.Name == "" {
		r.Name = "r"
	}
	if r.Action.isZero() {
		r.Action = toPool("web")
	}
	return &Set{Listeners: []Listener{{Name: "public"}}, Pools: []string{"web"}, Routes: []Route{r}}
}

func toPool(name string) Action { return Action{Targets: []Target{{Pool: name, Weight: 1}}} }

func TestBadHosts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ host, why string }{
		{"", `empty; "*" matches any name`},
		{"*.", "empty"},
		{".example.com", `starts with a dot; write "*.example.com" for all names below it`},
		{"a..b", "a label is empty or longer than 63 bytes"},
		{strings.Repeat("a", 64) + ".com", "a label is empty or longer than 63 bytes"},
		{strings.Repeat("a.", 127) + "com", "longer than 253 bytes"},
		{"*example.com", `"*" may only be the whole first label, as in *.example.com, or stand alone`},
		{"a.*.example.com", `"*" may only be the whole first label, as in *.example.com, or stand alone`},
		{"*.*.com", `"*" may only be the whole first label, as in *.example.com, or stand alone`},
		{"**", `"*" may only be the whole first label, as in *.example.com, or stand alone`},
		{"https://example.com", "a URL; only the host name is wanted"},
		{"example.com/path", "a URL; only the host name is wanted"},
		{"example.com:443", "has a port; listeners choose the port, a host is a name only"},
		{"192.0.2.1", "an IP address; clients send host names only (RFC 6066 §3)"},
		{"2001:db8::1", "an IP address; clients send host names only (RFC 6066 §3)"},
		{"[2001:db8::1]", "an IP address; clients send host names only (RFC 6066 §3)"},
		{"exa mple.com", "' ' is not allowed; only letters, digits, '-', '_' and '.' are"},
		{"bücher.example", "not ASCII; on the wire it is probably xn--bcher-kva.example"},
		{"*.BÜCHER.example", "not ASCII; on the wire it is probably *.xn--bcher-kva.example"},
		{"他们为什么不说中文.example", "not ASCII; on the wire it is probably xn--ihqwcrb4cv8a8dqg056pqjye.example"},
		{"a\xff.example", "not ASCII; write it as it goes over the wire, in xn-- labels"},

		// R21: anchors, checked on the expression and not on its first and last byte
		{`~db-[0-9]+\.example\.net`, "regexp must start with ^ (in every branch), or it also matches names that only contain it"},
		{`~^db-[0-9]+\.example\.net`, "regexp must end with $ (in every branch), or it also matches names that only start with it"},
		{`~^a\.com|b\.com$`, "regexp must start with ^ (in every branch), or it also matches names that only contain it"},
		{`~^a\.com$|^b\.com`, "regexp must end with $ (in every branch), or it also matches names that only start with it"},
		{`~^(a\.com)?$|b`, "regexp must start with ^ (in every branch), or it also matches names that only contain it"},
		{`~(^a)?b$`, "regexp must start with ^ (in every branch), or it also matches names that only contain it"},
		{`~^a\.com\$`, "regexp must end with $ (in every branch), or it also matches names that only start with it"},
		{`~(?m)^a\.com$`, "regexp must start with ^ (in every branch), or it also matches names that only contain it"},
		{"~", "regexp must start with ^ (in every branch), or it also matches names that only contain it"},
		{`~^$`, "regexp can match no host name"},
		{`~^a$b$`, "regexp can match no host name"},
		{`~^a b$`, "regexp can match no host name"},
		{`~^a\b\.com$`, `regexp: \b and \B are not supported`},
		{`~^(a$`, "regexp: missing closing ): ^(a$"},
		{`~^(?=a)$`, "regexp: invalid or unsupported Perl syntax: (?="},
		{`~^(a)\1$`, `regexp: invalid escape sequence: \1`},
		{`~^` + strings.Repeat("a", 511) + `$`, "regexp has 513 bytes; at most 512 are allowed"},
		{`~^[a-z]{1000}[a-z]{1000}[a-z]{1000}[a-z]{1000}[a-z]{1000}$`, "regexp is too complex: over 4096 steps; use fewer or smaller repetitions"},
		{`~^[ab]*a[ab]{13}$`, "regexp is too complex: over 4096 states; use fewer or smaller repetitions"},
	} {
		t.Run(tt.host, func(t *testing.T) {
			t.Parallel()
			if _, err := parsePattern(tt.host); err == nil || err.Error() != tt.why {
				t.Errorf("parsePattern(%q):\n got %v\nwant %s", tt.host, err, tt.why)
			}
		})
	}
}

// The sample strings of RFC 3492 §7.1 that are made of lower-case letters.
func TestPunycodeOfTheRFC(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"ليهمابتكلموشعربي؟", "egbpdaj6bu4bxfgehfvwxn"},
		{"他们为什么不说中文", "ihqwcrb4cv8a8dqg056pqjye"},
		{"他們爲什麽不說中文", "ihqwctvzc91f659drss3x8bo0yb"},
		{"למההםפשוטלאמדבריםעברית", "4dbcagdahymbxekheh6e0a7fei0b"},
		{"почемужеонинеговорятпорусски", "b1abfaaepdrnnbgefbadotcwatmq2g4l"},
		{"なぜみんな日本語を話してくれないのか", "n8jok5ay5dzabd5bym9f0cm5685rrjetr6pdxa"},
		{"3年b組金八先生", "3b-ww4c5e180e575a65lsy2b"},
		{"ひとつ屋根の下2", "2-u9tlzr9756bt3uc0v"},
		{"パフィーdeルンバ", "de-jg4avhby1noc0d"},
		{"そのスピードで", "d9juau41awczczp"},
	} {
		if got := punycode([]rune(tt.in)); got != tt.want {
			t.Errorf("punycode(%q): got %q, want %q", tt.in, got, tt.want)
		}
	}
}

// R21: limits on what all expressions of a table may cost together.
func TestExpressionBudget(t *testing.T) {
	t.Parallel()
	if c := Check(expressionSet(maxExpressions)); c != nil {
		t.Errorf("%d expressions: %v", maxExpressions, c[0])
	}
	c := Check(expressionSet(maxExpressions + 1))
	if len(c) != 1 || c[0].Route != maxExpressions || !strings.HasSuffix(c[0].Msg, "more than 1000 different regexps in one table") {
		t.Errorf("%d expressions: %+v", maxExpressions+1, c)
	}
}

func TestExpressionsMatchWithoutAllocating(t *testing.T) {
	expr, err := compileExpression(`^([a-z0-9-]+\.)*db-?7\.[a-z]+$`)
	if err != nil {
		t.Fatal(err)
	}
	name := mustName(t, longestName)
	if got := testing.AllocsPerRun(100, func() { expr.match(name) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
