package control

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryIsGivenBackOnceWhenReloadsHaveCeased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var given atomic.Int32
		r := relief{free: func() { given.Add(1) }}
		wait := func(d time.Duration, want int32) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if n := given.Load(); n != want {
				t.Errorf("given back %d times; want %d", n, want)
			}
		}
		for range 600 {
			r.after()
			wait(100*time.Millisecond, 0)
		}
		wait(reliefDelay, 1)
		wait(time.Minute, 1)
		r.after()
		wait(2*reliefDelay, 2)
		r.after()
		r.close()
		r.after()
		wait(time.Minute, 2)
	})
}
