package configs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-23b4a313/switchyard/configs/internal/file"
	"github.com/seed-23b4a313/switchyard/route"
)

// Tests are the route tests of a file. They are not changed after loading, and hold nothing of the file but the lines
// that messages show. A nil *Tests is none at all.
type Tests struct {
	list []routeTest // in file order
}

// routeTest is one connection, and what must become of it.
type routeTest struct {
	title  string // `test "the website"`, or `tests[0]`
	query  route.Query
	pool   string       // that must take it; "" with a reject
	reject route.Reject // RejectNone with a pool
	route  string       // that must decide; "": any, or the listener
	at     *Error       // its place and its line, without a message
}

// Run puts the connections of all tests to a routing table. The error is [Errors], one for each test that fails, as
// [Parse] would report it; nil if all pass.
func (t *Tests) Run(s *route.Snapshot) error {
	if t == nil {
		return nil
	}
	var errs Errors
	for i := range t.list {
		if e := t.list[i].run(s); e != nil {
			errs = append(errs, e)
		}
		if len(errs) == maxMistakes {
			break
		}
	}
	if errs == nil {
		return nil
	}
	return errs
}

// run returns what is wrong, or nil.
func (t *routeTest) run(s *route.Snapshot) *Error {
	x := s.Explain(&t.query)
	if t.passes(&x) {
		return nil
	}
	e := *t.at
	e.Msg = fmt.Sprintf("%s: expected %s, got %s", t.title, t.expected(), got(&x, t.query.Listener))
	e.Detail = explained(&x)
	return &e
}

func (t *routeTest) passes(x *route.Explanation) bool {
	d := &x.Decision
	if t.route != "" && (d.Route == nil || d.Route.Name != t.route) {
		return false
	}
	if t.reject != route.RejectNone {
		return d.Reject == t.reject
	}
	return slices.ContainsFunc(x.Action.Targets, func(to route.Target) bool { return to.Pool == t.pool && to.Weight > 0 })
}

// expected says what must become of the connection: "pool api by route api".
func (t *routeTest) expected() string {
	what := "pool " + t.pool
	if t.reject != route.RejectNone {
		what = "reject " + t.reject.String()
	}
	if t.route != "" {
		what += " by route " + t.route
	}
	return what
}

// got says what becomes of it, and who decides: "reject alert by unknown_sni of listener public".
func got(x *route.Explanation, listener string) string {
	var what string
	switch to := x.Action.Targets; {
	case x.Decision.Reject != route.RejectNone:
		what = "reject " + x.Decision.Reject.String()
	case len(to) == 1:
		what = "pool " + to[0].Pool
	default:
		var pools []string
		for _, t := range to {
			pools = append(pools, t.Pool)
		}
		what = "a split of " + strings.Join(pools, ", ")
	}
	if r := x.Decision.Route; r != nil {
		return what + " by route " + r.Name
	}
	return fmt.Sprintf("%s by %s of listener %s", what, x.Decision.Verdict, listener)
}

// explained is the explanation of a decision as a terminal may show it.
func explained(x *route.Explanation) string {
	lines := strings.Split(strings.TrimRight(x.String(), "\n"), "\n")
	for i, l := range lines {
		lines[i] = harmless(l)
	}
	return strings.Join(lines, "\n")
}

// tests reads the tests of a file; nil if it has none.
func (c *checker) tests(f *file.File, n *names) *Tests {
	if len(f.Tests) == 0 {
		return nil
	}
	t := &Tests{list: make([]routeTest, len(f.Tests))}
	v := viewer{texts: c.texts}
	for i := range f.Tests {
		x := &f.Tests[i]
		t.list[i] = c.oneTest(fmt.Sprintf("tests[%d]", i), x, f, n)
		t.list[i].at = v.show(file.Mistake{At: x.At})
	}
	return t
}

func (c *checker) oneTest(title string, x *file.Test, f *file.File, n *names) routeTest {
	t := routeTest{title: title, query: route.Query{Name: c.serverName(x.SNI), Client: x.Client.V, Listener: x.Listener.V}}
	if x.Name.IsSet() {
		t.title = fmt.Sprintf("test %q", x.Name.V)
	}
	if x.ALPN.IsSet() {
		t.query.ALPN = route.ProtocolList(protocols(x.ALPN.V))
	}
	if x.Listener.IsSet() {
		c.listener(n, x.Listener)
	} else if len(f.Listeners) > 0 {
		t.query.Listener = f.Listeners[0].Name.V
	}
	c.expect(&t, &x.Expect, n)
	return t
}

// expect reads what must become of the connection of a test.
func (c *checker) expect(t *routeTest, x *file.Expect, n *names) {
	if !x.IsSet() {
		return // missing, and said so
	}
	c.poolExists(n, x.Pool)
	c.route(n, x.Route)
	switch {
	case x.Has("pool") && x.Has("reject"):
		c.errorf(x, "remove one of them", "%s expects both pool and reject", t.title)
	case !x.Has("pool") && !x.Has("reject") && x.Sound():
		c.errorf(x, "for example {reject: alert}", "%s expects nothing: it needs one of pool and reject", t.title)
	}
	t.pool, t.reject, t.route = x.Pool.V, reject(x.Reject.V), x.Route.V
}
