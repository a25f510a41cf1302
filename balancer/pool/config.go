package pool

import (
	"net/netip"
	"reflect"
	"time"
)

// Balance is the way a pool chooses a backend.
type Balance uint8

// The balances. docs/balancing.md says when to take which.
const (
	RoundRobin       Balance = iota // smooth weighted round robin
	LeastConnections                // fewest active connections per weight
	RandomTwo                       // the better of two drawn at random
	Maglev                          // consistent hashing
	First                           // the first that can take the connection, in file order
)

// HashKey is what maglev hashes.
type HashKey uint8

// What there is to hash.
const (
	HashClientIP HashKey = iota // the address, after any PROXY header
	HashSNI                     // the name; the address where there is none
)

// HeaderVersion is the PROXY protocol version sent to backends.
type HeaderVersion uint8

// The versions.
const (
	HeaderNone HeaderVersion = iota // no header is sent
	HeaderV1                        // text
	HeaderV2                        // binary, with TLVs
)

// Config describes a pool. It is never changed once a Pool was made from it.
type Config struct {
	Name             string
	Balance          Balance
	Hash             HashKey
	Backends         []BackendConfig
	MaxConnections   int           // 0: no limit
	ConnectTimeout   time.Duration // > 0
	AnswerTimeout    time.Duration // > 0; from connected to the first byte back
	SetupTimeout     time.Duration // from the complete hello to the first byte back, over all attempts; 0: no bound of its own
	IdleTimeout      time.Duration // 0: none
	HalfCloseTimeout time.Duration // 0: none
	StalledTimeout   time.Duration // 0: none; how long a live peer may take no byte while there are bytes to take
	DrainTimeout     time.Duration // 0: none
	Attempts         int           // >= 1; backends tried for one connection
	Header           HeaderVersion
	Source           netip.Addr // address to connect from; zero: the kernel chooses

	Health       *Check        // nil: no active checks
	Outlier      *Outlier      // nil: never ejected
	SlowStart    time.Duration // until a backend that joins or comes back has its full share; 0: at once
	PanicBelow   int           // percent of healthy backends below which all are used that are not drained; 0: never
	QueueTimeout time.Duration // how long a connection waits for a slot when every backend is full; 0: not at all
	QueueSize    int           // connections that may wait at once
	AcmeFanout   bool          // an acme-tls/1 hello is offered to all backends in turn

	// TLS, when not nil, says how TLS is spoken with the backends of connections whose own TLS has ended. Its content is
	// not pool's business. Two are the same if the first one's method Equal(any) bool says so.
	TLS Sameness
}

// SlowLooks is how often within HalfCloseTimeout it is looked whether a slow side has taken everything.
const SlowLooks = 4

// Sameness is a value that can tell whether another one means the same.
type Sameness interface{ Equal(other any) bool }

// Outlier says when a backend that fails real connections is left out.
type Outlier struct {
	Failures   int           // in a row, >= 1
	Eject      time.Duration // > 0; the first time, see Pool.Observe
	MaxEjected int           // percent of the pool, rounded down, but not to none; 0: no backend is ejected
}

// Equal reports whether two configurations mean the same.
func (c *Config) Equal(o *Config) bool {
	a, b := *c, *o
	switch {
	case !a.Health.Equal(b.Health), !same(a.TLS, b.TLS): // not for reflect
		return false
	}
	a.Health, b.Health, a.TLS, b.TLS = nil, nil, nil, nil
	return reflect.DeepEqual(a, b)
}

// BackendConfig describes one backend entry of the file: an address, or a name that stands for several.
type BackendConfig struct {
	Host           string         // DNS name; empty when Addr or Service is set
	Service        string         // DNS name of a service, "_https._tcp.example.net": its SRV records have ports and weights
	Addr           netip.AddrPort // IP address and port; only the port counts when Host is set, nothing when Service is
	Weight         int            // >= 0; 0: takes no new connections; above 1<<24 counts as that; times the weight of an SRV record
	MaxConnections int            // 0: no limit
	Backup         bool           // only when no other backend can take the connection
}

// servicePrefix marks the name of a service where a backend is written.
const servicePrefix = "srv:"

// Named is the DNS name that the backends of c are found by, "srv:" in front of that of a service; "" if c is an address.
func (c *BackendConfig) Named() string {
	if c.Service != "" {
		return servicePrefix + c.Service
	}
	return c.Host
}

// Member is one backend that a name stands for.
type Member struct {
	Addr   netip.AddrPort
	Weight int  // of a service: it is multiplied by the entry's; of a host it is not looked at
	Backup bool // of a service: also where the entry is none
}
