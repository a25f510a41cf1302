package route

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Explanation is a decision with its reasons. [Explanation.MarshalJSON] and [Explanation.WriteText] show it.
type Explanation struct {
	Name     Name // what was asked for
	Decision Decision
	Action   Action // all targets of a split, with weights; read only
	Steps    []Step // candidates in the order they were tried; the last one decided
	Refused  *Refused
}

// Refused says that the client is refused nevertheless, where TLS ends here.
type Refused struct {
	Cause string `json:"cause"` // the word of the log
	Why   string `json:"why"`
}

// Step is one candidate and what became of it.
type Step struct {
	Host     string `json:"host"`               // the pattern, as written; empty where the listener decided
	Route    string `json:"route,omitempty"`    // the route it belongs to
	Listener string `json:"listener,omitempty"` // the listener that decided because no route did
	Won      bool   `json:"won"`
	Reason   string `json:"reason"` // "alpn: wants acme-tls/1; the client offers h2, http/1.1"
}

// Explain decides as [Snapshot.Match] does, and tells everything. It is meant for people, not for the hot path.
func (s *Snapshot) Explain(q *Query) Explanation {
	var tried steps
	r := s.find(q, &tried)
	if r == nil {
		return s.explainFallback(q, q.unmatched(), tried)
	}
	d := Decision{Verdict: VerdictRoute, Route: r, Pool: r.Action.pick(q.Draw), Reject: r.Action.Reject}
	return Explanation{Name: q.Name, Decision: d, Action: r.Action, Steps: tried, Refused: r.foreseen(q)}
}

// foreseen asks what r carries about TLS whether the client can be served; nil if nothing is known against it.
func (r *Route) foreseen(q *Query) *Refused {
	if f, ok := r.Terminate.(interface {
		Foresee(*Query) (cause, why string)
	}); ok {
		if cause, why := f.Foresee(q); cause != "" {
			return &Refused{cause, why}
		}
	}
	return nil
}

func (s *Snapshot) explainFallback(q *Query, v Verdict, tried steps) Explanation {
	what := "no route takes this name"
	if v == VerdictNoSNI {
		what = "the client sends no server name"
	}
	why := fmt.Sprintf("%s: %s of the listener", what, v)
	if s.listener(q.Listener) == nil {
		why = fmt.Sprintf("%s, and the listener is not known: alert", what)
	}
	return Explanation{
		Name:     q.Name,
		Decision: s.fallback(q, v),
		Action:   *s.fallbackAction(q.Listener, v),
		Steps:    append(tried, Step{Listener: q.Listener, Won: true, Reason: why}),
	}
}

// steps collects what a search did.
type steps []Step

func (s *steps) note(c *candidate, q *Query, won bool) {
	reason := c.route.whyNot(q)
	if won {
		reason = c.route.whyWon(q)
	}
	*s = append(*s, Step{Host: c.route.Hosts[c.host], Route: c.route.Name, Won: won, Reason: reason})
}

// whyNot names every condition of r that does not hold for q.
func (r *Route) whyNot(q *Query) string {
	var why []string
	if !r.alpnHolds(q) {
		why = append(why, fmt.Sprintf("alpn: wants %s; the client offers %s", ProtocolList(r.ALPN), offers(q.ALPN)))
	}
	if !r.clientHolds(q) {
		why = append(why, fmt.Sprintf("clients: wants %s; the client is %s", prefixes(r.Clients), known(q.Client)))
	}
	if !r.listenerHolds(q) {
		at := "not known"
		if q.Listener != "" {
			at = printable(q.Listener)
		}
		why = append(why, fmt.Sprintf("listeners: wants %s; the listener is %s", strings.Join(r.Listeners, ", "), at))
	}
	return strings.Join(why, "; ")
}

// whyWon says how each condition of r holds for q.
func (r *Route) whyWon(q *Query) string {
	var why []string
	if proto, ok := r.offered(q); ok {
		why = append(why, fmt.Sprintf("alpn: the client offers %s", printable(proto)))
	}
	if prefix, ok := r.clientPrefix(q); ok {
		why = append(why, fmt.Sprintf("clients: %s is in %s", q.Client.Unmap(), prefix))
	}
	if len(r.Listeners) > 0 {
		why = append(why, fmt.Sprintf("listeners: on %s", q.Listener))
	}
	if why == nil {
		return "the host matches; no conditions"
	}
	return "the host matches; " + strings.Join(why, "; ")
}

func offers(p Protocols) string {
	switch list := p.(type) {
	case nil:
		return "none"
	case ProtocolList:
		if len(list) == 0 {
			return "none"
		}
		return list.String()
	default:
		return "none of them"
	}
}

func known(client netip.Addr) string {
	if !client.IsValid() {
		return "not known"
	}
	return client.Unmap().String()
}

func prefixes(list []netip.Prefix) string {
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = p.String()
	}
	return strings.Join(words, ", ")
}

