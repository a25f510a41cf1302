package admin

import (
	"context"
	"log/slog"
	"net/http"
	"slices"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/control"
	"github.com/seed-23b4a313/switchyard/route"
)

// Balancer is what the API asks of the data plane. [balancer.Server] is one. All methods are called from many
// goroutines at once, and none of them waits for a client of the API.
type Balancer interface {
	Source
	Connections(f *balancer.ConnectionFilter, limit int) (list []balancer.Connection, total int)
	Kill(f *balancer.ConnectionFilter) int
	Names(limit int) balancer.Names
	Explain(q *route.Query) route.Explanation
	Routes() *route.Snapshot
	Pools() []pool.Config
	Listeners() []balancer.ListenerConfig
}

// Control is what the API tells to change something. [control.Manager] is one. All methods are called from many
// goroutines at once.
type Control interface {
	Status() control.Status
	Running() control.Running
	Reload(ctx context.Context, r control.ReloadRequest) (*control.Result, error)
	Check(ctx context.Context, r control.CheckRequest) (*control.Result, error)
	Rollback(ctx context.Context, revision uint64, origin string) (*control.Result, error)
	PutRoute(ctx context.Context, name string, text []byte, opt control.ChangeOptions) (*control.Result, error)
	DeleteRoute(ctx context.Context, name string, opt control.ChangeOptions) (*control.Result, error)
	PutPool(ctx context.Context, name string, text []byte, opt control.ChangeOptions) (*control.Result, error)
	DeletePool(ctx context.Context, name string, opt control.ChangeOptions) (*control.Result, error)
	SetBackend(ctx context.Context, pool, address string, text []byte, opt control.ChangeOptions) (*control.Result, error)
	Transact(ctx context.Context, text []byte, opt control.ChangeOptions) (*control.Result, error)
	DropOverlay(ctx context.Context, opt control.ChangeOptions) (*control.Result, error)
}

var (
	_ Balancer = (*balancer.Server)(nil)
	_ Control  = (*control.Manager)(nil)
)

// api is what the verbs work on.
type api struct {
	balancer Balancer
	control  Control
}

// pages are what every socket serves.
func pages(st *state, log *slog.Logger) table {
	return table{
		readOnly("/", st.servePage),
		readOnly("/metrics", metricsHandler(st, log).ServeHTTP),
		readOnly("/healthz", serveHealth),
		readOnly("/readyz", st.serveReady),
	}
}

// verbs are the JSON API: what the unix socket serves beside the pages.
func verbs(st *state, log *slog.Logger) table {
	v := maker{state: st, log: log}
	change := []string{"on_reload", "if_revision", "dry_run"}
	return table{
		{"/v1/status", methods{"GET": v.early(func() any { return st.status() })}},
		{"/v1/config", methods{"GET": v.read(getConfig)}},
		{"/v1/routes", methods{"GET": v.read(listRoutes, "name", "host", "pool", "limit", "after")}},
		{"/v1/routes/{name}", methods{
			"GET":    v.read(getRoute),
			"PUT":    v.write(putRoute, maxBody, change...),
			"DELETE": v.write(deleteRoute, 0, change...),
		}},
		{"/v1/pools", methods{"GET": v.read(listPools, "name", "backend")}},
		{"/v1/pools/{name}", methods{
			"GET":    v.read(getPool),
			"PUT":    v.write(putPool, maxBody, change...),
			"DELETE": v.write(deletePool, 0, change...),
		}},
		{"/v1/pools/{name}/backends/{address}", methods{"PUT": v.write(putBackend, maxBody, change...)}},
		{"/v1/certificates", methods{"GET": v.read(getCertificates, slices.Concat(certificateLists, certificateAsks)...)}},
		{"/v1/connections", methods{
			"GET":    v.read(listConnections, append([]string{"limit"}, connectionFilters...)...),
			"DELETE": v.write(killConnections, 0, connectionFilters...),
		}},
		{"/v1/connections/{id}", methods{"DELETE": v.write(killConnection, 0)}},
		{"/v1/names", methods{"GET": v.read(listNames, "limit")}},
		{"/v1/explain", methods{"GET": v.read(explain, "sni", "alpn", "client", "listener")}},
		{"/v1/reload", methods{"POST": v.write(reload, 0, "dry_run", "guard", "guard_bound", "overlay", "if_revision")}},
		{"/v1/check", methods{"POST": v.check()}},
		{"/v1/rollback", methods{"POST": v.write(rollback, 0, "revision")}},
		{"/v1/transaction", methods{"POST": v.write(transact, maxBody, change...)}},
		{"/v1/overlay", methods{"DELETE": v.write(dropOverlay, 0, "if_revision", "dry_run")}},
	}
}

type methods = map[string]http.Handler

// maker makes verbs.
type maker struct {
	state *state
	log   *slog.Logger
}

type handler = func(a *api, r *request) (any, error)

// read makes a verb that changes nothing.
func (m maker) read(h handler, parameters ...string) *verb {
	return &verb{state: m.state, log: m.log, handle: h, query: parameters}
}

// early makes a verb that changes nothing and answers while the balancer is starting, too.
func (m maker) early(h func() any) *verb {
	v := m.read(func(*api, *request) (any, error) { return h(), nil })
	v.early = true
	return v
}

// write makes a verb that may change something.
func (m maker) write(h handler, body int64, parameters ...string) *verb {
	return &verb{state: m.state, log: m.log, handle: h, query: parameters, body: body, writes: true}
}

// check makes the verb that reads a whole file and changes nothing.
func (m maker) check() *verb {
	return &verb{state: m.state, log: m.log, handle: check, query: []string{"name", "dir", "overlay"}, body: maxCheckBody}
}
