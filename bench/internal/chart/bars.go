package chart

import (
	"fmt"
	"html/template"
)

// Bars is a bar for each of some values, in groups.
type Bars struct {
	Title  string
	Groups []Group
}

// Group is some bars under one heading.
type Group struct {
	Name string
	Bars []Bar
}

// Bar is one value and what lay around it.
type Bar struct {
	Name     string
	Class    int // which look: the same for the same thing in every chart
	Value    float64
	Min, Max float64
	Text     string // at its end
	Lost     string // where set, there is no value, and this is why
	Pale     bool   // beside the point
}

// Measures of a bar chart, in units of the drawing.
const (
	barsWidth   = 760.0
	barsLeft    = 150.0 // room for names
	barsRight   = 170.0 // room for values
	barHeight   = 16.0
	barStep     = 22.0
	groupHeader = 26.0
)

// SVG draws the chart. The scale starts at zero, so that lengths compare as values do.
func (b Bars) SVG() template.HTML {
	height, top := 8.0, 0.0
	for _, g := range b.Groups {
		height += groupHeader + barStep*float64(len(g.Bars))
		for _, bar := range g.Bars {
			top = max(top, bar.Max, bar.Value)
		}
	}
	s := start(barsWidth, height, b.Title)
	unit := (barsWidth - barsLeft - barsRight) / max(top, 1e-12)
	y := 0.0
	for _, g := range b.Groups {
		y += groupHeader
		s.text("group", "start", 0, y-8, g.Name)
		s.line("grid", 0, y-3, barsWidth, y-3)
		for _, bar := range g.Bars {
			bar.draw(s, y, unit)
			y += barStep
		}
	}
	return s.end()
}

func (bar Bar) draw(s *svg, y, unit float64) {
	middle := y + barHeight/2
	s.text("label", "end", barsLeft-8, middle+4, bar.Name)
	if bar.Lost != "" {
		s.text("value", "start", barsLeft+4, middle+4, bar.Lost)
		return
	}
	look := class(bar.Class)
	if bar.Pale {
		look += " pale"
	}
	end := barsLeft + bar.Value*unit
	s.printf(`<rect class="bar %s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2"><title>%s</title></rect>`,
		look, barsLeft, y, max(end-barsLeft, 1), barHeight, esc(fmt.Sprintf("%s: %s", bar.Name, bar.Text)))
	far := end
	if bar.Max > bar.Min {
		from, to := barsLeft+max(bar.Min, 0)*unit, barsLeft+bar.Max*unit
		s.line("whisker", from, middle, to, middle)
		s.line("whisker", from, middle-4, from, middle+4)
		s.line("whisker", to, middle-4, to, middle+4)
		far = max(far, to)
	}
	s.text("value", "start", far+6, middle+4, bar.Text)
}
