package admin

import (
	"slices"
	"strings"

	"github.com/seed-23b4a313/switchyard/route"
)

// explain answers what `switchyard explain -o json` prints, for the table that is in force.
func explain(a *api, r *request) (any, error) {
	ask, err := routeQuery(a, r.query)
	if err != nil {
		return nil, err
	}
	return a.balancer.Explain(ask), nil
}

// routeQuery reads which client is meant.
func routeQuery(a *api, q *query) (*route.Query, error) {
	ask := &route.Query{Client: q.address("client"), Listener: listener(a, q)}
	if sni := q.text("sni"); sni != "" {
		name, err := route.ParseName(sni)
		if err != nil {
			q.refuse("a hello with such a name is malformed, and refused before it is routed", "sni %s: %v", clipped(sni), err)
		}
		ask.Name, ask.Dot = name, strings.HasSuffix(sni, ".")
	}
	if alpn := q.words("alpn"); alpn != nil {
		ask.ALPN = route.ProtocolList(alpn)
	}
	if err := q.err(); err != nil {
		return nil, err
	}
	return ask, nil
}

// listener is the name of the listener that is asked for, of the first one where nothing is said.
func listener(a *api, q *query) string {
	var names []string
	for _, l := range a.balancer.Listeners() {
		names = append(names, l.Name)
	}
	asked := q.text("listener")
	switch {
	case asked == "" && len(names) > 0:
		return names[0]
	case !slices.Contains(names, asked):
		q.refuse("there are: "+strings.Join(names, ", "), "no listener %s", clipped(asked))
	}
	return asked
}
