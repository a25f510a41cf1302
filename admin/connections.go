package admin

import (
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
)

// ConnectionList is what GET /v1/connections answers: the oldest first.
type ConnectionList struct {
	Connections []balancer.Connection `json:"connections"` // never null
	Total       int                   `json:"total"`       // that the filter lets through, listed or not
}

// Killed is what DELETE of connections answers.
type Killed struct {
	Killed int `json:"killed"` // connections that were closed
}

// connectionFilters are the parameters that choose among connections.
var connectionFilters = []string{"id", "sni", "client", "pool", "backend", "route", "listener", "min_age"}

// Bounds on one answer. A connection takes about 300 bytes of JSON.
const (
	usualConnections     = 100
	maxConnectionsListed = 10000
	usualNames           = 20
	maxNames             = 1000
	maxAge               = 8760 * time.Hour // that can be asked for: a year
)

// connectionFilter reads what connectionFilters are.
func connectionFilter(q *query) *balancer.ConnectionFilter {
	return &balancer.ConnectionFilter{
		ID: q.text("id"), SNI: q.text("sni"), Client: q.prefix("client"), Pool: q.text("pool"), Backend: q.text("backend"),
		Route: q.text("route"), Listener: q.text("listener"), MinAge: q.duration("min_age", maxAge),
	}
}

func listConnections(a *api, r *request) (any, error) {
	f, limit := connectionFilter(r.query), r.query.limit(usualConnections, maxConnectionsListed)
	if err := r.query.err(); err != nil {
		return nil, err
	}
	list, total := a.balancer.Connections(f, limit)
	return &ConnectionList{Connections: notNil(list), Total: total}, nil
}

// killConnections wants a filter: nobody closes all connections by forgetting one.
func killConnections(a *api, r *request) (any, error) {
	f := connectionFilter(r.query)
	if len(r.query.values) == 0 {
		r.query.refuse(hintOf(connectionFilters), "say which connections: a filter is required")
	}
	if err := r.query.err(); err != nil {
		return nil, err
	}
	return &Killed{a.balancer.Kill(f)}, nil
}

func killConnection(a *api, r *request) (any, error) {
	n := a.balancer.Kill(&balancer.ConnectionFilter{ID: r.value("id")})
	if n == 0 {
		return nil, notFound("it may have ended by itself", "there is no connection %s", clipped(r.value("id")))
	}
	return &Killed{n}, nil
}

func listNames(a *api, r *request) (any, error) {
	limit := r.query.limit(usualNames, maxNames)
	if err := r.query.err(); err != nil {
		return nil, err
	}
	return a.balancer.Names(limit), nil
}

// notNil makes an empty list of none, which JSON would show as null.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
