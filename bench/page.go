package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/chart"
)

// page is what the template shows, for a load and for a comparison alike.
type page struct {
	Title    string
	Machine  string
	When     string
	Warnings []string
	Facts    [][2]string // keys and values
	Tables   []pageTable // before the sections
	Sections []section
	Configs  []pageConfig
	Sysctls  [][2]string
}

// Dashes are how the lines of each look are broken, so that they differ without colour too.
func (page) Dashes() []template.CSS {
	return []template.CSS{"2 3", "6 3 2 3", "none", "8 3", "none", "8 3", "4 2", "none", "8 3"}
}

type section struct {
	ID, Title, Unit string
	Bars            template.HTML
	Table           pageTable
	Notes           []string
	Details         []pageDetail
}

type pageTable struct {
	Heading []string
	Rows    [][]string
}

// pageDetail is what is only looked at when the summary makes one curious.
type pageDetail struct {
	Title  string
	Open   bool
	Charts []pageChart
}

type pageChart struct {
	Caption string
	SVG     template.HTML
}

type pageConfig struct{ Name, Text string }

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// WriteHTML writes one page that needs nothing else: the tables, with bars for each case, latency by percentile and
// throughput over time; versions, configurations and the machine. It is to be read in light and in dark.
func (c *Comparison) WriteHTML(w io.Writer) error {
	p := page{
		Title:    "TLS balancers side by side",
		Machine:  c.Machine.String(),
		When:     c.When.Format("2 January 2006 15:04 MST"),
		Warnings: c.allWarnings(),
		Facts:    c.facts(),
		Sysctls:  sortedPairs(c.Machine.Sysctls),
		Tables: []pageTable{
			{[]string{"row", "version", "configuration"}, c.peerRows()},
			{[]string{"case", "names", "unit", "HAProxy", "nginx", "Switchyard", "to the better"}, c.summary()},
		},
	}
	for i, result := range c.Cases {
		if i == 0 || c.Cases[i-1].Key != result.Key {
			p.Sections = append(p.Sections, c.section(result))
		}
	}
	for _, peer := range c.Peers {
		if peer.Config != "" {
			p.Configs = append(p.Configs, pageConfig{peer.Name, peer.Config})
		}
	}
	return pageTemplate.Execute(w, p)
}

func (c *Comparison) facts() [][2]string {
	return [][2]string{
		{"rounds", fmt.Sprintf("%d of each row, in turn; medians, from lowest to highest", c.Config.Rounds)},
		{"a round", c.Config.Duration.String()},
		{"connections at a time", fmt.Sprint(c.Config.Workers)},
		{"open loop", fmt.Sprintf("%g connections a second; latency counts from when one was due", c.Config.Rate)},
	}
}

// section is a case at all its sizes.
func (c *Comparison) section(first *CaseResult) section {
	s := section{
		ID: first.Key, Title: first.Title, Unit: first.Unit, Notes: c.caseNotes(first.Key),
		Table: pageTable{append([]string{"names", "row"}, first.heading()[1:]...), c.caseRows(first.Key)},
	}
	bars := chart.Bars{Title: first.Title + ": " + first.Unit}
	for _, result := range c.Cases {
		if result.Key != first.Key {
			continue
		}
		bars.Groups = append(bars.Groups, c.group(result))
		if result.loaded() {
			s.Details = append(s.Details, pageDetail{
				Title:  fmt.Sprintf("Latency and throughput with %d names", result.Names),
				Charts: []pageChart{c.latencyChart(result), c.throughputChart(result)},
			})
		}
	}
	s.Bars = bars.SVG()
	return s
}

func (c *Comparison) group(result *CaseResult) chart.Group {
	g := chart.Group{Name: fmt.Sprintf("%d names", result.Names)}
	for _, row := range result.Rows {
		bar := chart.Bar{Name: row.Peer, Class: look(row.Peer), Value: row.Value.Median, Min: row.Value.Min, Max: row.Value.Max,
			Text: number(row.Value.Median)}
		if row.Ratio != nil {
			bar.Text += fmt.Sprintf("  (× %.2f)", row.Ratio.Median)
		}
		switch {
		case len(row.Rounds) == 0:
			bar.Lost = "not measured"
		case row.Family == familyDirect && result.Unit != perIdle:
			bar.Lost = "no balancer, no cost"
		}
		g.Bars = append(g.Bars, bar)
	}
	return g
}

// look is the same for a row in every chart of every report: its place among all peers.
func look(name string) int {
	return max(0, slices.IndexFunc(peers, func(p peer) bool { return p.name == name }))
}

func (c *Comparison) latencyChart(result *CaseResult) pageChart {
	lines := chart.Lines{Title: "latency by percentile", X: chart.Tail, Y: chart.Duration, YLabel: "latency", XLabel: "percentile"}
	for _, row := range result.Rows {
		lines.Series = append(lines.Series, chart.Series{Name: row.Peer, Class: look(row.Peer), Points: row.curve()})
	}
	return pageChart{"Latency by percentile, medians of the rounds, " + result.latencyKind(), lines.SVG()}
}

func (c *CaseResult) latencyKind() string {
	if c.open() {
		return "from when a connection was due"
	}
	return "closed loop: service time"
}

// curve is the median of each percentile over the rounds that have it.
func (r *Row) curve() (points []chart.XY) {
	byPercent := map[float64][]float64{}
	for _, round := range r.Rounds {
		if round.Load == nil {
			continue
		}
		for _, p := range round.Load.Curve {
			byPercent[p.Percent] = append(byPercent[p.Percent], float64(p.Latency))
		}
	}
	for _, percent := range slices.Sorted(maps.Keys(byPercent)) {
		points = append(points, chart.XY{X: percent, Y: spreadOf(byPercent[percent]).Median})
	}
	return points
}

func (c *Comparison) throughputChart(result *CaseResult) pageChart {
	lines := chart.Lines{Title: "throughput over time", X: chart.Seconds, Y: chart.Linear, YLabel: result.speedUnit(), XLabel: "since the start of the round"}
	for _, row := range result.Rows {
		if round := row.middle(); round != nil && round.Load != nil {
			lines.Series = append(lines.Series, chart.Series{Name: row.Peer, Class: look(row.Peer), Points: round.Load.speeds()})
		}
	}
	return pageChart{"Throughput over time, in the round with the median value", lines.SVG()}
}

// middle is the round whose value is nearest to the median; nil without rounds.
func (r *Row) middle() (best *Round) {
	distance := func(round *Round) float64 { return max(round.Value-r.Value.Median, r.Value.Median-round.Value) }
	for i := range r.Rounds {
		if round := &r.Rounds[i]; best == nil || distance(round) < distance(best) {
			best = round
		}
	}
	return best
}

// speeds is the timeline of a load as points: seconds, and work in a second. The last moment may have been cut short by
// the end, and counts for as long as it was.
func (r *LoadReport) speeds() (points []chart.XY) {
	width := r.Timeline.Width
	for i, m := range r.Timeline.Moments {
		start := time.Duration(i) * width
		length := min(width, r.Elapsed-start)
		if length < width/4 {
			break
		}
		points = append(points, chart.XY{X: (start + length/2).Seconds(), Y: m.work(r.Config.Mode) / length.Seconds()})
	}
	return points
}

func sortedPairs(m map[string]string) (pairs [][2]string) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, [2]string{key, m[key]})
	}
	return pairs
}
