package configs

import (
	"net/netip"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

// Running is the configuration that runs, as far as an edit of it is checked against it. Its methods must agree with
// each other while one edit is checked. Names are asked for one by one; lists of them only for the hint of a mistake.
type Running interface {
	Listeners() []balancer.ListenerConfig
	AdminListen() netip.AddrPort // as the process has bound it; the zero AddrPort for none
	HasPool(name string) bool
	PoolNames() []string
	HasRoute(name string) bool
	RouteNames() []string
	// AsksForName reports whether the backends of a pool are verified by the name that the client asked for.
	AsksForName(pool string) bool
	// NamelessRoutes are the routes that end the TLS of clients without a server name, and lead to a pool.
	NamelessRoutes(pool string) []string
}

// Change is a checked edit of a running configuration. What only the routing table can know is not checked: whether a
// host is taken by a route that is no part of the change, and whether a deleted pool is still in use.
type Change struct {
	Edit     balancer.Edit
	Entries  []Entry         // the same as text, for [ParseWith]; in the order of the request
	Warnings []*Error        // what is allowed, and yet probably not meant
	Backends []BackendChange // in the order of the request
	// IfRevision is the revision that the change is meant for; 0: whichever it is.
	IfRevision uint64
	// OnReload is "keep" or "drop": what the next reload of the file does with the change; "": not said.
	OnReload string

	text    string               // of the request
	routes  []file.Route         // as the text has them, in the order of Edit.PutRoutes
	deletes map[string][]file.At // places in the order of Edit.DeleteRoutes and DeletePools: "delete_routes", "delete_pools"
}

// BackendChange is what an operator says of one backend.
type BackendChange struct {
	Pool        string
	Address     string // "10.0.0.7:443", or "db.example.net:443" as the file would write it
	State       string // "ready", "drain" or "maint"; "": as it is
	Weight      *int   // nil: as it is
	ResetWeight bool   // the pool's own weight is back in force; Weight is nil then
}

// ParseRoute reads one route that is put: the body of PUT /v1/routes/NAME. The origin stands for the file name in
// messages. The text may say the name too, which must be the same. Relative paths are relative to dir. The error is
// [Errors], and then the Change is nil. What it costs does not grow with what runs.
func ParseRoute(origin, name string, text []byte, dir string, r Running) (*Change, error) {
	e := newEdit(origin, text, dir, r)
	if put := e.readRoute(name, 0); put != nil {
		e.putRoute(*put, Entry{Text: string(text), Origin: origin})
	}
	return e.change()
}

// ParsePool reads one pool that is put, as [ParseRoute] reads a route: the body of PUT /v1/pools/NAME.
func ParsePool(origin, name string, text []byte, dir string, r Running) (*Change, error) {
	e := newEdit(origin, text, dir, r)
	e.putPool(*e.readPool(name, 0), Entry{Text: string(text), Origin: origin})
	return e.change()
}

// ParseBackend reads what is said of one backend, as [ParseRoute] reads a route: the body of PUT
// /v1/pools/POOL/backends/ADDRESS, with `state`, `weight` or both. Whether the pool has the backend is not checked.
func ParseBackend(origin, pool, address string, text []byte, r Running) (*Change, error) {
	e := newEdit(origin, text, "", r)
	b, mistakes := file.ReadBackend(text)
	e.mistakes = mistakes
	if b != nil {
		e.called("pool", &b.Pool, pool, 0)
		e.addressed(b, address)
		e.backend(b)
	}
	return e.change()
}

// ParseTransaction reads several changes, which are made together or not at all, as [ParseRoute] reads a route: the body
// of POST /v1/transaction. References may be to what the transaction puts, and not to what it deletes.
func ParseTransaction(origin string, text []byte, dir string, r Running) (*Change, error) {
	e := newEdit(origin, text, dir, r)
	t, mistakes := file.ReadTransaction(text)
	e.mistakes = mistakes
	if t == nil {
		return e.change()
	}
	e.result.IfRevision, e.result.OnReload = uint64(t.IfRevision.V), t.OnReload.V
	for i := range t.Changes {
		e.step(i, &t.Changes[i])
	}
	return e.change()
}
