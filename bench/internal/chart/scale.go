package chart

import (
	"fmt"
	"math"
	"time"
)

// Scale is how an axis maps values to its length.
type Scale int

// The scales.
const (
	// Linear starts at zero.
	Linear Scale = iota
	// Duration is logarithmic, of nanoseconds.
	Duration
	// Tail is of percents, each further nine as long as the one before: 90, 99, 99.9.
	Tail
	// Seconds is linear and starts at zero, of seconds.
	Seconds
)

// tick is a value with what to write at it.
type tick struct {
	value float64
	text  string
}

// at is where a value is between low and high, from 0 to 1.
func (s Scale) at(value, low, high float64) float64 {
	a, b, v := s.stretch(low), s.stretch(high), s.stretch(value)
	if b <= a {
		return 0
	}
	return (v - a) / (b - a)
}

func (s Scale) stretch(v float64) float64 {
	switch s {
	case Duration:
		return math.Log10(max(v, 1))
	case Tail:
		return -math.Log10(max(100-v, 1e-4) / 100)
	default:
		return v
	}
}

// bounds are the ends of an axis that shows everything from low to high.
func (s Scale) bounds(low, high float64) (float64, float64) {
	switch s {
	case Duration:
		return tickBelow(low), tickAbove(high)
	case Tail:
		return 0, max(high, 90)
	default:
		if high <= 0 {
			return 0, 1
		}
		step := niceStep(high / 4)
		return 0, math.Ceil(high*1.02/step) * step
	}
}

// ticks are those between the bounds low and high.
func (s Scale) ticks(low, high float64) (list []tick) {
	switch s {
	case Duration:
		for decade := 1.0; decade <= high; decade *= 10 {
			for _, v := range []float64{decade, 3 * decade} {
				if v >= low*0.999 && v <= high*1.001 {
					list = append(list, tick{v, time.Duration(v).String()})
				}
			}
		}
	case Tail:
		for _, v := range []float64{0, 50, 90, 99, 99.9, 99.99, 99.999} {
			if v <= high {
				list = append(list, tick{v, fmt.Sprintf("p%g", v)})
			}
		}
	case Seconds:
		step := niceStep(high / 6)
		for v := 0.0; v <= high*1.001; v += step {
			list = append(list, tick{v, fmt.Sprintf("%.3g s", v)})
		}
	default:
		step := niceStep(high / 4)
		for v := 0.0; v <= high*1.001; v += step {
			list = append(list, tick{v, short(v)})
		}
	}
	return list
}

// tickBelow and tickAbove are the nearest ones of 1 and 3 times a power of ten.
func tickBelow(v float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(max(v, 1))))
	if v >= 3*decade {
		return 3 * decade
	}
	return decade
}

func tickAbove(v float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(max(v, 1))))
	if v <= 3*decade {
		return 3 * decade
	}
	return 10 * decade
}

// niceStep is the next larger of 1, 2, 2.5 and 5 times a power of ten.
func niceStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*power >= v*0.999 {
			return m * power
		}
	}
	return 10 * power
}

// short is a number with a thin space between thousands.
func short(v float64) string {
	if v < 1000 {
		return fmt.Sprintf("%.3g", v)
	}
	text := fmt.Sprintf("%.0f", v)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "\u2009" + text[i:]
	}
	return text
}