// printable returns s as it is if it is plain ASCII that nobody can misread, and quoted otherwise.
func printable(s string) string {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '"' {
			return strconv.QuoteToASCII(s)
		}
	}
	if s == "" {
		return `""`
	}
	return s
}

// kind is the word for what happens: pool, split, reject or terminate.
func (e *Explanation) kind() string {
	switch {
	case e.Decision.Reject != RejectNone:
		return "reject"
	case e.Decision.Route != nil && e.Decision.Route.Terminate != nil:
		return "terminate"
	case len(e.Action.Targets) > 1:
		return "split"
	default:
		return "pool"
	}
}

// share is one target of an explained split.
type share struct {
	Pool    string  `json:"pool"`
	Weight  int     `json:"weight"`
	Percent float64 `json:"percent"` // rounded to two places
}

func (e *Explanation) shares() []share {
	sum := e.Action.weight()
	shares := make([]share, len(e.Action.Targets))
	for i, t := range e.Action.Targets {
		percent := math.Round(float64(t.Weight)/float64(sum)*10_000) / 100
		shares[i] = share{t.Pool, t.Weight, percent}
	}
	return shares
}

// MarshalJSON writes the explanation with stable keys; docs/routing.md describes them.
func (e Explanation) MarshalJSON() ([]byte, error) {
	out := struct {
		Name    Name     `json:"name"`
		Verdict Verdict  `json:"verdict"`
		Route   *string  `json:"route"`
		Action  string   `json:"action"`
		Pool    *string  `json:"pool"`
		Reject  *Reject  `json:"reject"`
		Targets []share  `json:"targets"`
		Steps   []Step   `json:"steps"`
		Refused *Refused `json:"refused,omitempty"`
		TLS     []string `json:"tls,omitempty"`
	}{Name: e.Name, Verdict: e.Decision.Verdict, Action: e.kind(), Targets: e.shares(), Steps: e.Steps, Refused: e.Refused, TLS: e.tls()}
	if e.Decision.Route != nil {
		out.Route = &e.Decision.Route.Name
	}
	if e.Decision.Pool != "" {
		out.Pool = &e.Decision.Pool
	}
	if e.Decision.Reject != RejectNone {
		out.Reject = &e.Decision.Reject
	}
	return json.Marshal(out)
}

// String is the text of [Explanation.WriteText].
func (e Explanation) String() string {
	var b strings.Builder
	_ = e.WriteText(&b) // a Builder takes everything
	return b.String()
}

// WriteText writes the explanation for a person: what happens, and below it every candidate and what became of it.
func (e Explanation) WriteText(w io.Writer) error {
	name := e.Name.String()
	if e.Name.IsZero() {
		name = NoName
	}
	if _, err := fmt.Fprintf(w, "%s: %s\n", name, e.summary()); err != nil {
		return err
	}
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, step := range e.Steps {
		mark, host, what := "no", step.Host, "route "+step.Route
		if step.Won {
			mark = "yes"
		}
		if step.Route == "" {
			host, what = "-", strings.TrimSpace("listener "+step.Listener)
		}
		fmt.Fprintf(tab, "  %d. %s\t%s\t%s\t%s\n", i+1, host, what, mark, step.Reason)
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	if e.Refused != nil {
		if _, err := fmt.Fprintf(w, "  refused: %s\n", e.Refused.Why); err != nil {
			return err
		}
	}
	for _, line := range e.tls() {
		if _, err := fmt.Fprintf(w, "  TLS: %s\n", line); err != nil {
			return err
		}
	}
	return nil
}

// tls says how TLS is spoken with the client, where it ends here and what the route carries can tell.
func (e *Explanation) tls() []string {
	if e.Decision.Route == nil {
		return nil
	}
	d, ok := e.Decision.Route.Terminate.(interface{ Describe(Name) []string })
	if !ok {
		return nil
	}
	return d.Describe(e.Name)
}

// summary is what happens, in a few words.
func (e *Explanation) summary() string {
	var by string
	if e.Decision.Route != nil {
		by = fmt.Sprintf("route %s, ", e.Decision.Route.Name)
	}
	switch kind := e.kind(); {
	case kind == "reject":
		return by + "reject " + e.Decision.Reject.String()
	case e.Refused != nil:
		return by + "terminate TLS, and refuse the client: " + e.Refused.Cause
	case kind == "terminate":
		return by + "terminate TLS, then " + e.destination()
	default:
		return by + e.destination()
	}
}

func (e *Explanation) destination() string {
	if len(e.Action.Targets) == 1 {
		return "pool " + e.Action.Targets[0].Pool
	}
	var parts []string
	for _, s := range e.shares() {
		parts = append(parts, fmt.Sprintf("%s %s %%", s.Pool, strconv.FormatFloat(s.Percent, 'f', -1, 64)))
	}
	return "split " + strings.Join(parts, ", ")
}
