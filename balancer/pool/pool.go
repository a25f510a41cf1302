package pool

import (
	"net/netip"
	"sync/atomic"
)

// Backend is one address of a pool with its live state. It is shared by all loops; its fields are atomics.
type Backend struct {
	Pool   *Pool
	Config BackendConfig
	Addr   netip.AddrPort
	Name   string // "10.0.0.7:443": log field and metric label

	Active   atomic.Int64  // connections that hold a slot
	Total    atomic.Uint64 // connections that were answered by this backend
	Failures atomic.Uint64 // attempts that failed before the first byte
	BytesIn  atomic.Uint64 // client to backend
	BytesOut atomic.Uint64 // backend to client
}

// Release gives back the slot that Pick reserved. Exactly once per Pick.
func (b *Backend) Release() { panic("stub") }

// Pool is a set of backends and a way to choose. Any number of goroutines may call Pick; it takes no lock.
type Pool struct{ cfg Config }

// New makes a pool. Backends given by address are members at once; those given by name once SetAddrs told
// their addresses.
func New(cfg Config) *Pool { panic("stub") }

func (p *Pool) Config() *Config { return &p.cfg }
func (p *Pool) Name() string    { return p.cfg.Name }

// SetAddrs says which addresses a named backend entry (index into Config.Backends) has now. Addresses that stay
// keep their Backend with all its state. Backends that left are returned.
func (p *Pool) SetAddrs(entry int, addrs []netip.Addr) (removed []*Backend) { panic("stub") }

// Backends returns the present members in file order; the slice is not to be changed.
func (p *Pool) Backends() []*Backend { panic("stub") }

// Request is what a choice may depend on.
type Request struct {
	Client netip.Addr
	SNI    string
	Tried  []*Backend // backends that failed this connection already: not chosen again
	Draw   uint64     // uniform random number, for random_two
}

// Full says why Pick found nothing.
type Refusal uint8

const (
	NotRefused  Refusal = iota
	PoolFull            // the pool's max_connections
	BackendFull         // every usable backend is at its max_connections
	NoBackend           // no backend is left that may be tried
)

// Pick chooses a backend and reserves a slot on it, or says why none could be had.
func (p *Pool) Pick(r *Request) (*Backend, Refusal) { panic("stub") }
