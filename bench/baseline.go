package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// Change is a figure beside the one of an earlier run. Worse is by how much it is worse, as a part of the earlier one:
// 0.05 is 5 %. It is negative where the figure is better.
type Change struct {
	What  string  `json:"what"`
	Unit  string  `json:"unit"`
	Was   float64 `json:"was"`
	Is    float64 `json:"is"`
	Worse float64 `json:"worse"`
}

// Changes is what became of a baseline.
type Changes struct {
	List  []Change `json:"changes"`
	Notes []string `json:"notes,omitempty"` // what could not be compared, or makes the rest doubtful
}

// WorseThan are the changes beyond limit, a part of one.
func (c *Changes) WorseThan(limit float64) (list []Change) {
	for _, change := range c.List {
		if change.Worse > limit {
			list = append(list, change)
		}
	}
	return list
}

// less adds a figure of which less is better, more one of which more is.
func (c *Changes) less(what, unit string, was, is float64) { c.add(what, unit, was, is, is-was) }
func (c *Changes) more(what, unit string, was, is float64) { c.add(what, unit, was, is, was-is) }

func (c *Changes) add(what, unit string, was, is, worse float64) {
	if was > 0 {
		c.List = append(c.List, Change{what, unit, was, is, worse / was})
	}
}

// failed compares shares of failed connections. There is no good reason for more of them, so that a baseline without
// any makes the first one a change without bounds.
func (c *Changes) failed(what string, was, is float64) {
	change := Change{What: what + ": failed connections", Unit: "%", Was: 100 * was, Is: 100 * is}
	switch {
	case was > 0:
		change.Worse = is/was - 1
	case is > 0:
		change.Worse = noBaseline
	default:
		return
	}
	c.List = append(c.List, change)
}

// noBaseline is how much worse something is than nothing.
const noBaseline = 1e6

func (c *Changes) note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}

// WriteText writes every change, and marks those beyond limit.
func (c *Changes) WriteText(w io.Writer, limit float64) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, change := range c.List {
		mark, by := "", fmt.Sprintf("%+.1f %%", 100*change.Worse)
		if change.Worse > limit {
			mark = "REGRESSION"
		}
		if change.Worse == noBaseline {
			by = "from none"
		}
		fmt.Fprintf(t, "%s\t%s %s\t→ %s\tworse by %s\t%s\n", change.What, number(change.Was), change.Unit, number(change.Is), by, mark)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, note := range c.Notes {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	return nil
}

// ReadComparison reads what [Comparison.WriteJSON] wrote.
func ReadComparison(r io.Reader) (*Comparison, error) { return readJSON[Comparison](r, "cases") }

// ReadLoadReport reads what [LoadReport.WriteJSON] wrote.
func ReadLoadReport(r io.Reader) (*LoadReport, error) { return readJSON[LoadReport](r, "latency") }

// readJSON reads one document, which must have a key that no other kind of report has.
func readJSON[T any](r io.Reader, key string) (*T, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return nil, fmt.Errorf("bench: report: %w", err)
	}
	if _, ok := keys[key]; !ok {
		return nil, fmt.Errorf("bench: report: no %q in it: not a report of this kind", key)
	}
	report := new(T)
	if err := json.Unmarshal(text, report); err != nil {
		return nil, fmt.Errorf("bench: report: %w", err)
	}
	return report, nil
}

// Since compares the rows of Switchyard with those of an earlier comparison. What HAProxy and nginx did meanwhile tells
// how much of it is the machine, and is noted.
func (c *Comparison) Since(earlier *Comparison) *Changes {
	changes := &Changes{}
	if now, then := c.Machine.String(), earlier.Machine.String(); now != then {
		changes.note("the baseline is from another machine: %s", then)
	}
	for _, result := range c.Cases {
		for _, row := range result.Rows {
			what := fmt.Sprintf("%s, %d names, %s", result.Key, result.Names, row.Peer)
			old := earlier.row(result.Key, result.Names, row.Peer)
			switch {
			case row.Family != familyOurs && !row.rival():
			case old == nil || len(old.Rounds) == 0:
				changes.note("%s is not in the baseline", what)
			case row.rival():
				changes.noteDrift(what, old.Value.Median, row.Value.Median)
			case len(row.Rounds) == 0:
				changes.note("%s could not be measured: %s", what, row.Error)
				changes.failed(what, 0, 1)
			default:
				changes.less(what, result.Unit, old.Value.Median, row.Value.Median)
				changes.failed(what, old.failedShare(), row.failedShare())
			}
		}
	}
	return changes
}

// driftLimit is how far a peer's figure may be from the baseline's before it is worth a note.
const driftLimit = 0.05

func (c *Changes) noteDrift(what string, was, is float64) {
	if was > 0 && (is/was > 1+driftLimit || is/was < 1-driftLimit) {
		c.note("%s moved by %+.0f %% as well: the machine is not as it was", what, 100*(is/was-1))
	}
}

// row finds a row; nil where there is none.
func (c *Comparison) row(key string, names int, peer string) *Row {
	for _, result := range c.Cases {
		if result.Key != key || result.Names != names {
			continue
		}
		for _, row := range result.Rows {
			if row.Peer == peer {
				return row
			}
		}
	}
	return nil
}

// failedShare is that of all rounds.
func (r *Row) failedShare() float64 {
	failed, started := 0, 0
	for _, round := range r.Rounds {
		if round.Load != nil {
			failed += round.Load.Failed
			started += round.Load.Started
		}
	}
	return float64(failed) / float64(max(started, 1))
}

// Since compares with an earlier report of the same load: speed, latency, failures, and the cost of the watched process.
func (r *LoadReport) Since(earlier *LoadReport) *Changes {
	c := &Changes{}
	if r.Config.Mode != earlier.Config.Mode || r.Config.Rate != earlier.Config.Rate || r.Config.Workers != earlier.Config.Workers {
		c.note("the baseline is of another load: %s, %s", earlier.Config.Mode, earlier.loopKind())
	}
	what := string(r.Config.Mode)
	c.more(what+": speed", r.speedUnit()+"/s", earlier.work()/earlier.Elapsed.Seconds(), r.work()/r.Elapsed.Seconds())
	c.less(what+": p50", "µs", float64(earlier.Latency.P50)/1e3, float64(r.Latency.P50)/1e3)
	c.less(what+": p99", "µs", float64(earlier.Latency.P99)/1e3, float64(r.Latency.P99)/1e3)
	share := func(r *LoadReport) float64 { return float64(r.Failed) / float64(max(r.Started, 1)) }
	c.failed(what, share(earlier), share(r))
	if r.Cost != nil && earlier.Cost != nil {
		c.less(what+": processor time", "µs", micros(earlier.Cost.CPU.Total, earlier.work()), micros(r.Cost.CPU.Total, r.work()))
		c.less(what+": memory held", "bytes", earlier.Cost.HeldBytes, r.Cost.HeldBytes)
	}
	return c
}
