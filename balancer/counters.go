package balancer

import "sync/atomic"

// listenerCounters are one worker's counters of one listener: no other worker writes them, so that counting
// moves no cache line between cores. Stats adds them up. They live with the listener.
type listenerCounters struct {
	accepted atomic.Uint64
	closed   [NumCauses]atomic.Uint64
	hello    histogram
	_        [64]byte // keeps the next listener's counters off the last cache line
}

// attemptCounters are one worker's counters of attempts to reach a backend.
type attemptCounters struct{ started, connectFailed, answerFailed atomic.Uint64 }

func (a *attemptCounters) addTo(out *AttemptStats) {
	out.Started += a.started.Load()
	out.ConnectFailed += a.connectFailed.Load()
	out.AnswerFailed += a.answerFailed.Load()
}

// failed counts an attempt that failed with this cause.
func (a *attemptCounters) failed(c Cause) {
	switch c {
	case CauseConnectFail, CauseConnectTimeout:
		a.connectFailed.Add(1)
	case CauseAnswerFail, CauseAnswerTimeout, CauseBackendTLS:
		a.answerFailed.Add(1)
	}
}

// bounds are the upper bounds of all latency histograms, in nanoseconds: 0.25 ms to 10 s.
var bounds = [...]int64{
	250e3, 500e3, 1e6, 2.5e6, 5e6, 10e6, 25e6, 50e6, 100e6, 250e6, 500e6, 1e9, 2.5e9, 5e9, 10e9,
}

// histogram counts durations. The zero histogram is empty.
type histogram struct {
	counts [len(bounds) + 1]atomic.Uint64
	sum    atomic.Int64 // ns
}

// observe adds one duration in nanoseconds.
func (h *histogram) observe(ns int64) {
	i := 0
	for i < len(bounds) && ns > bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(ns)
}

// addTo adds what h has counted to out.
func (h *histogram) addTo(out *Histogram) {
	if out.Bounds == nil {
		out.Bounds = make([]float64, len(bounds))
		for i, b := range bounds {
			out.Bounds[i] = float64(b) / 1e9
		}
		out.Counts = make([]uint64, len(bounds)+1)
	}
	for i := range h.counts {
		out.Counts[i] += h.counts[i].Load()
	}
	out.Sum += float64(h.sum.Load()) / 1e9
}
