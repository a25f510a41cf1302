package control

import (
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// calmSize is how large a file has to be for its load to be felt: a megabyte takes some 50 ms of one core.
const calmSize = 1 << 20

// calm keeps the load of a large file from being felt by the traffic beside it.
//
// Loading 100 000 routes keeps one core busy for half a second and allocates three times what stays. A second processor
// for the scheduler's books (not a second core) lets event loops run when the kernel thinks fit, rather than when the
// load has used up its 10 ms; and the thread of the load gives way to all that wake up, see [sys.GiveWay]. A collection in the middle of it would find nearly everything alive, while making
// whoever allocates, event loops too, work for it: there is one at the end instead, which asks nobody. A memory limit
// (GOMEMLIMIT) is obeyed meanwhile. The memory that a load takes at its height is about the same.
type calm struct {
	over chan struct{} // closed when the last load's collection is; nil before the first
}

// begin is called by whoever has the turn before a load, and waits for the end of the last one's collection. The
// function it returns is to be called after the load: it collects on a goroutine of jobs, so that nobody waits.
func (c *calm) begin(jobs *sync.WaitGroup) (end func()) {
	if c.over != nil {
		<-c.over
	}
	thread := calmThread()
	percent := debug.SetGCPercent(-1)
	procs := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(procs + 1)
	over := make(chan struct{})
	c.over = over
	return func() {
		runtime.GOMAXPROCS(procs)
		thread()
		jobs.Go(func() {
			defer close(over)
			runtime.GC()
			debug.SetGCPercent(percent)
		})
	}
}

// calmThread has the thread of the caller give way to all that wake up, until the same goroutine calls end.
func calmThread() (end func()) {
	runtime.LockOSThread()
	giveWay := sys.GiveWay()
	return func() {
		giveWay()
		runtime.UnlockOSThread()
	}
}
