package bench

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTimelineKeepsItsSizeAndLosesNothing(t *testing.T) {
	line := Timeline{Width: firstWidth}
	const steps = 10_000
	for i := range steps {
		m := line.at(time.Duration(i) * 7 * time.Millisecond)
		m.Done++
		m.Bytes += 2
		m.Worst = max(m.Worst, time.Duration(i))
	}
	if len(line.Moments) > mostMoments || line.Width%firstWidth != 0 || time.Duration(len(line.Moments))*line.Width < steps*7*time.Millisecond-line.Width {
		t.Errorf("%d moments of %v", len(line.Moments), line.Width)
	}
	var sum Moment
	for _, m := range line.Moments {
		sum.add(m)
	}
	if want := (Moment{Done: steps, Bytes: 2 * steps, Worst: steps - 1}); sum != want {
		t.Errorf("altogether %+v, want %+v", sum, want)
	}
	if line.at(-time.Second) != &line.Moments[0] {
		t.Error("a time before the start is not in the first moment")
	}
}

func TestTimelineHalvesAnOddNumber(t *testing.T) {
	line := Timeline{Width: 1, Moments: []Moment{{Done: 1}, {Done: 2}, {Done: 4, Failed: 1}}}
	line.halve()
	if diff := cmp.Diff(Timeline{Width: 2, Moments: []Moment{{Done: 3}, {Done: 4, Failed: 1}}}, line); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSpeedsOfALoad(t *testing.T) {
	r := &LoadReport{
		Config:   LoadConfig{Mode: ModeHello},
		Elapsed:  250 * time.Millisecond,
		Timeline: Timeline{Width: 100 * time.Millisecond, Moments: []Moment{{Done: 10}, {Done: 20}, {Done: 5}, {Done: 1}}},
	}
	var got []float64
	for _, p := range r.speeds() {
		got = append(got, p.Y)
	}
	// The third moment was 50 ms long; the fourth began after the end.
	if diff := cmp.Diff([]float64{100, 200, 100}, got); diff != "" {
		t.Errorf("per second (-want +got):\n%s", diff)
	}
}
