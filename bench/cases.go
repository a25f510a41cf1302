package bench

import (
	"fmt"
	"slices"
	"time"
)

// bulkCases are the cases whose rows include the variants that are tuned for bulk.
var bulkCases = []string{"download", "upload"}

// scenario is one table of a comparison: a load, and what is counted.
type scenario struct {
	key   string // what CompareConfig.Cases calls it
	title string
	unit  string // of Row.Value
	names int
	load  LoadConfig
	tls   bool // the backend completes handshakes
	// work is how many units of work a load has done, to divide the processor time by.
	work func(*LoadReport) float64
	// measure makes one round.
	measure func(*comparer, *scenario, *balancer) (Round, error)
	// fresh starts the balancer anew for each round.
	fresh bool
	// syscalls also counts system calls, once for each row.
	syscalls bool
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
func CaseKeys() []string {
	var keys []string
	for _, s := range scenarios(CompareConfig{}.withDefaults()) {
		if !slices.Contains(keys, s.key) {
			keys = append(keys, s.key)
		}
	}
	return keys
}

// scenarios are all the cases that cfg could ask for.
func scenarios(cfg CompareConfig) []*scenario {
	hello := func(key, title string, names int, load LoadConfig) *scenario {
		load.Mode, load.Duration = ModeHello, cfg.Duration
		return &scenario{key: key, title: title, unit: perConnection, names: names, load: load,
			work: perDone, measure: (*comparer).measureCPU, syscalls: key == "hello"}
	}
	bulk := func(mode Mode) *scenario {
		title := fmt.Sprintf("bulk %s, %d connections of %d MiB each", mode, bulkConnections, cfg.Bulk>>20)
		return &scenario{key: string(mode), title: title, unit: perGB, names: cfg.Names,
			load:    LoadConfig{Mode: mode, Workers: bulkConnections, Count: bulkConnections, Bytes: cfg.Bulk},
			work:    func(r *LoadReport) float64 { return float64(r.Bytes) / 1e9 },
			measure: (*comparer).measureCPU}
	}
	list := []*scenario{
		hello("hello", "connections at saturation", cfg.Names, LoadConfig{Workers: cfg.Workers}),
		hello("rate", fmt.Sprintf("connections at %g/s, open loop", cfg.Rate), cfg.Names, LoadConfig{Rate: cfg.Rate}),
		{key: "roundtrip", title: fmt.Sprintf("100-byte round trips on %d connections", cfg.Workers), unit: perRoundTrip, names: cfg.Names,
			load:    LoadConfig{Mode: ModeRoundTrip, Workers: cfg.Workers, Duration: cfg.Duration},
			work:    func(r *LoadReport) float64 { return float64(r.RoundTrips) },
			measure: (*comparer).measureCPU},
		bulk(ModeDownload),
		bulk(ModeUpload),
		{key: "handshake", title: "real TLS 1.3 handshakes at saturation", unit: perConnection, names: cfg.Names, tls: true,
			load: LoadConfig{Mode: ModeHandshake, Workers: cfg.Workers, Duration: cfg.Duration},
			work: perDone, measure: (*comparer).measureCPU},
		{key: "idle", title: fmt.Sprintf("%d idle connections", cfg.Idle), unit: perIdle, names: cfg.Names, fresh: true,
			load:    LoadConfig{Mode: ModeIdle, Workers: cfg.Idle},
			measure: (*comparer).measureIdle},
	}
	for _, names := range cfg.NameCounts {
		if names != cfg.Names {
			list = append(list, hello("names", "connections at saturation", names, LoadConfig{Workers: cfg.Workers}))
		}
	}
	for _, names := range cfg.NameCounts {
		list = append(list, &scenario{key: "startup", title: "start-up", unit: untilReady, names: names, fresh: true,
			measure: (*comparer).measureStartup})
	}
	return list
}

func perDone(r *LoadReport) float64 { return float64(r.Done) }

// bulkConnections is how many transfers run at a time.
const bulkConnections = 4

// CompareConfig says what is compared. The zero value compares everything that is installed, in every case, with the
// running program as Switchyard.
type CompareConfig struct {
	// Against has the rows to measure beside "switchyard" and its variants, by family or by name: "direct", "gocopy",
	// "haproxy", "nginx". Empty means all. Only, where set, restricts the rows to these names, Switchyard's included.
	Against []string `json:"against,omitempty"`
	Only    []string `json:"only,omitempty"`
	// Cases has keys of [CaseKeys]; empty means all.
	Cases []string `json:"cases,omitempty"`
	// Binaries has paths of programs by name: "switchyard", "haproxy", "nginx". Those left out are looked for in PATH,
	// Switchyard is the running program.
	Binaries map[string]string `json:"binaries,omitempty"`
	// Rounds is how often each row is measured, all rows in turn. 0 means 5.
	Rounds int `json:"rounds"`
	// Duration is how long one round of a timed case lasts, WarmUp how long each row runs before the first. 0 means
	// 3 s, and a sixth of Duration.
	Duration time.Duration `json:"duration_ns"`
	WarmUp   time.Duration `json:"warm_up_ns"`
	// Workers is the connections at a time at saturation and of the round trips. 0 means 64.
	Workers int `json:"workers"`
	// Rate is that of the open loop, in connections a second. 0 means 800.
	Rate float64 `json:"rate"`
	// Names is how many names are in the table, and NameCounts for how many the start-up and the cost of a connection
	// are measured besides. 0 means 1 000; empty means 10, 1 000 and 100 000.
	Names      int   `json:"names"`
	NameCounts []int `json:"name_counts"`
	// Idle is how many connections the idle case holds. 0 means 2 000.
	Idle int `json:"idle"`
	// Bulk is how many bytes each of the four transfers of a bulk round has. 0 means 512 MiB.
	Bulk int64 `json:"bulk_bytes"`
	// Pools is among how many pools the names are divided. 0 means 4.
	Pools int `json:"pools"`
	// NoStrace leaves the counting of system calls out.
	NoStrace bool `json:"no_strace,omitempty"`
	// Self starts a process that calls [Child]. Empty means the running program with the arguments "bench child".
	Self []string `json:"-"`
	// Progress, where set, gets a line for each round.
	Progress func(string) `json:"-"`
}

func (cfg CompareConfig) withDefaults() CompareConfig {
	setDefault(&cfg.Rounds, 5)
	setDefault(&cfg.Duration, 3*time.Second)
	setDefault(&cfg.WarmUp, cfg.Duration/6)
	setDefault(&cfg.Workers, 64)
	setDefault(&cfg.Rate, 800)
	setDefault(&cfg.Names, 1000)
	setDefault(&cfg.Idle, 2000)
	setDefault(&cfg.Bulk, 512<<20)
	setDefault(&cfg.Pools, 4)
	if len(cfg.NameCounts) == 0 {
		cfg.NameCounts = []int{10, 1000, 100_000}
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	return cfg
}
