package admin

import (
	"net/netip"
	"slices"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// Pool is a pool as the file would have it, with its origin and what its backends do. Without Origin, Active, Dial and
// Members it can be sent back as the body of a PUT. Health checks, outliers, slow start and TLS, which this version does
// not act on, are left out.
type Pool struct {
	Name             string      `json:"name"`
	Balance          string      `json:"balance"`
	Hash             string      `json:"hash,omitempty"` // of maglev
	Backends         []Backend   `json:"backends"`       // the entries of the file: a name stands for all its addresses
	MaxConnections   int         `json:"max_connections"`
	ConnectTimeout   string      `json:"connect_timeout"`
	AnswerTimeout    string      `json:"answer_timeout"`
	SetupTimeout     string      `json:"setup_timeout"`
	IdleTimeout      string      `json:"idle_timeout"`
	HalfCloseTimeout string      `json:"half_close_timeout"`
	StalledTimeout   string      `json:"stalled_timeout"`
	DrainTimeout     string      `json:"drain_timeout"`
	Attempts         int         `json:"attempts"`
	ProxyProtocol    string      `json:"proxy_protocol,omitempty"`
	Source           *netip.Addr `json:"source,omitempty"`

	Origin  string          `json:"origin"` // "file" or "overlay"
	Active  int64           `json:"active"` // connections, also those of backends that have left
	Dial    Latency         `json:"dial"`
	Members []BackendStatus `json:"members"` // each address that connections go to
}

// Backend is one entry of a pool.
type Backend struct {
	Address        string `json:"address"`
	Weight         int    `json:"weight"`
	MaxConnections int    `json:"max_connections,omitempty"`
	Backup         bool   `json:"backup,omitempty"`
}

// PoolList is what GET /v1/pools answers, in file order.
type PoolList struct {
	Pools []Pool `json:"pools"` // never null
}

// The words of the file for what a pool.Config holds.
var (
	balanceWords = map[pool.Balance]string{
		pool.RoundRobin: "round_robin", pool.LeastConnections: "least_connections", pool.RandomTwo: "random_two",
		pool.Maglev: "maglev", pool.First: "first",
	}
	hashWords   = map[pool.HashKey]string{pool.HashClientIP: "client_ip", pool.HashSNI: "sni"}
	headerWords = map[pool.HeaderVersion]string{pool.HeaderV1: "v1", pool.HeaderV2: "v2"}
)

func listPools(a *api, r *request) (any, error) {
	name, backend := r.query.text("name"), r.query.text("backend")
	list := &PoolList{Pools: []Pool{}}
	for _, p := range a.pools() {
		if (name == "" || p.Name == name) && (backend == "" || p.keepOnly(backend)) {
			list.Pools = append(list.Pools, p)
		}
	}
	return list, nil
}

func getPool(a *api, r *request) (any, error) {
	name := r.value("name")
	all := a.pools()
	i := slices.IndexFunc(all, func(p Pool) bool { return p.Name == name })
	if i < 0 {
		return nil, notFound("`switchyard pools` lists those there are", "there is no pool %s", clipped(name))
	}
	return all[i], nil
}

// keepOnly leaves of the backends those that are at address or are written so, and reports whether there are any. Of
// an entry that is a name all members are left that no entry gives by address.
func (p *Pool) keepOnly(address string) bool {
	written := make(map[string]bool, len(p.Backends))
	for _, b := range p.Backends {
		written[b.Address] = true
	}
	_, notAddress := netip.ParseAddrPort(address)
	named := written[address] && notAddress != nil
	p.Backends = slices.DeleteFunc(p.Backends, func(b Backend) bool { return b.Address != address })
	p.Members = slices.DeleteFunc(p.Members, func(m BackendStatus) bool {
		return m.Address != address && (!named || written[m.Address])
	})
	return len(p.Backends)+len(p.Members) > 0
}

// pools shows all pools. Counters and options are copied one after the other: a pool that has come between shows no
// member yet.
func (a *api) pools() []Pool {
	stats := make(map[string]*balancer.PoolStats)
	copied := a.balancer.Stats()
	for i := range copied.Pools {
		stats[copied.Pools[i].Name] = &copied.Pools[i]
	}
	origins := originsOf(a.control.Status().Overlay, "pool")
	var all []Pool
	for _, cfg := range a.balancer.Pools() {
		p := showPool(&cfg)
		p.Origin = originOf(origins, cfg.Name)
		if st := stats[cfg.Name]; st != nil {
			live := poolStatus(st)
			p.Active, p.Dial, p.Members = live.Active, live.Dial, live.Backends
		}
		all = append(all, p)
	}
	return all
}

func showPool(cfg *pool.Config) Pool {
	p := Pool{
		Name: cfg.Name, Balance: balanceWords[cfg.Balance], Backends: []Backend{}, MaxConnections: cfg.MaxConnections,
		ConnectTimeout: seconds(cfg.ConnectTimeout), AnswerTimeout: seconds(cfg.AnswerTimeout),
		SetupTimeout: seconds(cfg.SetupTimeout), IdleTimeout: seconds(cfg.IdleTimeout),
		HalfCloseTimeout: seconds(cfg.HalfCloseTimeout), StalledTimeout: seconds(cfg.StalledTimeout),
		DrainTimeout: seconds(cfg.DrainTimeout), Attempts: cfg.Attempts, ProxyProtocol: headerWords[cfg.Header],
		Members: []BackendStatus{},
	}
	if cfg.Balance == pool.Maglev {
		p.Hash = hashWords[cfg.Hash]
	}
	if cfg.Source.IsValid() {
		p.Source = &cfg.Source
	}
	for _, b := range cfg.Backends {
		p.Backends = append(p.Backends, Backend{
			Address: b.Text(), Weight: b.Weight, MaxConnections: b.MaxConnections, Backup: b.Backup,
		})
	}
	return p
}

// seconds writes a duration as the file has it.
func seconds(d time.Duration) string { return d.String() }
