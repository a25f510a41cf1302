package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/proc"
)

// LoadReport is what became of a load. Started is Done plus Failed: no connection is left out.
type LoadReport struct {
	Config   LoadConfig        `json:"config"` // without Replay, of which Replayed is the number
	Replayed int               `json:"replayed,omitempty"`
	Elapsed  time.Duration     `json:"elapsed_ns"`
	Started  int               `json:"started"`
	Done     int               `json:"done"`
	Failed   int               `json:"failed"`
	Failures map[string]int    `json:"failures"`           // by kind
	Examples map[string]string `json:"examples,omitempty"` // an error text for each kind
	// Negotiated counts handshakes by what they agreed on: "TLS 1.3, X25519MLKEM768, ECDSA". Primed is how many came
	// before a load of ModeResume to make its sessions, and are not in Started.
	Negotiated map[string]int `json:"negotiated,omitempty"`
	Primed     int            `json:"primed,omitempty"`
	// RoundTrips and Bytes count messages to and fro, and what was transferred in bulk; Up is the part of it that went
	// to the backend.
	RoundTrips int64 `json:"round_trips,omitempty"`
	Bytes      int64 `json:"bytes,omitempty"`
	Up         int64 `json:"bytes_up,omitempty"`
	// Latency is from the start of a connection to the end of its answer; of a message for ModeRoundTrip, and of a
	// transfer for the bulk modes. In an open loop the start is when the connection or message was due, not when the
	// generator came to it, so that a stall is charged to all who would have waited in it (coordinated omission). In a
	// closed loop nobody arrives while all wait: read those figures as service time.
	Latency Percentiles `json:"latency"`
	Curve   []Point     `json:"curve"` // the same, for a chart
	// Late is by how much an open loop started connections and messages after they were due though they could have been.
	Late     Percentiles `json:"late"`
	Timeline Timeline    `json:"timeline"`
	// Generator is the processor time of the generator itself, MachineIdle the share of all processors' time that nobody
	// used, from 0 to 1.
	Generator   proc.CPU `json:"generator_cpu"`
	MachineIdle float64  `json:"machine_idle"`
	Cost        *Cost    `json:"cost,omitempty"` // of LoadConfig.PID
	Warnings    []string `json:"warnings,omitempty"`
}

// The generator is called the bottleneck when it keeps its thread busier than busyLimit, when it starts an open loop's
// connections later than lateLimit, or when it takes more than hungryLimit of a machine that is less idle than
// idleLimit.
const (
	busyLimit   = 0.9
	lateLimit   = 10 * time.Millisecond
	hungryLimit = 0.3
	idleLimit   = 0.05
)

// Busy is the share of one core that the generator used; above 1 it used several.
func (r *LoadReport) Busy() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return r.Generator.Total.Seconds() / r.Elapsed.Seconds()
}

func (r *LoadReport) warn() {
	warn := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	ofMachine := r.Busy() / float64(runtime.NumCPU())
	switch { // crypto/tls spreads over the cores; the raw modes have one thread
	case !r.Config.Mode.real() && r.Busy() > busyLimit:
		warn("the generator used %.0f %% of its core: it, not the balancer, may be what limits the rate", 100*r.Busy())
	case r.Config.Mode.real() && r.MachineIdle < idleLimit && ofMachine > hungryLimit:
		warn("the machine was %.0f %% idle and the generator used %.0f %% of it: it, not the balancer, may be what limits the rate",
			100*r.MachineIdle, 100*ofMachine)
	}
	if r.Late.P99 > lateLimit {
		warn("1 %% of the connections or messages started more than %v late: the generator did not get the processor in "+
			"time, and the latencies include that", r.Late.P99.Round(time.Millisecond))
	}
}

// PerSecond is how many connections were answered in a second.
func (r *LoadReport) PerSecond() float64 { return float64(r.Done) / r.Elapsed.Seconds() }

// work is what the mode counts: connections, round trips or GB.
func (r *LoadReport) work() float64 {
	all := Moment{Done: r.Done, RoundTrips: int(r.RoundTrips), Bytes: r.Bytes}
	return all.work(r.Config.Mode)
}

// speedText is a speed with the unit of the mode.
func speedText(mode Mode, speed float64) string {
	switch {
	case mode == ModeRoundTrip:
		return fmt.Sprintf("%.0f round trips/s", speed)
	case mode.bulk():
		return fmt.Sprintf("%.2f GB/s", speed)
	default:
		return fmt.Sprintf("%.1f/s", speed)
	}
}

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
	for _, row := range r.rows() {
		fmt.Fprintf(t, "%s\t%s\n", row[0], row[1])
	}
	return t.Flush()
}

