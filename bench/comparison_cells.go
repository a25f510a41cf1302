package bench

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// loaded reports whether a case has a load whose own figures are worth showing.
func (c *CaseResult) loaded() bool { return c.Unit != untilReady && c.Unit != perIdle }

// open reports whether the case's load has a rate, so that latency says what a balancer adds.
func (c *CaseResult) open() bool { return c.Key == "rate" }

// heading is what the columns of a table are called; see cells.
func (c *CaseResult) heading() []string {
	h := []string{"", "median", "spread", "× better peer"}
	if c.Unit == perGB {
		h = append(h, "× tuned peer", "× io.Copy")
	}
	if c.Unit == perIdle {
		h = append(h, "descriptors")
	}
	if c.Unit != untilReady {
		h = append(h, "MiB")
	}
	if c.loaded() {
		h = append(h, c.speedUnit(), "p50", "p99", "p99.9")
		if c.open() {
			h = append(h, "adds at p50")
		}
		h = append(h, "cores", "system", "failed", "generator")
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

// cells are a row's, in the order of heading.
func (c *CaseResult) cells(r *Row) []string {
	if len(r.Rounds) == 0 {
		return []string{r.Peer, "not measured"}
	}
	cells := []string{r.Peer, number(r.Value.Median), fmt.Sprintf("(%s–%s)", number(r.Value.Min), number(r.Value.Max)), ratio(r.Ratio)}
	if c.Unit == perGB {
		cells = append(cells, ratio(r.RatioTuned), ratio(r.RatioGoCopy))
	}
	if c.Unit == perIdle {
		cells = append(cells, number(r.median(func(x Round) float64 { return x.FDs })))
	}
	if c.Unit != untilReady {
		cells = append(cells, fmt.Sprintf("%.1f", r.median(func(x Round) float64 { return float64(x.Memory) / (1 << 20) })))
	}
	if !c.loaded() {
		return cells
	}
	cells = append(cells, number(r.median(c.speed)))
	for _, of := range []func(*LoadReport) time.Duration{
		p50,
		func(l *LoadReport) time.Duration { return l.Latency.P99 },
		func(l *LoadReport) time.Duration { return l.Latency.P999 },
	} {
		cells = append(cells, short(r.latency(of)))
	}
	if c.open() {
		cells = append(cells, c.adds(r))
	}
	percent := func(of func(Round) float64) string { return fmt.Sprintf("%.0f %%", 100*r.median(of)) }
	return append(cells,
		fmt.Sprintf("%.2f", r.median(func(x Round) float64 { return x.CPU.Total.Seconds() / x.Load.Elapsed.Seconds() })),
		percent(func(x Round) float64 { return share(x.CPU.System, x.CPU.User+x.CPU.System) }),
		fmt.Sprint(r.failed()),
		percent(func(x Round) float64 { return x.Load.Busy() }))
}

func p50(l *LoadReport) time.Duration { return l.Latency.P50 }

// latency is the median of a percentile over the rounds.
func (r *Row) latency(of func(*LoadReport) time.Duration) time.Duration {
	return time.Duration(r.median(func(x Round) float64 { return float64(of(x.Load)) }))
}

// adds is how much longer the median connection takes than without a balancer.
func (c *CaseResult) adds(r *Row) string {
	for _, direct := range c.Rows {
		if direct.Family == familyDirect && direct != r && len(direct.Rounds) > 0 {
			return short(r.latency(p50) - direct.latency(p50))
		}
	}
	return ""
}

// speed is how much got done in a second, in the unit of speedUnit.
func (c *CaseResult) speed(r Round) float64 { return r.Load.work() / r.Load.Elapsed.Seconds() }

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

func (r *Row) failed() (n int) {
	for _, of := range r.failures() {
		n += of
	}
	return n
}

// notes are what a table says under its rows.
func (c *CaseResult) notes() (list []string) {
	for _, r := range c.Rows {
		if r.Error != "" {
			list = append(list, fmt.Sprintf("%s: %s", r.Peer, r.Error))
		}
		if failures := r.failures(); len(failures) > 0 {
			list = append(list, fmt.Sprintf("%s: failures %v", r.Peer, failures))
		}
		if r.Syscalls != nil {
			list = append(list, fmt.Sprintf("%s: %.1f system calls per connection: %s", r.Peer, r.Syscalls.PerConnection, r.Syscalls.most()))
		}
	}
	return list
}

// allWarnings adds those of the loads: of each case one, and how many rows have one too.
func (c *Comparison) allWarnings() []string {
	list := slices.Clone(c.Warnings)
	for _, result := range c.Cases {
		var text string
		var rows []string
		for _, r := range result.Rows {
			for _, round := range r.Rounds {
				if round.Load != nil && len(round.Load.Warnings) > 0 {
					text = cmp.Or(text, fmt.Sprintf("%s: %s", r.Peer, round.Load.Warnings[0]))
					rows = append(rows, r.Peer)
					break
				}
			}
		}
		if len(rows) > 1 {
			text += fmt.Sprintf(" (and in %d more rows)", len(rows)-1)
		}
		if text != "" {
			list = append(list, fmt.Sprintf("%s, %d names, %s", result.Key, result.Names, text))
		}
	}
	return list
}

// most is the calls made more than once in ten connections, the most frequent first.
func (s *Syscalls) most() string {
	names := slices.SortedFunc(maps.Keys(s.ByName), func(a, b string) int { return cmp.Compare(s.ByName[b], s.ByName[a]) })
	text := ""
	for _, name := range names {
		if s.ByName[name] < 0.1 {
			break
		}
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%s %.1f", name, s.ByName[name])
	}
	return text
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
