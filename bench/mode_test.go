package bench

import (
	"math"
	"testing"
)

func TestChurnKeepsItsShares(t *testing.T) {
	const draws = 100_000
	cfg := LoadConfig{Mode: ModeChurn, Mix: DefaultMix(), Seed: 7}
	tasks := newTasks(&cfg)
	got := map[string]int{}
	for range draws {
		task := tasks.next()
		kind := string(task.kind)
		if task.abort {
			kind = "abort"
		}
		got[kind]++
		if task.bytes > churnBulk || task.trips > churnTrips || task.hold > churnHold {
			t.Fatalf("task %+v is beyond its bounds", task)
		}
	}
	for kind, percent := range DefaultMix() {
		// Five standard deviations, and the seed is always the same.
		want, p := draws*percent/100, float64(percent)/100
		if off := math.Abs(float64(got[kind] - want)); off > 5*math.Sqrt(draws*p*(1-p)) {
			t.Errorf("%d of %d are %s, want about %d", got[kind], draws, kind, want)
		}
	}
}

func TestThroughputGoesBothWays(t *testing.T) {
	cfg := LoadConfig{Mode: ModeThroughput, Bytes: 5}
	tasks := newTasks(&cfg)
	for i := range 4 {
		want := []Mode{ModeDownload, ModeUpload}[i%2]
		if got := tasks.next(); got.kind != want || got.bytes != 5 {
			t.Errorf("task %d is %+v, want %s of 5 bytes", i, got, want)
		}
	}
}
