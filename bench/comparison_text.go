package bench

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteText writes the tables for a person; configurations are in the JSON only.
func (c *Comparison) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s\n%s; %d rounds, medians (lowest to highest); less is better\n",
		c.Machine, c.When.Format(time.RFC3339), c.Config.Rounds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range c.Peers {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", p.Name, cmp.Or(p.Missing, p.Version), p.Note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, result := range c.Cases {
		if err := result.writeText(w); err != nil {
			return err
		}
	}
	for _, warning := range c.allWarnings() {
		fmt.Fprintf(w, "warning: %s\n", warning)
	}
	return nil
}

func (c *CaseResult) writeText(w io.Writer) error {
	fmt.Fprintf(w, "\n%s, %d names: %s\n", c.Title, c.Names, c.Unit)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, strings.Join(c.heading(), "\t")+"\t")
	for _, r := range c.Rows {
		if len(r.Rounds) == 0 {
			fmt.Fprintf(t, "%s\t%s\t\n", r.Peer, "not measured")
			continue
		}
		fmt.Fprintln(t, strings.Join(c.cells(r), "\t")+"\t")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range c.Rows {
		if r.Error != "" {
			fmt.Fprintf(w, "  %s: %s\n", r.Peer, r.Error)
		}
		if failures := r.failures(); len(failures) > 0 {
			fmt.Fprintf(w, "  %s: failures %v\n", r.Peer, failures)
		}
		if r.Syscalls != nil {
			fmt.Fprintf(w, "  %s: %.1f system calls per connection: %s\n", r.Peer, r.Syscalls.PerConnection, r.Syscalls.most())
		}
	}
	return nil
}

// loaded reports whether a case has a load whose own figures are worth showing.
func (c *CaseResult) loaded() bool { return c.Unit != untilReady && c.Unit != perIdle }

func (c *CaseResult) heading() []string {
	h := []string{"", "median", "spread", "× better peer"}
	if c.Unit == perGB {
		h = append(h, "× tuned peer", "× io.Copy")
	}
	if c.Unit == perIdle {
		h = append(h, "descriptors")
	}
	if c.loaded() {
		h = append(h, c.speedUnit(), "p50", "p99", "cores", "system", "failed", "generator")
	}
	return h
}

func (c *CaseResult) speedUnit() string {
	switch c.Unit {
	case perRoundTrip:
		return "trips/s"
	case perGB:
		return "GB/s"
	}
	return "conn/s"
}

func (c *CaseResult) cells(r *Row) []string {
	cells := []string{r.Peer, number(r.Value.Median), fmt.Sprintf("(%s–%s)", number(r.Value.Min), number(r.Value.Max)), ratio(r.Ratio)}
	if c.Unit == perGB {
		cells = append(cells, ratio(r.RatioTuned), ratio(r.RatioGoCopy))
	}
	if c.Unit == perIdle {
		cells = append(cells, number(r.median(func(x Round) float64 { return x.FDs })))
	}
	if !c.loaded() {
		return cells
	}
	duration := func(of func(*LoadReport) time.Duration) string {
		return short(time.Duration(r.median(func(x Round) float64 { return float64(of(x.Load)) })))
	}
	percent := func(of func(Round) float64) string { return fmt.Sprintf("%.0f %%", 100*r.median(of)) }
	failed := 0
	for _, n := range r.failures() {
		failed += n
	}
	return append(cells,
		number(r.median(c.speed)),
		duration(func(l *LoadReport) time.Duration { return l.Latency.P50 }),
		duration(func(l *LoadReport) time.Duration { return l.Latency.P99 }),
		fmt.Sprintf("%.2f", r.median(func(x Round) float64 { return x.CPU.Total.Seconds() / x.Load.Elapsed.Seconds() })),
		percent(func(x Round) float64 { return share(x.CPU.System, x.CPU.User+x.CPU.System) }),
		fmt.Sprint(failed),
		percent(func(x Round) float64 { return x.Load.Busy() }))
}

// speed is how much got done in a second, in the unit of speedUnit.
func (c *CaseResult) speed(r Round) float64 {
	seconds := r.Load.Elapsed.Seconds()
	switch c.Unit {
	case perRoundTrip:
		return float64(r.Load.RoundTrips) / seconds
	case perGB:
		return float64(r.Load.Bytes) / 1e9 / seconds
	}
	return float64(r.Load.Done) / seconds
}

func (r *Row) median(of func(Round) float64) float64 {
	var values []float64
	for _, round := range r.Rounds {
		values = append(values, of(round))
	}
	return spreadOf(values).Median
}

// failures are those of all rounds, by kind.
func (r *Row) failures() map[string]int {
	sum := map[string]int{}
	for _, round := range r.Rounds {
		if round.Load != nil {
			for kind, n := range round.Load.Failures {
				sum[kind] += n
			}
		}
	}
	return sum
}

// allWarnings adds those of the loads, once for each row.
func (c *Comparison) allWarnings() []string {
	list := slices.Clone(c.Warnings)
	for _, result := range c.Cases {
		for _, r := range result.Rows {
			seen := map[string]int{}
			for _, round := range r.Rounds {
				if round.Load != nil && len(round.Load.Warnings) > 0 {
					seen[round.Load.Warnings[0]]++
				}
			}
			for _, text := range slices.Sorted(maps.Keys(seen)) {
				list = append(list, fmt.Sprintf("%s, %d names, %s: %s", result.Key, result.Names, r.Peer, text))
				break
			}
		}
	}
	return list
}

// most is the calls made more than once in ten connections, the most frequent first.
func (s *Syscalls) most() string {
	names := slices.SortedFunc(maps.Keys(s.ByName), func(a, b string) int { return cmp.Compare(s.ByName[b], s.ByName[a]) })
	var b strings.Builder
	for _, name := range names {
		if s.ByName[name] >= 0.1 {
			fmt.Fprintf(&b, "%s %.1f, ", name, s.ByName[name])
		}
	}
	return strings.TrimSuffix(b.String(), ", ")
}

func share(part, whole time.Duration) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func number(v float64) string {
	if v >= 1000 || v <= -1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func ratio(s *Spread) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Min, s.Max)
}

// shorten leaves the middle of a long text out.
func shorten(text string) string {
	const head, foot = 30, 30
	lines := strings.Split(text, "\n")
	if len(lines) <= head+foot+1 {
		return text
	}
	left := fmt.Sprintf("# … %d lines …", len(lines)-head-foot)
	return strings.Join(slices.Concat(lines[:head], []string{left}, lines[len(lines)-foot:]), "\n")
}