// rows are the report as keys and values.
func (r *LoadReport) rows() (rows [][2]string) {
	row := func(key, format string, args ...any) {
		rows = append(rows, [2]string{key, fmt.Sprintf(format, args...)})
	}
	row("load", "%s, %s, %s", r.Config.Mode, r.loopKind(), r.hellosText())
	row("connections", "%d started, %d done, %d failed in %v (%.1f/s)",
		r.Started, r.Done, r.Failed, r.Elapsed.Round(time.Millisecond), r.PerSecond())
	for _, kind := range slices.Sorted(maps.Keys(r.Failures)) {
		row("  "+kind, "%d  %s", r.Failures[kind], r.Examples[kind])
	}
	for _, what := range slices.Sorted(maps.Keys(r.Negotiated)) {
		row("  handshakes", "%d  %s", r.Negotiated[what], what)
	}
	if r.Primed > 0 {
		row("  before", "%d full handshakes for the sessions, not counted", r.Primed)
	}
	if r.RoundTrips > 0 {
		row("round trips", "%d (%.0f/s)", r.RoundTrips, float64(r.RoundTrips)/r.Elapsed.Seconds())
	}
	if r.Bytes > 0 {
		row("bulk", "%.3g GB (%.3g GB/s), %.3g GB of it to the backend",
			float64(r.Bytes)/1e9, float64(r.Bytes)/1e9/r.Elapsed.Seconds(), float64(r.Up)/1e9)
	}
	row("latency", "%s", r.Latency)
	if r.Config.Rate > 0 {
		row("started late", "%s", r.Late)
	}
	row("generator", "%v of processor time, %.0f %% of a core; the machine was %.0f %% idle",
		r.Generator.Total.Round(time.Millisecond), 100*r.Busy(), 100*r.MachineIdle)
	if r.Cost != nil {
		rows = append(rows, r.costRows()...)
	}
	for _, warning := range r.Warnings {
		row("warning", "%s", warning)
	}
	return rows
}

// costRows are what the watched process spent.
func (r *LoadReport) costRows() [][2]string {
	c := r.Cost
	per := fmt.Sprintf("%.1f µs per connection", micros(c.CPU.Total, float64(r.Done)))
	switch {
	case r.Config.Mode == ModeRoundTrip:
		per = fmt.Sprintf("%.2f µs per round trip", micros(c.CPU.Total, r.work()))
	case r.Config.Mode.bulk():
		per = fmt.Sprintf("%.3f s per GB", micros(c.CPU.Total, r.work())/1e6)
	}
	who := fmt.Sprintf("process %d", r.Config.PID)
	rows := [][2]string{{who, fmt.Sprintf("%v of processor time, %s; %.1f MiB of memory",
		c.CPU.Total.Round(time.Millisecond), per, float64(c.Memory)/(1<<20))}}
	if c.Held > 0 {
		rows = append(rows, [2]string{"  held", fmt.Sprintf("%d connections, %.0f bytes and %.2f descriptors each", c.Held, c.HeldBytes, c.HeldFDs)})
	}
	return rows
}

// micros is d divided by n in microseconds; 0 for no n.
func micros(d time.Duration, n float64) float64 {
	if n <= 0 {
		return 0
	}
	return d.Seconds() * 1e6 / n
}

func (r *LoadReport) loopKind() string {
	switch {
	case r.Config.arrivals():
		return fmt.Sprintf("open loop at %g/s, latency from the intended start (coordinated omission is accounted for)", r.Config.Rate)
	case r.Config.Rate > 0:
		return fmt.Sprintf("open loop of %g messages/s on %d connections, latency from the intended start (coordinated omission is accounted for)",
			r.Config.Rate, r.Config.Workers)
	default:
		return fmt.Sprintf("closed loop of %d, latency is service time", r.Config.Workers)
	}
}

// hellosText is whose hellos they were, and how they were cut.
func (r *LoadReport) hellosText() string {
	text := "names " + r.Config.Names
	if r.Replayed > 0 {
		text = fmt.Sprintf("%d recorded hellos", r.Replayed)
	}
	if n := r.Config.RecordBytes; n > 0 {
		text += fmt.Sprintf(", in records of %d bytes", n)
	}
	if n := r.Config.SegmentBytes; n > 0 {
		text += fmt.Sprintf(", in segments of %d bytes %v apart", n, r.Config.SegmentGap)
	}
	return text
}
