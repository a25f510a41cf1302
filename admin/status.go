package admin

import (
	"math"
	"net/netip"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/control"
)

// Status is what GET /v1/status answers, as JSON. Fields may be added to it; those that are there stay.
type Status struct {
	Version       string           `json:"version"`
	State         string           `json:"state"`   // starting, ready or draining
	Started       time.Time        `json:"started"` // zero while starting
	UptimeSeconds float64          `json:"uptime_s"`
	Active        int64            `json:"active"` // connections open now
	Limit         int64            `json:"limit"`  // of connections open at once
	LogDropped    uint64           `json:"log_lines_dropped"`
	Panics        uint64           `json:"panics"`
	Listeners     []ListenerStatus `json:"listeners"` // never null, nor is any list below
	Pools         []PoolStatus     `json:"pools"`
	// Attempts are connections to backends that were begun; the other two of them failed, before and after the backend
	// had accepted.
	Attempts        uint64          `json:"attempts"`
	ConnectFailures uint64          `json:"connect_failures"`
	AnswerFailures  uint64          `json:"answer_failures"`
	Config          *control.Status `json:"config,omitempty"` // absent while starting
	// Overlaps are hosts for which the certificate of another pool is good, too: how many, and the first hundred.
	Overlaps     int                `json:"certificate_overlaps"`
	OverlapsList []balancer.Overlap `json:"certificate_overlaps_first,omitempty"`
	// Refused are files that have changed and are not taken, by name: how many, and the first hundred.
	RefusedFiles int           `json:"files_refused"`
	RefusedList  []RefusedFile `json:"files_refused_first,omitempty"`
	// Handshakes is how many may be begun where TLS ends here; absent: as many as clients like.
	Handshakes *HandshakeBounds `json:"handshakes,omitempty"`
}

// mostRefusedFiles are told of in a Status.
const mostRefusedFiles = 100

// HandshakeBounds bound the handshakes that are begun; what is absent is not bounded.
type HandshakeBounds struct {
	Total     float64 `json:"total_per_s,omitempty"` // of all clients
	PerSource float64 `json:"per_source_per_s,omitempty"`
	Burst     int     `json:"burst,omitempty"`  // of a source, at once
	Exempt    int     `json:"exempt,omitempty"` // how many ranges of addresses per_source does not apply to
}

// ListenerStatus is one listener since the start.
type ListenerStatus struct {
	Name      string            `json:"name"`
	Addresses []netip.AddrPort  `json:"addresses"` // that it is bound to
	Accepted  uint64            `json:"accepted"`
	Active    int64             `json:"active"`
	Closed    map[string]uint64 `json:"closed"` // by cause, those that occurred
	Hello     Latency           `json:"hello"`  // from accept to a complete ClientHello
}

// PoolStatus is one pool since the start.
type PoolStatus struct {
	Name     string          `json:"name"`
	Active   int64           `json:"active"`
	Dial     Latency         `json:"dial"` // from dial to connected
	Backends []BackendStatus `json:"backends"`

	Panic      bool       `json:"panic"`      // too few backends are healthy: all that are not drained are used
	Waiting    int64      `json:"waiting"`    // connections that wait for a slot
	Waited     Latency    `json:"waited"`     // of those that got one
	Handshakes Handshakes `json:"handshakes"` // as seen in the backends' first flights
}

// Handshakes are what the first flights of a pool's backends have shown.
type Handshakes struct {
	Answer      Latency           `json:"answer"`       // from the hello sent to the first byte back
	Versions    map[string]uint64 `json:"versions"`     // ServerHellos by version, those that occurred
	Groups      map[string]uint64 `json:"groups"`       // of TLS 1.3, by group
	PostQuantum uint64            `json:"post_quantum"` // of these, those that withstand a quantum computer
	Retries     uint64            `json:"retries"`      // HelloRetryRequests
	Alerts      map[string]uint64 `json:"alerts"`       // in place of a ServerHello, by description
}

// BackendStatus is one backend since the start.
type BackendStatus struct {
	Address  string `json:"address"`
	Up       bool   `json:"up"`               // it may get new connections
	State    string `json:"state"`            // up, down, ejected, drain, maint or unknown, which counts as up
	Reason   string `json:"reason,omitempty"` // who has set State, where that is not up or unknown: override, health or outlier
	Weight   int    `json:"weight"`           // in force: that of the file, or of an operator
	Backup   bool   `json:"backup,omitempty"`
	Active   int64  `json:"active"`
	Total    uint64 `json:"total"`
	Failures uint64 `json:"failures"`
	BytesIn  uint64 `json:"bytes_in"`  // client to backend
	BytesOut uint64 `json:"bytes_out"` // backend to client

	Since       *time.Time `json:"since,omitempty"`               // of State; absent if it has not changed
	Error       string     `json:"error,omitempty"`               // of the last check or connection that failed, however long ago
	Ejections   uint64     `json:"ejections,omitempty"`           // how often it was left out for failing connections
	Certificate *time.Time `json:"certificate_expires,omitempty"` // of the certificate that the last check by TLS saw
}

// Latency sums a histogram up, to the microsecond. Quantiles are interpolated within a bucket, and never above the last
// bound.
type Latency struct {
	Count  uint64  `json:"count"`
	Mean   float64 `json:"mean_s"`
	Median float64 `json:"p50_s"`
	P99    float64 `json:"p99_s"`
}

