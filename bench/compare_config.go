package bench

import (
	"slices"
	"time"
)

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
	// 2 s, and a sixth of Duration.
	Duration time.Duration `json:"duration_ns"`
	WarmUp   time.Duration `json:"warm_up_ns"`
	// Workers is the connections at a time at saturation and of the round trips. 0 means 64.
	Workers int `json:"workers"`
	// Rate is that of the open loop, in connections a second. 0 means 800.
	Rate float64 `json:"rate"`
	// Names is how many names are in every peer's table, and each case is measured at each of these sizes. Empty means
	// 1 000. Variants are measured at the middle one only.
	Names []int `json:"names"`
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
	setDefault(&cfg.Duration, 2*time.Second)
	setDefault(&cfg.WarmUp, cfg.Duration/6)
	setDefault(&cfg.Workers, 64)
	setDefault(&cfg.Rate, 800)
	setDefault(&cfg.Idle, 2000)
	setDefault(&cfg.Bulk, 512<<20)
	setDefault(&cfg.Pools, 4)
	if len(cfg.Names) == 0 {
		cfg.Names = []int{1000}
	}
	cfg.Names = slices.Sorted(slices.Values(cfg.Names))
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	return cfg
}

// middle is the size of the table that variants are measured at.
func (cfg CompareConfig) middle() int { return cfg.Names[len(cfg.Names)/2] }
