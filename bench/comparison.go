package bench

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/proc"
)

// Comparison is what Compare found. In every case less is better.
type Comparison struct {
	Config   CompareConfig `json:"config"`
	Machine  proc.Machine  `json:"machine"`
	When     time.Time     `json:"when"`
	Peers    []PeerInfo    `json:"peers"`
	Cases    []*CaseResult `json:"cases"`
	Warnings []string      `json:"warnings,omitempty"`
}

// PeerInfo is which program stands behind a row, and how it was configured.
type PeerInfo struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Note    string `json:"note"`
	Missing string `json:"missing,omitempty"` // why the row was not measured
	Config  string `json:"config,omitempty"`  // of its first case; long lists of names are shortened
}

// version is what stands where a version is expected: why there is none, if there is none.
func (p *PeerInfo) version() string { return cmp.Or(p.Missing, p.Version) }

// CaseResult is one table.
type CaseResult struct {
	Key   string `json:"case"`
	Title string `json:"title"`
	Unit  string `json:"unit"`
	Names int    `json:"names"`
	Rows  []*Row `json:"rows"`
}

// Row is one peer in one case.
type Row struct {
	Peer   string  `json:"peer"`
	Family string  `json:"family"`          // the program: rows of one family are variants of each other
	Error  string  `json:"error,omitempty"` // why there are fewer rounds than asked for
	Rounds []Round `json:"rounds"`
	Value  Spread  `json:"value"`
	// The ratios divide each round's value by the same round's of another row, and are absent where there is none.
	Ratio       *Spread   `json:"ratio,omitempty"`        // to the better of plain HAProxy and nginx
	RatioTuned  *Spread   `json:"ratio_tuned,omitempty"`  // to the best of all rows of HAProxy and nginx
	RatioGoCopy *Spread   `json:"ratio_gocopy,omitempty"` // to the bare Go forwarder
	Syscalls    *Syscalls `json:"syscalls,omitempty"`
}

// tuned reports whether the row is a variant and not the program's plain row.
func (r *Row) tuned() bool { return r.Peer != r.Family }

// Round is one measurement.
type Round struct {
	Value  float64     `json:"value"`
	CPU    proc.CPU    `json:"cpu"`          // of the balancer's processes
	Memory int64       `json:"memory_bytes"` // of the same after the load, or while the connections are held
	Load   *LoadReport `json:"load,omitempty"`
	Held   int         `json:"held,omitempty"`
	FDs    float64     `json:"fds,omitempty"` // per held connection
}

// Spread is a median and what lay around it.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf leaves values as they are. No values have the zero spread.
func spreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	median := sorted[middle]
	if len(sorted)%2 == 0 {
		median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return Spread{Median: median, Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// summarize computes medians and ratios once all rounds are there.
func (c *CaseResult) summarize() {
	for _, r := range c.Rows {
		r.Value = spreadOf(r.values())
	}
	plain := c.best(func(r *Row) bool { return r.rival() && !r.tuned() })
	tuned := c.best((*Row).rival)
	bare := c.best(func(r *Row) bool { return r.Family == familyCopy && c.Unit == perGB })
	for _, r := range c.Rows {
		if r.Family == familyDirect {
			continue
		}
		r.Ratio = r.over(plain)
		if tuned != plain {
			r.RatioTuned = r.over(tuned)
		}
		r.RatioGoCopy = r.over(bare)
	}
}

// rival reports whether a row is one that ours is measured by.
func (r *Row) rival() bool { return r.Family == familyHAProxy || r.Family == familyNginx }

func (r *Row) values() (values []float64) {
	for _, round := range r.Rounds {
		values = append(values, round.Value)
	}
	return values
}

// best is the row with the lowest median among those that want; nil if none was measured.
func (c *CaseResult) best(want func(*Row) bool) *Row {
	var rows []*Row
	for _, r := range c.Rows {
		if want(r) && len(r.Rounds) > 0 {
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return slices.MinFunc(rows, func(a, b *Row) int { return cmp.Compare(a.Value.Median, b.Value.Median) })
}

// over is the spread of the rounds' ratios to another row's.
func (r *Row) over(other *Row) *Spread {
	if other == nil || r == other || len(r.Rounds) == 0 {
		return nil
	}
	var ratios []float64
	for i := range min(len(r.Rounds), len(other.Rounds)) {
		if other.Rounds[i].Value > 0 {
			ratios = append(ratios, r.Rounds[i].Value/other.Rounds[i].Value)
		}
	}
	s := spreadOf(ratios)
	return &s
}

func (c *Comparison) warn(format string, args ...any) {
	c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...))
}

// WriteJSON writes everything, each round's load report included.
func (c *Comparison) WriteJSON(w io.Writer) error { return writeJSON(w, c) }
