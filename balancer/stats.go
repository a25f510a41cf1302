package balancer

import (
	"net/netip"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
)

// Stats is a copy of all counters at one moment, for metrics and status. Counters only grow while the server lives.
type Stats struct {
	Listeners   []ListenerStats
	Pools       []PoolStats
	Connections int64 // active now
	Attempts    AttemptStats
	Terminate   terminate.Stats // of connections whose TLS ends here
	// Certificates are those in force that the server has read, with their ends.
	Certificates []certs.Expiry
	// Lists are those of revoked certificates that have an end.
	Lists      []terminate.ListEnd
	Refusals   []certs.Refusal // files in force that have changed and are not taken, by name
	Orders     []RouteOrders   // of certificates, by ACME
	Limit      int64           // the connection limit in force
	LogDropped uint64          // lines of the log that there was no room for, or that could not be written
	Panics     uint64
	Started    time.Time
	Overlaps   Overlaps      // of certificates
	Handshakes HandshakeRate // of one source, in force
}

// ListenerStats are the counters of one listener.
type ListenerStats struct {
	Name     string
	Addrs    []netip.AddrPort
	Accepted uint64
	Active   int64
	Closed   [NumCauses]uint64 // by Cause
	Hello    Histogram         // seconds from accept to complete hello
}

// AttemptStats count attempts to reach a backend; a connection may take several.
type AttemptStats struct {
	Started       uint64 // backends that were dialled
	ConnectFailed uint64 // refused, unreachable, timed out
	AnswerFailed  uint64 // connected, and hung up, alerted or silent before the first byte
}

// PoolStats are the counters of one pool and its backends.
type PoolStats struct {
	Name     string
	Active   int64
	Dial     Histogram // seconds from dial to connected
	Backends []BackendStats

	Handshakes HandshakeStats
	Panic      bool // too few backends are healthy: all that are not drained are used
	Ejections  uint64
	Waiting    int64     // connections that wait for a slot now
	Waited     Histogram // seconds that those waited that got one
}

// BackendStats are the counters of one backend.
type BackendStats struct {
	Address  string
	Active   int64
	Total    uint64
	Failures uint64
	BytesIn  uint64 // client to backend
	BytesOut uint64 // backend to client
	Up       bool   // takes connections by what is known of it
	State    pool.State
	Override pool.Override // what an operator has said; State follows from it
	Weight   int           // in force
	Backup   bool

	Reason       string    // for State; "" where none is needed
	Since        time.Time // of State; zero if it has not changed since the backend is there
	LastError    string    // of a check or a connection, however long ago; ""
	Failed       time.Time // when a connection failed last, of those that count for outlier; zero: never
	Ejections    uint64
	CertNotAfter time.Time // end of the certificate that the last check saw; zero: none
}

// Histogram is a latency distribution in fixed buckets.
type Histogram struct {
	Bounds []float64 // upper bounds in seconds, ascending, without +Inf
	Counts []uint64  // per bucket, not cumulative; one more than Bounds
	Sum    float64   // seconds
}

// Stats copies all counters.
func (s *Server) Stats() Stats {
	st := Stats{
		Connections: s.active.Load(), Limit: s.limit.Load(), Panics: s.panics.Load(), Started: s.started,
		Overlaps:  *s.keeper.overlaps.Load(),
		Terminate: s.terminator.Stats(), Certificates: s.expiries(), Lists: s.listEnds(), Orders: s.orders(), Refusals: s.refusals(),
	}
	st.LogDropped = s.recorder.unsaid.Load()
	if s.logLost != nil {
		st.LogDropped += s.logLost()
	}
	for _, w := range s.workers {
		st.LogDropped += w.records.dropped.Load()
		w.attempts.addTo(&st.Attempts)
	}
	now := s.world.Load()
	st.Handshakes = now.sources.limit()
	for _, l := range now.listeners {
		st.Listeners = append(st.Listeners, s.listenerStats(l))
	}
	for _, p := range now.order {
		st.Pools = append(st.Pools, p.stats())
	}
	return st
}

// listenerStats adds up what the workers have counted for l.
func (s *Server) listenerStats(l *listener) ListenerStats {
	ls := ListenerStats{Name: l.name(), Addrs: l.addrs(), Active: l.active.Load()}
	for i := range l.counters {
		c := &l.counters[i]
		ls.Accepted += c.accepted.Load()
		for cause := range c.closed {
			ls.Closed[cause] += c.closed[cause].Load()
		}
		c.hello.addTo(&ls.Hello)
	}
	return ls
}

func (p *livePool) stats() PoolStats {
	ps := PoolStats{Name: p.Name(), Active: p.Active(), Handshakes: p.handshakes.stats(), Panic: p.Panicking(), Ejections: p.Pool.Ejections()}
	p.dial.addTo(&ps.Dial)
	ps.Waiting = p.queue.waiting.Load()
	p.queue.waited.addTo(&ps.Waited)
	for _, b := range p.Backends() {
		bs := BackendStats{
			Address: b.Name, Active: b.Active.Load(), Total: b.Total.Load(), Failures: b.Failures.Load(),
			BytesIn: b.BytesIn.Load(), BytesOut: b.BytesOut.Load(),
			Up: b.State().Usable(), State: b.State(), Override: b.Override(),
		}
		cfg := b.Config()
		bs.Weight, bs.Backup = cfg.Weight, cfg.Backup
		bs.describe(b)
		ps.Backends = append(ps.Backends, bs)
	}
	return ps
}

// describe fills in what is known of the state of b.
func (bs *BackendStats) describe(b *pool.Backend) {
	bs.Reason, bs.LastError = reasonOf(b, bs.State), failureOf(b)
	bs.Ejections, _ = b.Ejections()
	if at := b.Since(); at != 0 {
		bs.Since = pool.TimeAt(at)
	}
	if _, _, at := b.LastFailure(); at != 0 {
		bs.Failed = pool.TimeAt(at)
	}
	if r := b.Report(); r != nil {
		bs.CertNotAfter = r.NotAfter
		if r.Error != "" && (bs.LastError == "" || bs.State == pool.StateDown) {
			bs.LastError = r.Error
		}
	}
}
