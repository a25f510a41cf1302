package balancer

import (
	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// stallCheck is how long after its last progress a sink is looked at, and how often from then on. It leaves two
// looks before the kernel's own limit, userTimeout, which a closed window runs into as well as a dead peer.
const stallCheck = 20e9

// sinkWatch is what is known of a sink that has bytes to take: in the flow, or unacknowledged in the kernel.
type sinkWatch struct {
	since   int64 // when it last took something
	unacked int32 // bytes the peer had not acknowledged at the last look
	lenient bool  // TCP_USER_TIMEOUT is lifted: the peer is alive and reads slowly
}

// watchProgress has the sinks looked at some time after bytes have moved.
func (w *worker) watchProgress(s *session) {
	d := int64(stallCheck)
	if limit := int64(s.pool.Config().StalledTimeout); limit > 0 {
		d = min(d, limit)
	}
	w.wakeAt(s, w.loop.Now()+d)
}

// stalled looks at the sink of a flow and reports whether it is alive and has taken nothing for stalled_timeout. last is
// when the flow last moved; it is blocked while it has bytes that the sink would not take.
//
// A sink that does not even acknowledge is the kernel's business (TCP_USER_TIMEOUT). But the kernel counts a closed
// window as no acknowledgement (net/ipv4/tcp_timer.c, tcp_probe_timer), so that its limit is lifted for a peer that
// answers the window probes, and set again when it takes bytes.
func (w *worker) stalled(s *session, blocked bool, k *sinkWatch, last int64, sink int) bool {
	unacked := int32(sys.Unacknowledged(sink))
	switch {
	case unacked == 0 && !blocked:
		k.progress(sink, w.loop.Now())
		return false
	case unacked < k.unacked:
		k.progress(sink, w.loop.Now())
	case last > k.since:
		k.progress(sink, last)
	}
	k.unacked = unacked
	quiet := w.loop.Now() - k.since
	limit := int64(s.pool.Config().StalledTimeout)
	if limit > 0 && quiet >= limit {
		return true
	}
	if quiet >= stallCheck && !k.lenient && isAlive(sink, quiet) {
		k.lenient = true
		sys.SetUserTimeout(sink, 0)
	}
	next := int64(stallCheck)
	if limit > 0 {
		next = min(next, limit-quiet)
	}
	w.wakeAt(s, w.loop.Now()+next)
	return false
}

// progress notes that the sink took something at time at.
func (k *sinkWatch) progress(sink int, at int64) {
	if k.lenient {
		k.lenient = false
		sys.SetUserTimeout(sink, userTimeout)
	}
	k.since, k.unacked = at, 0
}

// isAlive reports whether the peer has acknowledged something well after a silence of quiet nanoseconds began. The
// kernel's probes come at doubling intervals, so an answered one lies within the last half of it.
func isAlive(sink int, quiet int64) bool {
	ms, ok := sys.LastAck(sink)
	return ok && int64(ms)*1e6 < quiet*3/4
}
