package admin

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// Pool is a pool as the file would have it, with its origin and what its backends do. Without Origin, Active, Dial and
// Members it can be sent back as the body of a PUT, but for the file of the authorities that a check verifies by, which has
// to be added. TLS towards backends, which this version does not act on, is left out.
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
	SlowStart        string      `json:"slow_start"`
	PanicBelow       string      `json:"panic_below"`
	QueueTimeout     string      `json:"queue_timeout"`
	QueueSize        int         `json:"queue_size"`
	AcmeFanout       bool        `json:"acme_fanout"`
	Health           *Health     `json:"health,omitempty"`
	Outlier          *Outlier    `json:"outlier,omitempty"`

	Origin  string          `json:"origin"` // "file" or "overlay"
	Active  int64           `json:"active"` // connections, also those of backends that have left
	Dial    Latency         `json:"dial"`
	Members []BackendStatus `json:"members"` // each address that connections go to

	Panic      bool       `json:"panic"`
	Waiting    int64      `json:"waiting"`
	Handshakes Handshakes `json:"handshakes"`
}

// Health is the active check of a pool's backends.
type Health struct {
	Type         string      `json:"type"`
	SNI          string      `json:"sni,omitempty"`
	ALPN         []string    `json:"alpn,omitempty"`
	Verify       string      `json:"verify,omitempty"`
	Interval     string      `json:"interval"`
	FastInterval string      `json:"fast_interval"`
	Timeout      string      `json:"timeout"`
	Rise         int         `json:"rise"`
	Fall         int         `json:"fall"`
	Address      *netip.Addr `json:"address,omitempty"`
	Port         uint16      `json:"port,omitempty"`
	Method       string      `json:"method,omitempty"`
	Path         string      `json:"path,omitempty"`
	Host         string      `json:"host,omitempty"`
	ExpectStatus []int       `json:"expect_status,omitempty"`
}

// Outlier is when backends are left out that fail connections.
type Outlier struct {
	Failures   int    `json:"failures"`
	Eject      string `json:"eject"`
	MaxEjected string `json:"max_ejected"`
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
			p.Panic, p.Waiting, p.Handshakes = live.Panic, live.Waiting, live.Handshakes
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
		SlowStart: seconds(cfg.SlowStart), PanicBelow: percent(cfg.PanicBelow),
		QueueTimeout: seconds(cfg.QueueTimeout), QueueSize: cfg.QueueSize, AcmeFanout: cfg.AcmeFanout,
		Health:  showHealth(cfg.Health),
		Members: []BackendStatus{},
	}
	if o := cfg.Outlier; o != nil {
		p.Outlier = &Outlier{o.Failures, seconds(o.Eject), percent(o.MaxEjected)}
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

func showHealth(c *pool.Check) *Health {
	if c == nil {
		return nil
	}
	h := &Health{
		Type: c.Type.String(), SNI: c.SNI, ALPN: c.ALPN, Interval: seconds(c.Interval), FastInterval: seconds(c.FastInterval),
		Timeout: seconds(c.Timeout), Rise: c.Rise, Fall: c.Fall, Port: c.Port,
		Method: c.Method, Path: c.Path, Host: c.Host, ExpectStatus: c.ExpectStatus,
	}
	if c.Type.TLS() {
		h.Verify = c.Verify.String()
	}
	if c.Address.IsValid() {
		h.Address = &c.Address
	}
	return h
}

// percent writes a part as the file has it.
func percent(n int) string { return strconv.Itoa(n) + "%" }

// seconds writes a duration as the file has it.
func seconds(d time.Duration) string { return d.String() }
