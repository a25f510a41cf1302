package file

import "log/slog"

// File is the whole configuration file.
type File struct {
	Mapping
	// Where the running process is asked and told things.
	Admin Admin `yaml:"admin"`
	// What is logged, and how.
	Log Log `yaml:"log"`
	// Most connections that all listeners together hold at one time. 0: derived at start from the descriptor and
	// memory limits of the process, and printed.
	MaxConnections Count `yaml:"max_connections" default:"0" min:"0" max:"100000000" good:"50000" bad:"-1"`
	// How a stop goes.
	Drain Drain `yaml:"drain"`
	// How many TLS handshakes clients may begin, on hosts whose TLS ends here, of all listeners together: what they cost is
	// the whole process's. Absent: as many as they like.
	Handshakes *Handshakes `yaml:"handshakes" good:"{per_source: 50/s}" bad:"50/s"`
	// When this file is loaded again by itself.
	Reload Reload `yaml:"reload"`
	// The addresses that clients connect to.
	Listeners []Listener `yaml:"listeners" required:"true" min:"1" max:"1000" good:"[{name: public, bind: [\"127.0.0.1:0\"]}]" bad:"[]"`
	// Which names go where. The order does not matter, except among routes of equal rank: an exact host wins over the
	// longest matching `*.` suffix, that over a `~` regular expression, that over `*`. Among routes with the same host the
	// one with more conditions (`alpn`, `clients`, `listeners`) is tried first, then file order; when no condition
	// holds, the next less specific host is tried.
	Routes []Route `yaml:"routes" good:"[{name: www, hosts: [www.example.com], pool: web}]" bad:"{}"`
	// The groups of backends that routes send connections to.
	Pools []Pool `yaml:"pools" bad:"{}"`
	// Connections, each with what must become of it. A file whose tests do not all pass is refused, by `check` and by a
	// reload, with the explanation of each wrong decision; so is a change of routes while the process runs that makes
	// one fail.
	Tests []Test `yaml:"tests" min:"0" max:"10000" good:"[{sni: www.example.com, expect: {pool: canary}}]" bad:"[{sni: www.example.com, expect: {pool: nowhere}}]"`
}

// Admin is how the running process is asked and told things.
type Admin struct {
	Mapping
	// Unix socket (mode 0600) that `status`, `reload`, `drain` and `top` talk to. A relative path is relative to this
	// file. Absent: no socket.
	Socket Path `yaml:"socket" good:"/run/switchyard/admin.sock" bad:"[/run/a.sock]"`
	// Address of the read-only HTTP pages /metrics, /healthz, /readyz and status. Absent: not served.
	Listen Endpoint `yaml:"listen" good:"127.0.0.1:0" bad:"9901"`
	// File (mode 0600) in which the changes that are made through the socket, and not in this file, outlive a restart. It
	// is written by the process and should not be edited. A relative path is relative to this file. Absent: such
	// changes end with the process.
	StateFile Path `yaml:"state_file" good:"/var/lib/switchyard/state.json" bad:"[state.json]"`
}

// Log is what is logged, and how.
type Log struct {
	Mapping
	// The least level that is written.
	Level Choice[slog.Level, Levels] `yaml:"level" default:"info" good:"warn" bad:"verbose"`
	// One JSON object per line, or key=value text.
	Format Choice[string, Formats] `yaml:"format" default:"json" good:"text" bad:"xml"`
	// Whether one line is written when a connection ends.
	Connections Flag `yaml:"connections" default:"true" good:"false" bad:"sometimes"`
}

// Drain is how a stop goes: not ready, then no new connections, then the end of those that live.
type Drain struct {
	Mapping
	// How long the process says that it is not ready before it stops accepting, so that whoever sends it connections
	// has time to notice.
	Announce Duration `yaml:"announce" default:"0s" min:"0s" max:"1h" good:"5s" bad:"2h"`
	// The longest time that connections may live on after accepting has stopped; those that are left are closed. 0s: no
	// limit.
	Max Duration `yaml:"max" default:"30s" min:"0s" max:"24h" good:"2m" bad:"30"`
}

// Handshakes bounds the TLS handshakes of all clients together, or of each source, or both; one of `total` and `per_source`
// is there. Hosts that pass through are neither counted nor refused. A source is an IPv4 address, or the /64 of an IPv6 one, as
// a PROXY header tells it if there is one: clients behind one NAT, or behind a proxy that sends no PROXY header, are one source.
type Handshakes struct {
	Mapping
	// How many handshakes are begun for each second or minute, of all clients together. Those that come faster wait, up to 8
	// seconds if they come all at once and up to one in a flood, and are refused then (`handshake_limit`). Absent: as many as the cores can compute.
	Total Rate `yaml:"total" min:"1/m" max:"100000/s" good:"400/s" bad:"400"`
	// How many handshakes a source may begin for each second or minute, on average. What goes beyond is reset before anything is
	// computed for it (`handshake_rate`). Absent: as many as it likes.
	PerSource Rate `yaml:"per_source" min:"1/m" max:"10000/s" good:"50/s" bad:"50"`
	// How many a source may begin at once, after it has begun none for a while. Absent: as many as `per_source` allows in a second,
	// and 10 at the least.
	Burst Count `yaml:"burst" min:"1" max:"1000000" good:"200" bad:"0"`
	// Clients to which `per_source` does not apply: a monitoring system, or the one address behind which an office is. `total`
	// is for them, too. With a PROXY header it is the client that it tells.
	Exempt []Prefix `yaml:"exempt" min:"1" max:"1000" good:"[192.0.2.0/24]" bad:"[192.0.2.1/24]"`
}

