package bench

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

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

func percentiles(h *hdrhistogram.Histogram) Percentiles {
	if h.TotalCount() == 0 {
		return Percentiles{}
	}
	at := func(q float64) time.Duration { return time.Duration(h.ValueAtQuantile(q)) }
	return Percentiles{
		Count: h.TotalCount(),
		Min:   time.Duration(h.Min()),
		Mean:  time.Duration(h.Mean()),
		P50:   at(50), P90: at(90), P99: at(99), P999: at(99.9), P9999: at(99.99),
		Max: time.Duration(h.Max()),
	}
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

// Point is one point of a latency distribution: Percent of all took Latency or less.
type Point struct {
	Percent float64       `json:"percent"`
	Latency time.Duration `json:"latency_ns"`
}

// curvePercents are the points that a chart is drawn through, denser where it is read: in the tail.
var curvePercents = []float64{0, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92.5, 95, 97, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99, 99.995, 99.999}

// curveOf is the distribution as far as the histogram has samples for: no point that fewer than one sample is beyond.
func curveOf(h *hdrhistogram.Histogram) (curve []Point) {
	for _, p := range curvePercents {
		if float64(h.TotalCount())*(100-p) < 100 {
			break
		}
		at := h.ValueAtQuantile(p)
		if p == 0 {
			at = h.Min()
		}
		curve = append(curve, Point{p, time.Duration(at)})
	}
	return curve
}
