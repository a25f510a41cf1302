package admin

import (
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/control"
)

// collector turns one copy of the counters into metrics at each scrape, so that the data plane knows of no metric
// library, and the series of a listener or backend that is no more are gone with it.
type collector struct {
	state *state
	descs [numMetrics]*prometheus.Desc
}

func newCollector(st *state) *collector { return &collector{state: st, descs: describe()} }

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector. It asks the source once.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := scrape{descs: &c.descs, out: out}
	s.add(metricBuild, 1, c.state.version, runtime.Version())
	src := c.state.load()
	if src == nil {
		s.add(metricReady, 0)
		return
	}
	stats := src.Stats()
	s.process(&stats, src.Ready())
	if cfg := c.state.control(); cfg != nil {
		s.config(cfg)
	}
	for i := range stats.Listeners {
		s.listener(&stats.Listeners[i])
	}
	for i := range stats.Pools {
		s.pool(&stats.Pools[i])
	}
}

// scrape sends the metrics of one Collect.
type scrape struct {
	descs *[numMetrics]*prometheus.Desc
	out   chan<- prometheus.Metric
}

func (s *scrape) process(st *balancer.Stats, ready bool) {
	s.add(metricOverlaps, float64(st.Overlaps.Total))
	s.add(metricLimit, float64(st.Limit))
	s.add(metricReady, zeroOrOne(ready))
	s.terminated(st)
	s.orders(st.Orders)
	s.add(metricLogDropped, float64(st.LogDropped))
	s.add(metricPanics, float64(st.Panics))
	s.add(metricStart, epochSeconds(st.Started))
}

// config also sends the results that have not occurred yet.
func (s *scrape) config(st *control.Status) {
	s.add(metricConfigLoaded, epochSeconds(st.Loaded))
	s.add(metricConfigSuccessful, zeroOrOne(st.LastReload.OK))
	for _, result := range reloadResults {
		s.add(metricConfigReloads, float64(st.Reloads[result]), result)
	}
	s.add(metricConfigRevision, float64(st.Revision))
	s.add(metricConfigOverlay, float64(len(st.Overlay)))
	s.add(metricConfigRollbacks, float64(st.Reloads[rolledBack]))
}

// rolledBack is the word of control for what a guard has taken back, and reloadResults are all that it has for how a
// reload ends.
const rolledBack = "rolled_back"

var reloadResults = [...]string{"applied", "unchanged", "refused", rolledBack}

func epochSeconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// terminated sends what is counted of connections whose TLS ends here.
func (s *scrape) terminated(st *balancer.Stats) {
	t := &st.Terminate
	s.add(metricTerminated, float64(t.Connections))
	for _, h := range t.Done {
		s.add(metricTermination, float64(h.Count), h.Version, h.Group, strconv.FormatBool(h.Resumed))
	}
	s.add(metricTerminationFailed, float64(t.Failed))
	s.add(metricTerminationWaiting, float64(t.Budget.Waiting))
	ends := fileEnds{}
	for _, e := range st.Certificates {
		ends.note(e.File, e.NotAfter)
	}
	ends.sendTo(s, metricCertificate)
	ends = fileEnds{}
	for _, l := range st.Lists {
		ends.note(l.File, l.Until)
	}
	ends.sendTo(s, metricList)
	for _, r := range st.Refusals {
		s.add(metricRefused, 1, r.File)
	}
}

// fileEnds are when what files hold ends. A file may be that of several routes, and they may tell of another end: the first counts.
type fileEnds map[string]time.Time

func (f fileEnds) note(file string, end time.Time) {
	if at, ok := f[file]; !ok || end.Before(at) {
		f[file] = end
	}
}

func (f fileEnds) sendTo(s *scrape, metric int) {
	for file, at := range f {
		s.add(metric, float64(at.Unix()), file)
	}
}

// orders also sends the results that have not occurred yet.
func (s *scrape) orders(all []balancer.RouteOrders) {
	for i := range all {
		o := &all[i]
		s.add(metricOrders, float64(o.Obtained), o.Route, "obtained")
		s.add(metricOrders, float64(o.Renewed), o.Route, "renewed")
		s.add(metricOrders, float64(o.Failed), o.Route, "failed")
		s.add(metricOrdersMissing, float64(o.Missing), o.Route)
		s.add(metricOrdersSuccess, secondsOrZero(o.LastSuccess), o.Route)
		s.add(metricOrdersFailure, secondsOrZero(o.LastFailure), o.Route)
	}
}

// secondsOrZero is epochSeconds, with 0 for what never was.
func secondsOrZero(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return epochSeconds(t)
}

