package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/proc"
)

// LoadReport is what became of a load. Started is Done plus Failed: no connection is left out.
type LoadReport struct {
	Config   LoadConfig        `json:"config"`
	Elapsed  time.Duration     `json:"elapsed_ns"`
	Started  int               `json:"started"`
	Done     int               `json:"done"`
	Failed   int               `json:"failed"`
	Failures map[string]int    `json:"failures"`           // by kind
	Examples map[string]string `json:"examples,omitempty"` // an error text for each kind
	// RoundTrips and Bytes count what ModeRoundTrip, and ModeDownload and ModeUpload, got done.
	RoundTrips int64 `json:"round_trips,omitempty"`
	Bytes      int64 `json:"bytes,omitempty"`
	// Latency is from the start of a connection to the end of its answer, of a message for ModeRoundTrip, and of a
	// transfer for the bulk modes. In an open loop the start is when the connection was due, not when the generator
	// came to it, so that a stall is charged to all who would have waited in it (coordinated omission). In a closed
	// loop nobody arrives while all wait: read those figures as service time.
	Latency Percentiles `json:"latency"`
	// Late is by how much an open loop started connections after they were due.
	Late Percentiles `json:"late"`
	// Generator is the processor time of the generator itself.
	Generator proc.CPU `json:"generator_cpu"`
	Warnings  []string `json:"warnings,omitempty"`
}

// Percentiles are the points of a histogram, all zero when it is empty.
type Percentiles struct {
	Count int64         `json:"count"`
	Min   time.Duration `json:"min_ns"`
	Mean  time.Duration `json:"mean_ns"`
	P50   time.Duration `json:"p50_ns"`
	P90   time.Duration `json:"p90_ns"`
	P99   time.Duration `json:"p99_ns"`
	P999  time.Duration `json:"p99_9_ns"`
	P9999 time.Duration `json:"p99_99_ns"`
	Max   time.Duration `json:"max_ns"`
}

// The generator is called the bottleneck when it keeps its thread busier than this, or starts an open loop's
// connections later than that.
const (
	busyLimit = 0.9
	lateLimit = 10 * time.Millisecond
)

// Busy is the share of one core that the generator used.
func (r *LoadReport) Busy() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return r.Generator.Total.Seconds() / r.Elapsed.Seconds()
}

func (r *LoadReport) warn() {
	// crypto/tls spreads over the cores; the raw modes have one thread.
	if r.Config.Mode != ModeHandshake && r.Busy() > busyLimit {
		r.Warnings = append(r.Warnings, fmt.Sprintf(
			"the generator used %.0f %% of its core: it, not the balancer, may be what limits the rate", 100*r.Busy()))
	}
	if r.Late.P99 > lateLimit {
		r.Warnings = append(r.Warnings, fmt.Sprintf(
			"1 %% of the connections started more than %v late: the generator did not get the processor in time, and "+
				"the latencies include that", r.Late.P99.Round(time.Millisecond)))
	}
}

// PerSecond is how many connections were answered in a second.
func (r *LoadReport) PerSecond() float64 { return float64(r.Done) / r.Elapsed.Seconds() }

// WriteJSON writes the whole report, indented.
func (r *LoadReport) WriteJSON(w io.Writer) error { return writeJSON(w, r) }

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// WriteText writes the report for a person.
func (r *LoadReport) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(key, format string, args ...any) { fmt.Fprintf(t, key+"\t"+format+"\n", args...) }
	row("load", "%s, %s, names %s", r.Config.Mode, r.loopKind(), r.Config.Names)
	row("connections", "%d started, %d done, %d failed in %v (%.1f/s)",
		r.Started, r.Done, r.Failed, r.Elapsed.Round(time.Millisecond), r.PerSecond())
	for _, kind := range slices.Sorted(maps.Keys(r.Failures)) {
		row("  "+kind, "%d  %s", r.Failures[kind], r.Examples[kind])
	}
	if r.RoundTrips > 0 {
		row("round trips", "%d (%.0f/s)", r.RoundTrips, float64(r.RoundTrips)/r.Elapsed.Seconds())
	}
	if r.Bytes > 0 {
		row("bulk", "%.2f GB (%.2f GB/s)", float64(r.Bytes)/1e9, float64(r.Bytes)/1e9/r.Elapsed.Seconds())
	}
	row("latency", "%s", r.Latency)
	if r.Config.Rate > 0 {
		row("started late", "%s", r.Late)
	}
	row("generator", "%v of processor time, %.0f %% of a core", r.Generator.Total.Round(time.Millisecond), 100*r.Busy())
	for _, warning := range r.Warnings {
		row("warning", "%s", warning)
	}
	return t.Flush()
}

func (r *LoadReport) loopKind() string {
	if r.Config.Rate > 0 {
		return fmt.Sprintf("open loop at %g/s, latency from the intended start", r.Config.Rate)
	}
	return fmt.Sprintf("closed loop of %d, latency is service time", r.Config.Workers)
}

// String is the percentiles in a line.
func (p Percentiles) String() string {
	if p.Count == 0 {
		return "none"
	}
	return fmt.Sprintf("p50 %s  p90 %s  p99 %s  p99.9 %s  p99.99 %s  max %s",
		short(p.P50), short(p.P90), short(p.P99), short(p.P999), short(p.P9999), short(p.Max))
}

// short is d to three digits.
func short(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}
