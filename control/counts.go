package control

import (
	"context"
	"sync"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
)

// counts are what a guard compares. They only grow.
type counts struct {
	connections     uint64 // accepted
	noRoute         uint64 // of connections: ended for want of a route or of a server name
	attempts        uint64
	connectFailures uint64 // of attempts: no connection to the backend
	answerFailures  uint64 // of attempts: connected, and no answer
}

func (c counts) minus(o counts) counts {
	return counts{
		c.connections - o.connections, c.noRoute - o.noRoute, c.attempts - o.attempts,
		c.connectFailures - o.connectFailures, c.answerFailures - o.answerFailures,
	}
}

func (c counts) rates() Rates {
	return Rates{
		NoRoute: share(c.noRoute, c.connections), ConnectFailures: share(c.connectFailures, c.attempts),
		FailedHandshakes: share(c.answerFailures, c.attempts), Connections: c.connections,
	}
}

// share is part of all, and 0 where there is nothing.
func share(part, all uint64) float64 {
	if all == 0 {
		return 0
	}
	return float64(part) / float64(all)
}

// history of the sampler: how far back a guard looks, and how often a sample is taken.
const (
	samplePeriod = time.Second
	keptSamples  = 60
)

// sampler remembers the counts of the last minute. Its methods may be called from any goroutine.
type sampler struct {
	stats func() balancer.Stats // set before it runs

	mu        sync.Mutex
	listeners map[string]counts // as last read
	total     counts
	samples   []counts // oldest first
}

// run takes samples until ctx is done.
func (s *sampler) run(ctx context.Context) {
	tick := time.NewTicker(samplePeriod)
	defer tick.Stop()
	for s.keep(); ; s.keep() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// keep takes one sample.
func (s *sampler) keep() {
	now := s.read()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.samples) == keptSamples {
		s.samples = append(s.samples[:0], s.samples[1:]...)
	}
	s.samples = append(s.samples, now)
}

// before is what was counted in the minute before now, or since there are samples.
func (s *sampler) before(now counts) counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.samples) == 0 {
		return counts{}
	}
	return now.minus(s.samples[0])
}

// read returns the counts of this moment. A listener that was removed has taken its counters with it; what it had
// counted stays counted.
func (s *sampler) read() counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats() // in turn: older counts after newer ones would be those of another listener
	listeners := make(map[string]counts, len(st.Listeners))
	for i := range st.Listeners {
		l := &st.Listeners[i]
		now := counts{
			connections: l.Accepted,
			noRoute:     l.Closed[balancer.CauseNoRoute] + l.Closed[balancer.CauseNoSNI],
		}
		last := s.listeners[l.Name]
		if now.connections < last.connections || now.noRoute < last.noRoute {
			last = counts{} // another listener of that name
		}
		s.total.connections += now.connections - last.connections
		s.total.noRoute += now.noRoute - last.noRoute
		listeners[l.Name] = now
	}
	s.listeners = listeners
	s.total.attempts = max(s.total.attempts, st.Attempts.Started)
	s.total.connectFailures = max(s.total.connectFailures, st.Attempts.ConnectFailed)
	s.total.answerFailures = max(s.total.answerFailures, st.Attempts.AnswerFailed)
	return s.total
}