// listener also sends the causes that have not occurred yet: rate() sees the first occurrence only in a series that was
// there before it.
func (s *scrape) listener(l *balancer.ListenerStats) {
	s.add(metricAccepted, float64(l.Accepted), l.Name)
	s.add(metricActive, float64(l.Active), l.Name)
	for c := balancer.CauseNone + 1; c < balancer.NumCauses; c++ {
		s.add(metricClosed, float64(l.Closed[c]), l.Name, c.String())
	}
	s.addHistogram(metricHello, l.Hello, l.Name)
}

func (s *scrape) pool(p *balancer.PoolStats) {
	s.addHistogram(metricDial, p.Dial, p.Name)
	s.handshakes(p.Name, &p.Handshakes)
	s.add(metricPanicMode, zeroOrOne(p.Panic), p.Name)
	s.add(metricWaiting, float64(p.Waiting), p.Name)
	s.addHistogram(metricWaited, p.Waited, p.Name)
	for _, b := range mergeBackends(p.Backends) {
		s.add(metricBackendUp, zeroOrOne(b.Up), p.Name, b.Address)
		s.add(metricBackendOverridden, zeroOrOne(b.Override != pool.OverrideNone), p.Name, b.Address)
		s.add(metricBackendActive, float64(b.Active), p.Name, b.Address)
		s.add(metricBackendTotal, float64(b.Total), p.Name, b.Address)
		s.add(metricBackendFailures, float64(b.Failures), p.Name, b.Address)
		s.add(metricBackendBytes, float64(b.BytesIn), p.Name, b.Address, "in")
		s.add(metricBackendBytes, float64(b.BytesOut), p.Name, b.Address, "out")
		s.add(metricBackendEjections, float64(b.Ejections), p.Name, b.Address)
		for state := pool.StateUnknown; state <= pool.StateMaint; state++ {
			s.add(metricBackendState, zeroOrOne(b.State == state), p.Name, b.Address, state.String())
		}
		if !b.CertNotAfter.IsZero() {
			s.add(metricBackendCertificate, epochSeconds(b.CertNotAfter), p.Name, b.Address)
		}
	}
}

// handshakes sends what the first flights of a pool's backends have shown. Groups and alerts are of closed lists, and
// sent as they occur: most never do.
func (s *scrape) handshakes(name string, h *balancer.HandshakeStats) {
	s.addHistogram(metricAnswer, h.Answer, name)
	for version, n := range h.Versions {
		s.add(metricHandshakes, float64(n), name, version)
	}
	for group, n := range h.Groups {
		s.add(metricGroups, float64(n), name, group)
	}
	s.add(metricPostQuantum, float64(h.PostQuantum), name)
	s.add(metricRetries, float64(h.Retries), name)
	for alert, n := range h.Alerts {
		s.add(metricAlerts, float64(n), name, alert)
	}
}

// mergeBackends returns all in order, and what has the same address added up under the first; all is left as it is. An
// address may be in a pool twice, once written out and once behind a DNS name, and two series with the same labels
// would cost the whole scrape. Such an address is up if it is for any of its names.
func mergeBackends(all []balancer.BackendStats) []balancer.BackendStats {
	out := make([]balancer.BackendStats, 0, len(all))
	at := make(map[string]int, len(all))
	for _, b := range all {
		i, ok := at[b.Address]
		if !ok {
			at[b.Address] = len(out)
			out = append(out, b)
			continue
		}
		sum := &out[i]
		sum.Active += b.Active
		sum.Total += b.Total
		sum.Failures += b.Failures
		sum.BytesIn += b.BytesIn
		sum.BytesOut += b.BytesOut
		sum.Up = sum.Up || b.Up
		sum.Override = max(sum.Override, b.Override)
		sum.Ejections += b.Ejections
		if sum.CertNotAfter.IsZero() || !b.CertNotAfter.IsZero() && b.CertNotAfter.Before(sum.CertNotAfter) {
			sum.CertNotAfter = b.CertNotAfter
		}
	}
	return out
}

// add sends one value. Labels are from the configuration, which is UTF-8; were one not, its bad bytes are replaced
// rather than the whole scrape lost.
func (s *scrape) add(i int, v float64, labels ...string) {
	s.out <- prometheus.MustNewConstMetric(s.descs[i], metricTable[i].kind.valueType(), v, valid(labels)...)
}

func (s *scrape) addHistogram(i int, h balancer.Histogram, labels ...string) {
	buckets := make(map[float64]uint64, len(h.Bounds))
	var n uint64
	for k, count := range h.Counts {
		n += count
		if k < len(h.Bounds) {
			buckets[h.Bounds[k]] = n
		}
	}
	s.out <- prometheus.MustNewConstHistogram(s.descs[i], n, h.Sum, buckets, valid(labels)...)
}

func valid(labels []string) []string {
	for i, l := range labels {
		labels[i] = strings.ToValidUTF8(l, "\uFFFD")
	}
	return labels
}

func zeroOrOne(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
