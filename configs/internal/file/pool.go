package file

import (
	"go.yaml.in/yaml/v4"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// Pool is a group of backends and the way to choose among them.
type Pool struct {
	Mapping
	// The name in logs, metrics and routes. Unique among pools.
	Name Name `yaml:"name" required:"true" good:"api" bad:"web/1"`
	// How a backend is chosen: in turn by weight; the fewest connections per weight; the better of two drawn at random;
	// by a consistent hash; or the first that can take the connection.
	Balance Choice[pool.Balance, Balances] `yaml:"balance" default:"round_robin" good:"least_connections" bad:"leastconn"`
	// What `balance: maglev` hashes.
	Hash Choice[pool.HashKey, HashKeys] `yaml:"hash" default:"client_ip" good:"sni" bad:"cookie"`
	// The backends, each `host:port` or a mapping. A host that is not an IP address is a DNS name: it is resolved again as
	// its records expire, and every address is a backend. `srv:NAME` stands for the targets of its SRV records, which have the
	// port and the weight; those of the lowest priority are used, the others are backups.
	Backends []Backend `yaml:"backends" required:"true" min:"1" max:"10000" good:"[192.0.2.7:443, {address: \"db.example.net:443\", weight: 3}]" bad:"[192.0.2.7]"`
	// Most connections that this pool holds at one time. 0: no limit.
	MaxConnections Count `yaml:"max_connections" default:"0" min:"0" max:"100000000" good:"5000" bad:"5k"`
	// The longest time to connect to one backend.
	ConnectTimeout Duration `yaml:"connect_timeout" default:"3s" min:"10ms" max:"5m" good:"500ms" bad:"0s"`
	// The longest time from connected to the backend's first byte; then the next backend is tried.
	AnswerTimeout Duration `yaml:"answer_timeout" default:"5s" min:"10ms" max:"5m" good:"10s" bad:"0s"`
	// The longest time from the complete hello to the backend's first byte, all attempts together; time spent in the queue does
	// not count. The client is then told that no backend can serve it.
	SetupTimeout Duration `yaml:"setup_timeout" default:"10s" min:"10ms" max:"10m" good:"30s" bad:"0s"`
	// The longest time without a byte either way. 0s: no limit; peers that are gone are noticed by keepalive.
	IdleTimeout Duration `yaml:"idle_timeout" default:"0s" min:"0s" max:"8760h" good:"1h" bad:"1d"`
	// How long a connection may be silent after one side has ended. A side that still has bytes to take, from this machine's
	// memory too, is not silent: stalled_timeout is for that. 0s: no limit.
	HalfCloseTimeout Duration `yaml:"half_close_timeout" default:"1m" min:"0s" max:"8760h" good:"10s" bad:"60"`
	// How long a peer that is alive may refuse to take the bytes that wait for it. 0s: no limit; a peer that is gone is
	// noticed by TCP_USER_TIMEOUT all the same.
	StalledTimeout Duration `yaml:"stalled_timeout" default:"5m" min:"0s" max:"8760h" good:"2m" bad:"2 m"`
	// How long connections may stay with a backend that has left the pool. 0s: no limit.
	DrainTimeout Duration `yaml:"drain_timeout" default:"0s" min:"0s" max:"8760h" good:"5m" bad:"-5m"`
	// Backends that are tried for one connection, the first included. Each is tried once.
	Attempts Count `yaml:"attempts" default:"3" min:"1" max:"100" good:"2" bad:"0"`
	// Version of the PROXY header that is sent to the backends; version 2 carries the server name (authority), the ALPN and a
	// unique id. Absent: none is sent.
	ProxyProtocol Choice[pool.HeaderVersion, HeaderVersions] `yaml:"proxy_protocol" good:"v1" bad:"v3"`
	// Address to connect from. Absent: the kernel chooses.
	Source Address `yaml:"source" good:"127.0.0.1" bad:"eth0"`
	// How long a connection waits for a slot when the pool or all its backends are at `max_connections`. 0s: it is refused at
	// once.
	QueueTimeout Duration `yaml:"queue_timeout" default:"0s" min:"0s" max:"10m" good:"5s" bad:"5"`
	// Connections that may wait for a slot at one time. Routes are served in turn.
	QueueSize Count `yaml:"queue_size" default:"1000" min:"1" max:"1000000" good:"100" bad:"0"`
	// Whether a hello that offers `acme-tls/1` (RFC 8737) is offered to the backends in turn until one answers it with a
	// ServerHello, to at most 255 of them and not only `attempts`: the one that has asked for the certificate is found.
	AcmeFanout Flag `yaml:"acme_fanout" default:"false" good:"true" bad:"1"`
	// Active checks of the backends. Absent: none.
	Health *Health `yaml:"health" good:"{type: tcp, interval: 1s}" bad:"true"`
	// Backends that fail real connections are left out for a while. Absent: never.
	Outlier *Outlier `yaml:"outlier" good:"{failures: 3}" bad:"5"`
	// How long a backend that joins or comes back takes to reach its full share, which rises evenly. 0s: at once. Those that are
	// there when the process starts have it at once.
	SlowStart Duration `yaml:"slow_start" default:"0s" min:"0s" max:"1h" good:"30s" bad:"10"`
	// Panic mode: when less than this part of the backends that are not drained is healthy, all of these are used, healthy or
	// not. 0%: never.
	PanicBelow Percent `yaml:"panic_below" default:"50%" min:"0%" max:"100%" good:"25%" bad:"50"`
	// TLS towards the backends of a terminated route; `{}` for the defaults. Absent: plain TCP. Connections that pass
	// through are not concerned: they have TLS already.
	TLS *BackendTLS `yaml:"tls" good:"{}" bad:"true"`
}

// Backend is one backend, or a name that stands for several. `host:port` alone is short for `{address: "host:port"}`.
type Backend struct {
	Mapping
	// `host:port`, with an IP address or a DNS name; or `srv:` and the name of a service, such as
	// `srv:_https._tcp.example.net`.
	Address Target `yaml:"address" required:"true" good:"\"[2001:db8::7]:443\"" bad:"\"0.0.0.0:443\""`
	// Its share, beside the weights of the others. 0: it takes no new connections. Of a service, every record's weight is
	// multiplied by it.
	Weight Count `yaml:"weight" default:"1" min:"0" max:"65535" good:"3" bad:"-1"`
	// Most connections that it holds at one time. 0: no limit.
	MaxConnections Count `yaml:"max_connections" default:"0" min:"0" max:"100000000" good:"500" bad:"1.5"`
	// Only used when no other backend can take the connection.
	Backup Flag `yaml:"backup" default:"false" good:"true" bad:"1"`
}

func (b *Backend) decode(d *decoder, n *yaml.Node, _ *key) {
	if n.Kind == yaml.MappingNode {
		d.mapping(structValue(b), n, n)
		return
	}
	d.short(structValue(b), n, &b.Address)
}

// Health is an active check.
type Health struct {
	Mapping
	// A TCP connection; a TLS handshake; an HTTP request; an HTTP request over TLS.
	Type Choice[pool.CheckType, HealthTypes] `yaml:"type" default:"tcp" good:"https" bad:"ping"`
	// Server name to send. Absent: none. For `tls` and `https`.
	SNI Text `yaml:"sni" good:"api.example.com" bad:"\"api example\""`
	// Application protocols to offer. For `tls` and `https`.
	ALPN []Protocol `yaml:"alpn" min:"1" max:"64" good:"[h2]" bad:"[\"\"]"`
	// By what the backend's certificate is verified: not at all, by the authorities of the system, or by those of `ca`. The name
	// in it must be `sni`, or the address that is checked. For `tls` and `https`.
	Verify Choice[pool.CheckVerify, HealthVerifies] `yaml:"verify" default:"none" good:"system" bad:"true"`
	// PEM file with the authorities to trust. Needs `verify: ca`. It is read again when it changes. A relative path
	// is relative to this file.
	CA Path `yaml:"ca" good:"certs/www.crt" bad:"missing.pem"`
	// Time between the starts of two checks of one backend.
	Interval Duration `yaml:"interval" default:"5s" min:"100ms" max:"24h" good:"2s" bad:"2"`
	// The same while a check has just had another result than the one before, and until the first decision. Absent: 1s, or
	// the interval if that is shorter.
	FastInterval Duration `yaml:"fast_interval" default:"1s" min:"100ms" max:"24h" good:"500ms" bad:"1"`
	// The longest time that a check may take; not more than the interval.
	Timeout Duration `yaml:"timeout" default:"1s" min:"10ms" max:"5m" good:"500ms" bad:"0s"`
	// Checks in a row that must pass before a backend is used again.
	Rise Count `yaml:"rise" default:"2" min:"1" max:"1000" good:"1" bad:"0"`
	// Checks in a row that must fail before a backend is no longer used.
	Fall Count `yaml:"fall" default:"3" min:"1" max:"1000" good:"5" bad:"0"`
	// Address to check instead of the backend's own. Absent: the backend's own.
	Address Address `yaml:"address" good:"192.0.2.9" bad:"\"192.0.2.9:80\""`
	// Port to check instead of the backend's own. 0: the backend's own.
	Port Count `yaml:"port" default:"0" min:"0" max:"65535" good:"8080" bad:"65536"`
	// Method of the request. For `http` and `https`.
	Method Text `yaml:"method" good:"HEAD" bad:"\"GET /\""`
	// Path of the request. Absent: `/`. For `http` and `https`.
	Path Text `yaml:"path" good:"/healthz" bad:"healthz"`
	// Host header of the request. Absent: the `sni`, or the backend's address. For `http` and `https`.
	Host Text `yaml:"host" good:"api.example.com" bad:"\"a b\""`
	// Status codes that mean healthy. Absent: 200 to 399. For `http` and `https`.
	ExpectStatus []Count `yaml:"expect_status" min:"1" max:"100" good:"[200, 204]" bad:"[99]"`
}

// Outlier is when a backend that fails real connections is left out.
type Outlier struct {
	Mapping
	// Failures in a row that eject a backend.
	Failures Count `yaml:"failures" default:"5" min:"1" max:"1000" good:"3" bad:"0"`
	// How long it is left out the first time; twice as long each time again, up to 16 times as long.
	Eject Duration `yaml:"eject" default:"30s" min:"100ms" max:"24h" good:"10s" bad:"0s"`
	// The largest part of the pool that may be left out at one time, rounded down but not to none; one backend always stays.
	// 0%: none is left out.
	MaxEjected Percent `yaml:"max_ejected" default:"50%" min:"0%" max:"100%" good:"25%" bad:"0.5"`
}

// BackendTLS is how TLS is spoken with backends.
type BackendTLS struct {
	Mapping
	// Server name to send and to verify. Absent: the name that the client asked for.
	SNI Text `yaml:"sni" good:"internal.example.com" bad:"\"in ternal\""`
	// PEM file with the authorities to trust. It is read again when it changes. Absent: those of the system. A relative path is
	// relative to this file.
	CA Path `yaml:"ca" good:"certs/www.crt" bad:"missing.pem"`
	// Whether the backend's certificate is verified.
	Verify Flag `yaml:"verify" default:"true" good:"false" bad:"\"true\""`
	// PEM file with a certificate to show to the backend. Needs `key`. Both are read again when they change, and taken
	// together.
	Cert Path `yaml:"cert" good:"certs/www.crt" bad:"missing.crt"`
	// PEM file with its private key. Needs `cert`. Who may read it is as for the keys of `terminate`: mode 0600 or 0400.
	Key Path `yaml:"key" good:"certs/www.key" bad:"missing.key"`
	// Application protocols to offer. Absent: the one agreed with the client.
	ALPN []Protocol `yaml:"alpn" min:"1" max:"64" good:"[http/1.1]" bad:"[\"\"]"`
}

// Balances are the spellings of [pool.Balance].
type Balances struct{}

// Options implements the choices of a [Choice].
func (Balances) Options() []Option[pool.Balance] {
	return []Option[pool.Balance]{
		{"round_robin", pool.RoundRobin}, {"least_connections", pool.LeastConnections}, {"random_two", pool.RandomTwo},
		{"maglev", pool.Maglev}, {"first", pool.First},
	}
}

// Hint knows what other balancers call the same thing.
func (Balances) Hint(word string) string {
	theirs := map[string]string{
		"roundrobin": "round_robin", "rr": "round_robin", "leastconn": "least_connections",
		"least_conn": "least_connections", "least_request": "least_connections", "random": "random_two",
		"source": "maglev", "ip_hash": "maglev", "hash": "maglev", "ring_hash": "maglev",
	}
	if ours := theirs[word]; ours != "" {
		return didYouMean(ours)
	}
	return ""
}

// HashKeys are the spellings of [pool.HashKey].
type HashKeys struct{}

// Options implements the choices of a [Choice].
func (HashKeys) Options() []Option[pool.HashKey] {
	return []Option[pool.HashKey]{{"client_ip", pool.HashClientIP}, {"sni", pool.HashSNI}}
}

// HeaderVersions are the spellings of [pool.HeaderVersion].
type HeaderVersions struct{}

// Options implements the choices of a [Choice].
func (HeaderVersions) Options() []Option[pool.HeaderVersion] {
	return []Option[pool.HeaderVersion]{{"v1", pool.HeaderV1}, {"v2", pool.HeaderV2}}
}

// Hint knows the versions without their letter.
func (HeaderVersions) Hint(word string) string {
	if word == "1" || word == "2" {
		return didYouMean("v" + word)
	}
	return ""
}

// HealthTypes are the kinds of active checks.
type HealthTypes struct{}

// Options implements the choices of a [Choice].
func (HealthTypes) Options() []Option[pool.CheckType] {
	return []Option[pool.CheckType]{
		{"tcp", pool.CheckTCP}, {"tls", pool.CheckTLS}, {"http", pool.CheckHTTP}, {"https", pool.CheckHTTPS},
	}
}

// HealthVerifies are the ways to verify a certificate in a check.
type HealthVerifies struct{}

// Options implements the choices of a [Choice].
func (HealthVerifies) Options() []Option[pool.CheckVerify] {
	return []Option[pool.CheckVerify]{{"none", pool.VerifyNone}, {"system", pool.VerifySystem}, {"ca", pool.VerifyCA}}
}
