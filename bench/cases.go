package bench

import (
	"crypto/tls"
	"fmt"
	"slices"
	"time"
)

// bulkCases are the cases whose rows include the variants that are tuned for bulk, connectionCases those with the
// variants that end or log a connection otherwise.
var (
	bulkCases       = []string{"download", "upload", "throughput"}
	connectionCases = []string{"hello", "rate"}
)

// scenario is one table of a comparison: a load, and what is counted.
type scenario struct {
	key     string // what CompareConfig.Cases calls it
	title   string
	unit    string // of Row.Value
	names   int
	load    LoadConfig
	backend backendKind
	// measure makes one round.
	measure func(*comparer, *scenario, *balancer) (Round, error)
	// fresh starts the balancer anew for each round.
	fresh bool
	// syscalls also counts system calls, once for each row.
	syscalls bool
}

// backendKind tells the reference backends of a comparison apart.
type backendKind struct {
	tls bool   // it completes handshakes
	key string // of its certificate
}

// The units.
const (
	perConnection = "µs of CPU per connection"
	perRoundTrip  = "µs of CPU per round trip"
	perGB         = "s of CPU per GB"
	perIdle       = "bytes per idle connection"
	untilReady    = "ms from exec to the first answer"
)

// CaseKeys are the cases in the order in which they run.
func CaseKeys() (keys []string) {
	for _, s := range scenarios(CompareConfig{}.withDefaults(), 1) {
		keys = append(keys, s.key)
	}
	return keys
}

// allScenarios are every case at every size of the table, the sizes of a case together.
func allScenarios(cfg CompareConfig) (list []*scenario) {
	bySize := make([][]*scenario, len(cfg.Names))
	for i, names := range cfg.Names {
		bySize[i] = scenarios(cfg, names)
	}
	for k := range bySize[0] {
		for i := range bySize {
			if s := bySize[i][k]; len(cfg.Cases) == 0 || slices.Contains(cfg.Cases, s.key) {
				list = append(list, s)
			}
		}
	}
	return list
}

// scenarios are all the cases with so many names in the table.
func scenarios(cfg CompareConfig, names int) []*scenario {
	list := slices.Concat(connectionScenarios(cfg), handshakeScenarios(cfg), standingScenarios(cfg))
	list = append(list, &scenario{key: "startup", title: "start-up", unit: untilReady, fresh: true, measure: (*comparer).measureStartup})
	for _, s := range list {
		s.names = names
		if s.measure == nil {
			s.measure = (*comparer).measureCPU
		}
		if s.load.Count == 0 && s.load.Mode != ModeIdle {
			s.load.Duration = cfg.Duration
		}
	}
	return list
}

// connectionScenarios are about connections that come and go.
func connectionScenarios(cfg CompareConfig) []*scenario {
	return []*scenario{
		{key: "hello", title: "connections at saturation", unit: perConnection, syscalls: true,
			load: LoadConfig{Mode: ModeHello, Workers: cfg.Workers}},
		{key: "rate", title: fmt.Sprintf("connections at %g/s, open loop", cfg.Rate), unit: perConnection,
			load: LoadConfig{Mode: ModeHello, Rate: cfg.Rate}},
		{key: "churn", title: "mixed connections at saturation", unit: perConnection,
			load: LoadConfig{Mode: ModeChurn, Workers: cfg.Workers}},
	}
}

// handshakeScenarios are about real TLS, of which the balancer carries the bytes.
func handshakeScenarios(cfg CompareConfig) []*scenario {
	load := func(mode Mode, version uint16, group tls.CurveID) LoadConfig {
		return LoadConfig{Mode: mode, Workers: cfg.Workers, TLSVersion: version, Group: group}
	}
	return []*scenario{
		{key: "handshake", title: "full handshakes, TLS 1.3, X25519MLKEM768, ECDSA", unit: perConnection,
			backend: backendKind{tls: true}, load: load(ModeHandshake, tls.VersionTLS13, tls.X25519MLKEM768)},
		{key: "handshake12", title: "full handshakes, TLS 1.2, X25519, RSA", unit: perConnection,
			backend: backendKind{tls: true, key: "rsa"}, load: load(ModeHandshake, tls.VersionTLS12, tls.X25519)},
		{key: "resume", title: "resumed handshakes, TLS 1.3", unit: perConnection,
			backend: backendKind{tls: true}, load: load(ModeResume, tls.VersionTLS13, 0)},
	}
}

// standingScenarios are about connections that stay.
func standingScenarios(cfg CompareConfig) []*scenario {
	bulk := func(mode Mode) *scenario {
		return &scenario{key: string(mode), unit: perGB,
			title: fmt.Sprintf("bulk %s, %d connections of %d MiB each", mode, bulkConnections, cfg.Bulk>>20),
			load:  LoadConfig{Mode: mode, Workers: bulkConnections, Count: bulkConnections, Bytes: cfg.Bulk}}
	}
	return []*scenario{
		{key: "roundtrip", title: fmt.Sprintf("100-byte round trips on %d connections", cfg.Workers), unit: perRoundTrip,
			load: LoadConfig{Mode: ModeRoundTrip, Workers: cfg.Workers}},
		bulk(ModeDownload), bulk(ModeUpload), bulk(ModeThroughput),
		{key: "idle", title: fmt.Sprintf("%d idle connections", cfg.Idle), unit: perIdle, fresh: true,
			// A balancer that holds no more is soon done with: 64 at a time wait for so long each.
			load: LoadConfig{Mode: ModeIdle, Workers: cfg.Idle, Timeout: 2 * time.Second}, measure: (*comparer).measureIdle},
	}
}

// bulkConnections is how many transfers run at a time.
const bulkConnections = 4