// Reload is when this file is loaded again by itself. SIGHUP and `switchyard reload` load it at any time. A file that has a
// mistake, or cannot be put in force, changes nothing.
type Reload struct {
	Mapping
	// Whether the file is loaded whenever its content changes. The directory is watched, so that editors which rename, links
	// that are swapped and mounted ConfigMaps count.
	Watch Flag `yaml:"watch" default:"true" good:"false" bad:"sometimes"`
	// How long each reload that nobody waits for, by `watch` or SIGHUP, is guarded: if connections fail more often than
	// before it, the configuration before it is put back. 0s: not guarded. `switchyard reload --guard` says it for one
	// reload.
	Guard Duration `yaml:"guard" default:"0s" min:"0s" max:"1h" good:"30s" bad:"30"`
}

// Listener is one set of addresses that clients connect to.
type Listener struct {
	Mapping
	// The name in logs, metrics and `listeners:` of routes. Unique among listeners.
	Name Name `yaml:"name" required:"true" good:"edge" bad:"\"front door\""`
	// Addresses to accept on: `host:port` with an IP address, `[v6]:port`, or `:port` for both families. Port 0: the
	// kernel chooses.
	Bind []Bind `yaml:"bind" required:"true" min:"1" max:"64" good:"[\":8443\"]" bad:"[\"example.com:8443\"]"`
	// The longest time from accept to a complete ClientHello, the PROXY header included. It cannot be turned off.
	HelloTimeout Duration `yaml:"hello_timeout" default:"5s" min:"10ms" max:"5m" good:"2s" bad:"0s"`
	// The largest ClientHello that is read; a larger one is refused.
	HelloMaxSize Size `yaml:"hello_max_size" default:"64KiB" min:"512B" max:"64KiB" good:"16KiB" bad:"1MiB"`
	// Most connections that this listener holds at one time. 0: no limit but the process's own.
	MaxConnections Count `yaml:"max_connections" default:"0" min:"0" max:"100000000" good:"8000" bad:"8k"`
	// Peers that send a PROXY header first. Absent: no header is read from anyone.
	ProxyProtocol *ProxyProtocol `yaml:"proxy_protocol" good:"{from: [10.0.0.0/8]}" bad:"v2"`
	// What becomes of a sound ClientHello without a server name that no route takes (`no_sni: true` of a route).
	NoSNI *Action `yaml:"no_sni" default:"{reject: alert}" good:"{reject: reset}" bad:"{reject: drop}"`
	// What becomes of a name that no route matches.
	UnknownSNI *Action `yaml:"unknown_sni" default:"{reject: alert}" good:"{reject: close}" bad:"{pool: nowhere}"`
	// What becomes of a connection whose first bytes are not TLS. It never reaches a pool.
	NotTLS *NotTLS `yaml:"not_tls" default:"{reject: close}" good:"{reject: reset}" bad:"{reject: alert}"`
}

// ProxyProtocol says which peers of a listener send a PROXY header, version 1 or 2.
type ProxyProtocol struct {
	Mapping
	// Networks whose connections start with a PROXY header. From all others a header is not parsed: to them those bytes
	// are not TLS. A network of IPv4-mapped addresses (::ffff:0:0/96) is taken as the IPv4 network that it covers;
	// a wider one is refused, since it would trust far more than it seems to.
	From []Prefix `yaml:"from" required:"true" min:"1" max:"10000" good:"[10.0.0.0/8, \"fd00::/8\"]" bad:"[\"::ffff:10.0.0.0/8\"]"`
	// Whether a listed peer may also start with TLS directly. The address is then the peer's own.
	Optional Flag `yaml:"optional" default:"false" good:"true" bad:"maybe"`
}

// Action is what becomes of a connection that no route took: one of `pool` and `reject`.
type Action struct {
	Mapping
	// The pool that takes the connection.
	Pool Name `yaml:"pool" good:"web" bad:"nowhere"`
	// How the connection is refused: a TLS alert and FIN, FIN alone, or RST.
	Reject Choice[RejectWord, Rejects] `yaml:"reject" good:"close" bad:"drop"`
}

