package admin

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/route"
)

// Shown is which certificate a client is shown that asks for a name. The client decides among several by what it can use.
type Shown struct {
	Name   string `json:"name"`
	Route  string `json:"route,omitempty"` // "": no route takes the name
	Action string `json:"action"`          // "terminate", "pass" or "reject"

	Certificate *Certificate `json:"certificate"` // for clients that can use any key; null: none
	RSA         *Certificate `json:"rsa"`         // for clients that know RSA alone; null: none
	Why         string       `json:"why,omitempty"`
	Hint        string       `json:"hint,omitempty"`
}

// What becomes of a client that asks for a name.
const (
	actTerminate = "terminate"
	actPass      = "pass"
	actReject    = "reject"
)

// shownCertificate decides as for a connection, and asks the route that takes it.
func shownCertificate(a *api, q *query) (any, error) {
	ask, err := routeQuery(a, q)
	if err != nil {
		return nil, err
	}
	e := a.balancer.Explain(ask)
	s := &Shown{Name: ask.Name.String()}
	x := e.Decision.Route
	if x != nil {
		s.Route = x.Name
	}
	switch {
	case e.Decision.Reject != route.RejectNone && x == nil:
		s.Action, s.Why, s.Hint = actReject, "no route takes this name: unknown_sni of the listener rejects it", "`switchyard routes` lists the hosts there are"
	case e.Decision.Reject != route.RejectNone:
		s.Action, s.Why = actReject, "the route rejects its clients"
	case x == nil || terminate.SetOf(x.Terminate) == nil:
		s.Action, s.Why = actPass, "TLS does not end here: the client is shown what the backend has"
		s.Hint = "`switchyard explain` says which pool it is"
	case e.Refused != nil:
		s.Action, s.Why = actTerminate, e.Refused.Why+" ("+e.Refused.Cause+")"
	default:
		s.Action = actTerminate
		s.choose(terminate.SetOf(x.Terminate), time.Now())
	}
	return s, nil
}

// choose asks a set for the name.
func (s *Shown) choose(set *certs.Set, now time.Time) {
	all, err := set.Choices(s.Name)
	if err != nil {
		s.Why, s.Hint = whyNone(set, s.Name, err)
		return
	}
	s.Certificate = s.show(set, all[0], now)
	rsa := slices.IndexFunc(all, func(c *certs.Choice) bool { return strings.HasPrefix(c.Key, "RSA ") })
	if rsa < 0 {
		s.Why = "clients that know RSA alone are refused: no RSA certificate is for the name (no_common_cipher)"
		s.Hint = "add an RSA certificate beside it, if there are such clients"
		return
	}
	s.RSA = s.show(set, all[rsa], now)
}

func (s *Shown) show(set *certs.Set, x *certs.Choice, now time.Time) *Certificate {
	kind, part := set.From(x)
	c := Certificate{Route: s.Route, Source: sources[kind], File: x.File, Names: []string{}}
	if kind == certs.FromFile {
		c = (&holder{route: s.Route, set: set}).show(part, now, nil) // its newest files may be refused
	}
	c.Default = x.Default
	c.describe(x, now)
	return &c
}

// pendingText says what came of the tries of ACME so far.
func pendingText(p *certs.Pending) string { return strings.TrimPrefix(p.Error(), "certs: ") }

// whyNone says why there is no certificate for a name, and what to do.
func whyNone(set *certs.Set, name string, err error) (why, hint string) {
	if pending, ok := errors.AsType[*certs.Pending](err); ok {
		return pendingText(pending) + " (no_certificate)", "the log has all of it, in the lines with acme"
	}
	switch wrong, ok := errors.AsType[*certs.Error](err); {
	case ok:
		return wrong.File + " " + wrong.Why + " (bad_certificate)", wrong.Hint
	case errors.Is(err, certs.ErrNone):
		return "none of the route's certificates is for the name, and none is the default: the client gets the alert unrecognized_name (no_certificate)",
			"add one, or make one the default with `default: true`"
	}
	return strings.ReplaceAll(err.Error(), "\n", "; "), ""
}
