package bench

import (
	"bufio"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/seed-23b4a313/switchyard/bench/internal/proc"
)

// benchLine is a line of the Go benchmark format (go.dev/design/14313-benchmark-format): a name, a number of
// iterations, and values with units.
type benchLine struct {
	name   string
	n      int
	values []benchValue
}

type benchValue struct {
	value float64
	unit  string
}

// writeBenchmarks writes lines for benchstat. What may differ between two runs that are to be compared, such as a
// version, goes into comments: benchstat puts other settings into tables of their own.
func writeBenchmarks(w io.Writer, m proc.Machine, comments []string, lines []benchLine) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "goos: %s\ngoarch: %s\npkg: switchyard/bench\ncpu: %s\n", runtime.GOOS, runtime.GOARCH, m.CPU)
	for _, c := range comments {
		fmt.Fprintf(b, "# %s\n", c)
	}
	for _, unit := range []string{"conn/s", "trips/s", "GB/s"} {
		fmt.Fprintf(b, "Unit %s better=higher\n", unit)
	}
	for _, l := range lines {
		fmt.Fprintf(b, "Benchmark%s %d", l.name, max(l.n, 1))
		for _, v := range l.values {
			fmt.Fprintf(b, " %.6g %s", v.value, v.unit)
		}
		fmt.Fprintln(b)
	}
	return b.Flush()
}

// WriteBenchmarks writes the report as one line of the Go benchmark format: several runs in one file are samples.
func (r *LoadReport) WriteBenchmarks(w io.Writer) error {
	name := fmt.Sprintf("Load/mode=%s/workers=%d", r.Config.Mode, r.Config.Workers)
	if r.Config.Rate > 0 {
		name = fmt.Sprintf("Load/mode=%s/rate=%g", r.Config.Mode, r.Config.Rate)
	}
	line := benchLine{name: name, n: r.Done, values: r.benchValues()}
	if r.Cost != nil {
		line.values = append(line.values, benchValue{micros(r.Cost.CPU.Total, r.work()) * 1e3, "cpu-ns/" + r.speedUnit()})
	}
	return writeBenchmarks(w, proc.ThisMachine(), nil, []benchLine{line})
}

// speedUnit is what is done, in the singular.
func (r *LoadReport) speedUnit() string {
	switch {
	case r.Config.Mode == ModeRoundTrip:
		return "trip"
	case r.Config.Mode.bulk():
		return "GB"
	}
	return "conn"
}

func (r *LoadReport) benchValues() []benchValue {
	unit := map[string]string{"trip": "trips/s", "GB": "GB/s", "conn": "conn/s"}[r.speedUnit()]
	l := &r.Latency
	return []benchValue{
		{r.work() / r.Elapsed.Seconds(), unit},
		{float64(l.P50), "p50-ns"}, {float64(l.P99), "p99-ns"}, {float64(l.P999), "p99.9-ns"},
		{100 * float64(r.Failed) / float64(max(r.Started, 1)), "failed-%"},
	}
}

// WriteBenchmarks writes each round of each row as a line of the Go benchmark format, so that benchstat compares two
// comparisons, or with -col /peer the rows of one.
func (c *Comparison) WriteBenchmarks(w io.Writer) error {
	comments := []string{c.Machine.String(), c.When.Format("2006-01-02 15:04 MST")}
	for _, p := range c.Peers {
		comments = append(comments, fmt.Sprintf("%s: %s (%s)", p.Name, p.version(), p.Note))
	}
	var lines []benchLine
	for _, result := range c.Cases {
		for _, row := range result.Rows {
			for _, round := range row.Rounds {
				lines = append(lines, result.benchLine(row, round))
			}
		}
	}
	return writeBenchmarks(w, c.Machine, comments, lines)
}

func (c *CaseResult) benchLine(row *Row, round Round) benchLine {
	l := benchLine{name: fmt.Sprintf("%s%s/names=%d/peer=%s", strings.ToUpper(c.Key[:1]), c.Key[1:], c.Names, row.Peer), n: round.Held}
	if row.Family != familyDirect {
		l.values = append(l.values, c.benchValue(round.Value))
	}
	switch {
	case c.Unit == perIdle:
		l.values = append(l.values, benchValue{round.FDs, "fds/idle-conn"})
	case round.Load != nil:
		l.n = round.Load.Done
		l.values = append(l.values, round.Load.benchValues()...)
	}
	if round.Memory > 0 {
		l.values = append(l.values, benchValue{float64(round.Memory), "memory-B"})
	}
	return l
}

// benchValue is the value of a round in a unit that benchstat knows how to scale.
func (c *CaseResult) benchValue(v float64) benchValue {
	switch c.Unit {
	case perConnection:
		return benchValue{v * 1e3, "cpu-ns/conn"}
	case perRoundTrip:
		return benchValue{v * 1e3, "cpu-ns/trip"}
	case perGB:
		return benchValue{v * 1e9, "cpu-ns/GB"}
	case perIdle:
		return benchValue{v, "B/idle-conn"}
	default:
		return benchValue{v * 1e6, "startup-ns"}
	}
}