// NotTLS is what becomes of a connection that is not TLS.
type NotTLS struct {
	Mapping
	// How the connection is refused: FIN or RST. An alert is not possible, since the client could not read it.
	Reject Choice[RejectWord, BareRejects] `yaml:"reject" required:"true" good:"reset" bad:"alert"`
}

// Route sends names to a pool, or refuses them. It has exactly one of `pool`, `split` and `reject`.
type Route struct {
	Mapping
	// The name in logs and messages. Unique among routes.
	Name Name `yaml:"name" required:"true" good:"api" bad:"\"\""`
	// Names that the route is for. `api.example.com` is for API.example.com. (case and one trailing dot do not matter) and
	// not for v2.api.example.com; `*.example.com` is for a.example.com and a.b.example.com and not for example.com;
	// `~^db-[0-9]+\.example\.net$` (RE2, with both anchors) is for db-7.example.net and not for db-x.example.net; `*` is
	// for any name, and not for a hello without one.
	Hosts []Text `yaml:"hosts" required:"true" min:"1" good:"[\"*.example.com\"]" bad:"[\"*example.com\"]"`
	// Whether the route is for hellos without a server name, too; where no route is, the listener's `no_sni` says what
	// becomes of them. With `terminate` they are shown the default certificate.
	NoSNI Flag `yaml:"no_sni" default:"false" good:"true" bad:"{pool: web}"`
	// Application protocols, any of which the client must offer: `[h2, h3]` is for a client that offers h2 and http/1.1, and
	// not for one that offers http/1.1 alone. Absent: no condition.
	ALPN []Protocol `yaml:"alpn" min:"1" max:"64" good:"[acme-tls/1]" bad:"[\"\"]"`
	// Networks that the client's address must be in, after any PROXY header. Absent: no condition.
	Clients []Prefix `yaml:"clients" min:"1" max:"10000" good:"[192.0.2.0/24]" bad:"[192.0.2.1/24]"`
	// Listeners that the connection must have come by. Absent: no condition.
	Listeners []Name `yaml:"listeners" min:"1" max:"1000" good:"[inside]" bad:"[nowhere]"`
	// The pool that takes the connections.
	Pool Name `yaml:"pool" good:"web" bad:"nowhere"`
	// Pools that share the connections by weight.
	Split []Share `yaml:"split" min:"1" max:"1000" good:"[{pool: web, weight: 9}, {pool: canary}]" bad:"[{pool: web, weight: 0}]"`
	// How connections are refused: a TLS alert and FIN, FIN alone, or RST.
	Reject Choice[RejectWord, Rejects] `yaml:"reject" good:"reset" bad:"drop"`
	// TLS ends here for these hosts, instead of passing through: the backends get what is inside. Other hosts of the same
	// listener are not concerned.
	Terminate *Terminate `yaml:"terminate" good:"{certificates: [{cert: certs/www.crt, key: certs/www.key}]}" bad:"true"`
}

// Share is one pool of a split.
type Share struct {
	Mapping
	// The pool.
	Pool Name `yaml:"pool" required:"true" good:"web" bad:"nowhere"`
	// Its part of the sum of all weights. 0: none for now.
	Weight Count `yaml:"weight" default:"1" min:"0" max:"65535" good:"90" bad:"90%"`
}

// RejectWord is a way to refuse a connection.
type RejectWord uint8

// The ways to refuse a connection; the zero RejectWord is none.
const (
	NoReject RejectWord = iota
	Alert
	Close
	Reset
)

// Rejects are the spellings of [RejectWord].
type Rejects struct{}

// Options implements the choices of a [Choice].
func (Rejects) Options() []Option[RejectWord] {
	return []Option[RejectWord]{{"alert", Alert}, {"close", Close}, {"reset", Reset}}
}

// Hint knows other words for the same things.
func (Rejects) Hint(word string) string {
	switch word {
	case "drop", "deny", "block", "refuse", "fin":
		return didYouMean("close")
	case "rst":
		return didYouMean("reset")
	}
	return ""
}

// BareRejects are the spellings of [RejectWord] where no TLS is spoken.
type BareRejects struct{}

// Options implements the choices of a [Choice].
func (BareRejects) Options() []Option[RejectWord] {
	return []Option[RejectWord]{{"close", Close}, {"reset", Reset}}
}

// Hint explains why an alert is not among them.
func (BareRejects) Hint(word string) string {
	if word == "alert" {
		return "a client that does not speak TLS cannot read an alert: use close or reset"
	}
	return ""
}

// Levels are the spellings of the log levels.
type Levels struct{}

// Options implements the choices of a [Choice].
func (Levels) Options() []Option[slog.Level] {
	return []Option[slog.Level]{
		{"debug", slog.LevelDebug}, {"info", slog.LevelInfo}, {"warn", slog.LevelWarn}, {"error", slog.LevelError},
	}
}

// Formats are the log formats.
type Formats struct{}

// Options implements the choices of a [Choice].
func (Formats) Options() []Option[string] {
	return []Option[string]{{"json", "json"}, {"text", "text"}}
}
