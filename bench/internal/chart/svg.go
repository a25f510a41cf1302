package chart

import (
	"fmt"
	"html/template"
	"strings"
)

// classes is how many series a page tells apart; more share a look.
const classes = 9

// svg is a drawing under way.
type svg struct {
	b             strings.Builder
	width, height float64
}

// start begins a drawing of so many units; it is as wide as the page lets it be.
func start(width, height float64, title string) *svg {
	s := &svg{width: width, height: height}
	s.printf(`<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, width, height, esc(title))
	return s
}

func (s *svg) printf(format string, args ...any) { fmt.Fprintf(&s.b, format, args...) }

func (s *svg) line(class string, x1, y1, x2, y2 float64) {
	s.printf(`<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
}

// text writes at a point; anchor is "start", "middle" or "end".
func (s *svg) text(class, anchor string, x, y float64, text string) {
	s.printf(`<text class="%s" text-anchor="%s" x="%.1f" y="%.1f">%s</text>`, class, anchor, x, y, esc(text))
}

func (s *svg) end() template.HTML {
	s.b.WriteString("</svg>")
	return template.HTML(s.b.String()) // made of numbers, our own classes, and escaped text
}

func esc(text string) string { return template.HTMLEscapeString(text) }

func class(i int) string { return fmt.Sprintf("s%d", i%classes) }
