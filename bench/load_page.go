package bench

import (
	"io"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/chart"
	"github.com/seed-23b4a313/switchyard/bench/internal/proc"
)

// WriteHTML writes one page that needs nothing else: the report, latency by percentile, and throughput and the longest
// latency over time. It is to be read in light and in dark. The machine on it is the one that writes the page.
func (r *LoadReport) WriteHTML(w io.Writer) error {
	machine := proc.ThisMachine()
	p := page{
		Title:    "Load: " + string(r.Config.Mode),
		Machine:  machine.String(),
		When:     time.Now().Format("2 January 2006 15:04 MST"),
		Warnings: r.Warnings,
		Facts:    r.rows(),
		Sysctls:  sortedPairs(machine.Sysctls),
		Sections: []section{{
			ID: "time", Title: "Latency and throughput",
			Details: []pageDetail{{Title: r.loopKind(), Open: true, Charts: []pageChart{
				{"Latency by percentile", r.latencyLines().SVG()},
				{"Throughput over time", r.speedLines().SVG()},
				{"Longest latency over time", r.worstLines().SVG()},
			}}},
		}},
	}
	return pageTemplate.Execute(w, p)
}

// The looks of the lines of a load; see page.html.
const (
	lookOne    = 7
	lookFailed = 4
)

func (r *LoadReport) latencyLines() chart.Lines {
	var points []chart.XY
	for _, p := range r.Curve {
		points = append(points, chart.XY{X: p.Percent, Y: float64(p.Latency)})
	}
	return chart.Lines{Title: "latency by percentile", X: chart.Tail, Y: chart.Duration, YLabel: "latency", XLabel: "percentile",
		Series: []chart.Series{{Name: "latency", Class: lookOne, Points: points}}}
}

func (r *LoadReport) speedLines() chart.Lines {
	return chart.Lines{Title: "throughput over time", X: chart.Seconds, Y: chart.Linear, YLabel: r.speedUnit() + "/s", XLabel: "since the start",
		Series: []chart.Series{{Name: "done", Class: lookOne, Points: r.speeds()}, {Name: "failed", Class: lookFailed, Points: r.failedPoints()}}}
}

// failedPoints is how many connections failed in a second, over time; nothing where none did.
func (r *LoadReport) failedPoints() (points []chart.XY) {
	if r.Failed == 0 {
		return nil
	}
	for i, m := range r.Timeline.Moments {
		middle := (time.Duration(i)*r.Timeline.Width + r.Timeline.Width/2).Seconds()
		points = append(points, chart.XY{X: middle, Y: float64(m.Failed) / r.Timeline.Width.Seconds()})
	}
	return points
}

func (r *LoadReport) worstLines() chart.Lines {
	var points []chart.XY
	for i, m := range r.Timeline.Moments {
		if m.Worst > 0 {
			middle := (time.Duration(i)*r.Timeline.Width + r.Timeline.Width/2).Seconds()
			points = append(points, chart.XY{X: middle, Y: float64(m.Worst)})
		}
	}
	return chart.Lines{Title: "longest latency over time", X: chart.Seconds, Y: chart.Duration, YLabel: "latency", XLabel: "since the start",
		Series: []chart.Series{{Name: "longest", Class: lookOne, Points: points}}}
}
