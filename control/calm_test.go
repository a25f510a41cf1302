package control

import (
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
)

// It changes what the whole process has, and so runs alone.
func TestCalmPutsBackWhatItChanges(t *testing.T) {
	percent := debug.SetGCPercent(150)
	defer debug.SetGCPercent(percent)
	procs := runtime.GOMAXPROCS(0)
	var c calm
	var jobs sync.WaitGroup
	for range 3 {
		end := c.begin(&jobs)
		if got := debug.SetGCPercent(-1); got != -1 {
			t.Errorf("collections at %d %% during a load", got)
		}
		if got := runtime.GOMAXPROCS(0); got != procs+1 {
			t.Errorf("%d processors during a load, %d otherwise", got, procs)
		}
		end()
	}
	jobs.Wait()
	if got := debug.SetGCPercent(150); got != 150 {
		t.Errorf("collections at %d %% after the loads, 150 before", got)
	}
	if got := runtime.GOMAXPROCS(0); got != procs {
		t.Errorf("%d processors after the loads, %d before", got, procs)
	}
}
