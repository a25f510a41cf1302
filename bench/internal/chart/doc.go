// Package chart draws bars and lines as SVG, to be put into an HTML page.
//
//	Bars  ──▶ one row per bar, its name on the left and its value at its end, a whisker from lowest to highest
//	Lines ──▶ one line per series over a linear, logarithmic or tail axis, with a legend
//
// A chart carries no colours and no fonts: its elements have classes ("s0" to "s8" for the series, "axis", "grid",
// "label", "value"), and the page says how these look, in light and in dark. Text is escaped. It knows nothing of what
// the numbers mean but how to write their ticks.
package chart