// perSecond is how often something happens every so often; 0 for never.
func perSecond(every time.Duration) float64 {
	if every <= 0 {
		return 0
	}
	return micros(1 / every.Seconds())
}

// status makes one Status from one copy of the counters.
func (s *state) status() Status {
	out := Status{Version: s.version, State: string(s.phase()), Listeners: []ListenerStatus{}, Pools: []PoolStatus{}}
	src := s.load()
	if src == nil {
		return out
	}
	st := src.Stats()
	out.Started, out.UptimeSeconds = st.Started, time.Since(st.Started).Seconds()
	out.Active, out.Limit = st.Connections, st.Limit
	out.LogDropped, out.Panics = st.LogDropped, st.Panics
	out.Attempts, out.ConnectFailures, out.AnswerFailures = st.Attempts.Started, st.Attempts.ConnectFailed, st.Attempts.AnswerFailed
	out.Config = s.control()
	out.Overlaps, out.OverlapsList = st.Overlaps.Total, st.Overlaps.First
	out.RefusedFiles = len(st.Refusals)
	for _, r := range st.Refusals[:min(len(st.Refusals), mostRefusedFiles)] {
		out.RefusedList = append(out.RefusedList, RefusedFile{File: r.File, Error: r.Why})
	}
	if all, each := st.Terminate.Budget.Every, st.Handshakes; all > 0 || each.Every > 0 {
		out.Handshakes = &HandshakeBounds{perSecond(all), perSecond(each.Every), each.Burst, len(each.Exempt)}
	}
	for i := range st.Listeners {
		out.Listeners = append(out.Listeners, listenerStatus(&st.Listeners[i]))
	}
	for i := range st.Pools {
		out.Pools = append(out.Pools, poolStatus(&st.Pools[i]))
	}
	return out
}

func listenerStatus(l *balancer.ListenerStats) ListenerStatus {
	closed := make(map[string]uint64)
	for c := balancer.CauseNone + 1; c < balancer.NumCauses; c++ {
		if n := l.Closed[c]; n > 0 {
			closed[c.String()] = n
		}
	}
	return ListenerStatus{
		Name: l.Name, Addresses: notNil(l.Addrs), Accepted: l.Accepted, Active: l.Active, Closed: closed, Hello: latency(&l.Hello),
	}
}

func poolStatus(p *balancer.PoolStats) PoolStatus {
	out := PoolStatus{
		Name: p.Name, Active: p.Active, Dial: latency(&p.Dial), Backends: []BackendStatus{},
		Panic: p.Panic, Waiting: p.Waiting, Waited: latency(&p.Waited), Handshakes: handshakesOf(&p.Handshakes),
	}
	for _, b := range p.Backends {
		out.Backends = append(out.Backends, BackendStatus{
			Address: b.Address, Up: b.Up, State: b.State.String(), Reason: reasonOf(&b), Weight: b.Weight, Backup: b.Backup,
			Active: b.Active, Total: b.Total, Failures: b.Failures,
			BytesIn: b.BytesIn, BytesOut: b.BytesOut,
			Since: timeOf(b.Since), Error: b.LastError, Ejections: b.Ejections, Certificate: timeOf(b.CertNotAfter),
		})
	}
	return out
}

func handshakesOf(h *balancer.HandshakeStats) Handshakes {
	occurred := func(counts map[string]uint64) map[string]uint64 {
		out := make(map[string]uint64, len(counts))
		for name, n := range counts {
			if n > 0 {
				out[name] = n
			}
		}
		return out
	}
	return Handshakes{latency(&h.Answer), occurred(h.Versions), occurred(h.Groups), h.PostQuantum, h.Retries, occurred(h.Alerts)}
}

// timeOf is t to the second, nil for the zero time.
func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

// reasonOf says who has set the state of b, where that keeps connections away.
func reasonOf(b *balancer.BackendStats) string {
	switch {
	case b.Override != pool.OverrideNone:
		return "override"
	case b.State == pool.StateDown:
		return "health"
	case b.State == pool.StateEjected:
		return "outlier"
	}
	return ""
}

func latency(h *balancer.Histogram) Latency {
	var n uint64
	for _, c := range h.Counts {
		n += c
	}
	if n == 0 {
		return Latency{}
	}
	return Latency{
		Count: n, Mean: micros(h.Sum / float64(n)), Median: micros(quantile(h, n, 0.5)), P99: micros(quantile(h, n, 0.99)),
	}
}

// micros rounds seconds to microseconds: more digits would only look exact.
func micros(s float64) float64 { return math.Round(s*1e6) / 1e6 }

// quantile is the value below which the share q of the n observations lies, taken as spread evenly in each bucket.
func quantile(h *balancer.Histogram, n uint64, q float64) float64 {
	rank := q * float64(n)
	var below, lower float64
	for i, count := range h.Counts {
		if i >= len(h.Bounds) {
			break
		}
		if c := float64(count); c > 0 && below+c >= rank {
			return lower + (h.Bounds[i]-lower)*(rank-below)/c
		}
		below += float64(count)
		lower = h.Bounds[i]
	}
	return lower
}
