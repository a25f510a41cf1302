package chart

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// Lines is a chart of series over one axis.
type Lines struct {
	Title  string
	XLabel string
	YLabel string
	X, Y   Scale
	Series []Series
}

// Series is one line.
type Series struct {
	Name   string
	Class  int // which look: the same for the same thing in every chart
	Points []XY
}

// XY is one point.
type XY struct{ X, Y float64 }

// Measures of a line chart, in units of the drawing.
const (
	linesWidth  = 760.0
	linesHeight = 300.0
	plotLeft    = 64.0
	plotRight   = 14.0
	plotTop     = 40.0
	plotBottom  = 44.0
	letterWidth = 7.2 // of the legend, about
)

// frame is the plot's area and the values at its ends.
type frame struct {
	lines                  *Lines
	lowX, highX, lowY, top float64
}

// SVG draws the chart; one without a point says so.
func (l Lines) SVG() template.HTML {
	s := start(linesWidth, linesHeight, l.Title)
	f, ok := l.frame()
	if !ok {
		s.text("value", "middle", linesWidth/2, linesHeight/2, "nothing was measured")
		return s.end()
	}
	f.axes(s)
	x := plotLeft
	for _, series := range l.Series {
		if len(series.Points) == 0 {
			continue
		}
		f.draw(s, series)
		s.line("line "+class(series.Class), x, 14, x+22, 14)
		s.text("label", "start", x+27, 18, series.Name)
		x += 46 + letterWidth*float64(len(series.Name))
	}
	return s.end()
}

// frame finds the ends of both axes; ok is false without points.
func (l *Lines) frame() (f frame, ok bool) {
	lowX, highX := math.Inf(1), math.Inf(-1)
	lowY, highY := lowX, highX
	for _, series := range l.Series {
		for _, p := range series.Points {
			lowX, highX = min(lowX, p.X), max(highX, p.X)
			lowY, highY = min(lowY, p.Y), max(highY, p.Y)
			ok = true
		}
	}
	f.lines = l
	f.lowX, f.highX = l.X.bounds(lowX, highX)
	if l.X == Seconds || l.X == Linear {
		f.highX = max(highX, 1e-9) // a line ends where its data does
	}
	f.lowY, f.top = l.Y.bounds(lowY, highY)
	return f, ok
}

func (f *frame) x(v float64) float64 {
	return plotLeft + f.lines.X.at(v, f.lowX, f.highX)*(linesWidth-plotLeft-plotRight)
}

func (f *frame) y(v float64) float64 {
	return linesHeight - plotBottom - f.lines.Y.at(v, f.lowY, f.top)*(linesHeight-plotTop-plotBottom)
}

func (f *frame) axes(s *svg) {
	bottom := linesHeight - plotBottom
	for _, t := range f.lines.Y.ticks(f.lowY, f.top) {
		y := f.y(t.value)
		s.line("grid", plotLeft, y, linesWidth-plotRight, y)
		s.text("tick", "end", plotLeft-6, y+4, t.text)
	}
	for _, t := range f.lines.X.ticks(f.lowX, f.highX) {
		x := f.x(t.value)
		s.line("grid", x, plotTop, x, bottom)
		s.text("tick", "middle", x, bottom+16, t.text)
	}
	s.line("axis", plotLeft, bottom, linesWidth-plotRight, bottom)
	s.line("axis", plotLeft, plotTop, plotLeft, bottom)
	s.text("tick", "start", 4, plotTop-10, f.lines.YLabel)
	s.text("tick", "end", linesWidth-plotRight, linesHeight-8, f.lines.XLabel)
}

func (f *frame) draw(s *svg, series Series) {
	var path strings.Builder
	for i, p := range series.Points {
		letter := 'L'
		if i == 0 {
			letter = 'M'
		}
		fmt.Fprintf(&path, "%c%.1f %.1f", letter, f.x(p.X), f.y(p.Y))
	}
	s.printf(`<path class="line %s" d="%s"><title>%s</title></path>`, class(series.Class), path.String(), esc(series.Name))
	if len(series.Points) == 1 {
		p := series.Points[0]
		s.printf(`<circle class="dot %s" cx="%.1f" cy="%.1f" r="3"/>`, class(series.Class), f.x(p.X), f.y(p.Y))
	}
}
