package bench

import "time"

// Timeline is what got done when: a load in moments of equal width.
type Timeline struct {
	Width   time.Duration `json:"width_ns"`
	Moments []Moment      `json:"moments"`
}

// Moment counts what ended within one width.
type Moment struct {
	Done       int           `json:"done"`
	Failed     int           `json:"failed,omitempty"`
	RoundTrips int           `json:"round_trips,omitempty"`
	Bytes      int64         `json:"bytes,omitempty"`
	Worst      time.Duration `json:"worst_ns"` // the longest latency
}

// A load starts with moments of firstWidth, and has mostMoments of them at the most: the width doubles whenever they
// would be more, so that an hour takes no more room than a second.
const (
	firstWidth  = 20 * time.Millisecond
	mostMoments = 240
)

// at is the moment that has now, which is since after the start. It is valid until the next call.
func (t *Timeline) at(since time.Duration) *Moment {
	since = max(since, 0)
	for since/t.Width >= mostMoments {
		t.halve()
	}
	i := int(since / t.Width)
	for len(t.Moments) <= i {
		t.Moments = append(t.Moments, Moment{})
	}
	return &t.Moments[i]
}

// halve makes one moment of each two.
func (t *Timeline) halve() {
	t.Width *= 2
	half := t.Moments[:0]
	for i := 0; i < len(t.Moments); i += 2 {
		m := t.Moments[i]
		if i+1 < len(t.Moments) {
			m.add(t.Moments[i+1])
		}
		half = append(half, m)
	}
	t.Moments = half
}

func (m *Moment) add(other Moment) {
	m.Done += other.Done
	m.Failed += other.Failed
	m.RoundTrips += other.RoundTrips
	m.Bytes += other.Bytes
	m.Worst = max(m.Worst, other.Worst)
}

// work is what a mode counts of a moment.
func (m *Moment) work(mode Mode) float64 {
	switch {
	case mode == ModeRoundTrip:
		return float64(m.RoundTrips)
	case mode.bulk():
		return float64(m.Bytes) / 1e9
	default:
		return float64(m.Done)
	}
}
