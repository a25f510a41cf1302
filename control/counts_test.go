package control

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
)

// A guard and the sampler may read at the same moment. What one of them has read a little earlier is not taken for the counters of
// another listener.
func TestReadersAtTheSameMomentCountOnce(t *testing.T) {
	t.Parallel()
	var calls atomic.Uint64
	entered, other := make(chan struct{}), make(chan struct{})
	s := &sampler{stats: func() balancer.Stats {
		n := calls.Add(1)
		st := balancer.Stats{Listeners: []balancer.ListenerStats{{Name: "public", Accepted: 1000 + n}}}
		if n == 1 {
			close(entered)
			select { // the other one comes first, unless it has to wait
			case <-other:
			case <-time.After(100 * time.Millisecond):
			}
		}
		return st
	}}
	var first sync.WaitGroup
	first.Go(func() { s.read() })
	<-entered
	s.read()
	close(other)
	first.Wait()
	if got := s.read().connections; got != 1003 {
		t.Errorf("%d connections, want 1003", got)
	}
}
