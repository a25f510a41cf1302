package admin

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/seed-23b4a313/switchyard/balancer"
)

var update = flag.Bool("update", false, "rewrite the golden file and docs/metrics.md")

// registry gathers what a scrape of src would.
func registry(t *testing.T, src Source) *prometheus.Registry {
	t.Helper()
	st := &state{version: "v1.2.3"}
	if src != nil {
		st.source.Store(&src)
		st.verbs.Store(&api{control: changed()})
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(newCollector(st))
	return reg
}

func gather(t *testing.T, src Source) []*dto.MetricFamily {
	t.Helper()
	families, err := registry(t, src).Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func TestMetricsPassTheLinter(t *testing.T) {
	problems, err := testutil.GatherAndLint(registry(t, busy()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestScrapeShowsEveryCounter(t *testing.T) {
	want := `
# HELP switchyard_backend_alerts_total Alerts in place of a ServerHello, by their description, those that have occurred
# TYPE switchyard_backend_alerts_total counter
switchyard_backend_alerts_total{alert="unrecognized_name",pool="web"} 3
# HELP switchyard_backend_answer_duration_seconds Time from the hello sent to the first byte of the backend's answer
# TYPE switchyard_backend_answer_duration_seconds histogram
switchyard_backend_answer_duration_seconds_bucket{pool="web",le="0.001"} 900
switchyard_backend_answer_duration_seconds_bucket{pool="web",le="0.01"} 950
switchyard_backend_answer_duration_seconds_bucket{pool="web",le="+Inf"} 960
switchyard_backend_answer_duration_seconds_sum{pool="web"} 1.2
switchyard_backend_answer_duration_seconds_count{pool="web"} 960
# HELP switchyard_backend_bytes_total Bytes relayed: in is from the client to the backend, out from the backend to the client
# TYPE switchyard_backend_bytes_total counter
switchyard_backend_bytes_total{backend="10.0.0.1:443",direction="in",pool="web"} 5.24288e+06
switchyard_backend_bytes_total{backend="10.0.0.1:443",direction="out",pool="web"} 3.221225472e+09
switchyard_backend_bytes_total{backend="[2001:db8::1]:443",direction="in",pool="web"} 1000
switchyard_backend_bytes_total{backend="[2001:db8::1]:443",direction="out",pool="web"} 2000
# HELP switchyard_backend_certificate_not_after_timestamp_seconds When the certificate ends that the last check by TLS was shown, in seconds since the epoch; absent where there is none
# TYPE switchyard_backend_certificate_not_after_timestamp_seconds gauge
switchyard_backend_certificate_not_after_timestamp_seconds{backend="10.0.0.1:443",pool="web"} 1.8012672e+09
# HELP switchyard_backend_connections_active Connections to the backend that are open now
# TYPE switchyard_backend_connections_active gauge
switchyard_backend_connections_active{backend="10.0.0.1:443",pool="web"} 30
switchyard_backend_connections_active{backend="[2001:db8::1]:443",pool="web"} 10
# HELP switchyard_backend_connections_total Connections the backend has answered; an attempt that failed is not one
# TYPE switchyard_backend_connections_total counter
switchyard_backend_connections_total{backend="10.0.0.1:443",pool="web"} 700
switchyard_backend_connections_total{backend="[2001:db8::1]:443",pool="web"} 260
# HELP switchyard_backend_dial_duration_seconds Time from the start of a connection to a backend to its being established
# TYPE switchyard_backend_dial_duration_seconds histogram
switchyard_backend_dial_duration_seconds_bucket{pool="web",le="0.001"} 10
switchyard_backend_dial_duration_seconds_bucket{pool="web",le="0.01"} 15
switchyard_backend_dial_duration_seconds_bucket{pool="web",le="+Inf"} 15
switchyard_backend_dial_duration_seconds_sum{pool="web"} 0.03
switchyard_backend_dial_duration_seconds_count{pool="web"} 15
# HELP switchyard_backend_ejections_total How often the backend was left out because connections to it had failed in a row
# TYPE switchyard_backend_ejections_total counter
switchyard_backend_ejections_total{backend="10.0.0.1:443",pool="web"} 2
switchyard_backend_ejections_total{backend="[2001:db8::1]:443",pool="web"} 0
# HELP switchyard_backend_failures_total Attempts that failed before the backend sent a first byte; another backend may have served the client
# TYPE switchyard_backend_failures_total counter
switchyard_backend_failures_total{backend="10.0.0.1:443",pool="web"} 0
switchyard_backend_failures_total{backend="[2001:db8::1]:443",pool="web"} 7
# HELP switchyard_backend_handshake_groups_total ServerHellos of TLS 1.3 by the group of the key exchange, those that have occurred
# TYPE switchyard_backend_handshake_groups_total counter
switchyard_backend_handshake_groups_total{group="X25519MLKEM768",pool="web"} 600
switchyard_backend_handshake_groups_total{group="x25519",pool="web"} 300
# HELP switchyard_backend_handshakes_post_quantum_total Of these, those with a group that withstands a quantum computer
# TYPE switchyard_backend_handshakes_post_quantum_total counter
switchyard_backend_handshakes_post_quantum_total{pool="web"} 600
# HELP switchyard_backend_handshakes_total ServerHellos by the version of TLS that the backend has chosen; unknown is an answer in pieces, or no TLS
# TYPE switchyard_backend_handshakes_total counter
switchyard_backend_handshakes_total{pool="web",version="1.0"} 0
switchyard_backend_handshakes_total{pool="web",version="1.1"} 0
switchyard_backend_handshakes_total{pool="web",version="1.2"} 60
switchyard_backend_handshakes_total{pool="web",version="1.3"} 900
switchyard_backend_handshakes_total{pool="web",version="unknown"} 0
# HELP switchyard_backend_hello_retries_total HelloRetryRequests: the backend wants another group than the client has guessed, at the price of a round trip
# TYPE switchyard_backend_hello_retries_total counter
switchyard_backend_hello_retries_total{pool="web"} 4
# HELP switchyard_backend_overridden 1 if an operator has taken the backend out at run time (drain or maint), 0 if not
# TYPE switchyard_backend_overridden gauge
switchyard_backend_overridden{backend="10.0.0.1:443",pool="web"} 0
switchyard_backend_overridden{backend="[2001:db8::1]:443",pool="web"} 1
# HELP switchyard_backend_state 1 for the state that the backend is in, 0 for the others: up, down, ejected, drain, maint, or unknown, which is used
# TYPE switchyard_backend_state gauge
switchyard_backend_state{backend="10.0.0.1:443",pool="web",state="down"} 0
switchyard_backend_state{backend="10.0.0.1:443",pool="web",state="drain"} 0
switchyard_backend_state{backend="10.0.0.1:443",pool="web",state="ejected"} 0
switchyard_backend_state{backend="10.0.0.1:443",pool="web",state="maint"} 0
switchyard_backend_state{backend="10.0.0.1:443",pool="web",state="unknown"} 0
switchyard_backend_state{backend="10.0.0.1:443",pool="web",state="up"} 1
switchyard_backend_state{backend="[2001:db8::1]:443",pool="web",state="down"} 0
switchyard_backend_state{backend="[2001:db8::1]:443",pool="web",state="drain"} 1
switchyard_backend_state{backend="[2001:db8::1]:443",pool="web",state="ejected"} 0
switchyard_backend_state{backend="[2001:db8::1]:443",pool="web",state="maint"} 0
switchyard_backend_state{backend="[2001:db8::1]:443",pool="web",state="unknown"} 0
switchyard_backend_state{backend="[2001:db8::1]:443",pool="web",state="up"} 0
# HELP switchyard_backend_up 1 if the backend takes connections, 0 if it is down
# TYPE switchyard_backend_up gauge
switchyard_backend_up{backend="10.0.0.1:443",pool="web"} 1
switchyard_backend_up{backend="[2001:db8::1]:443",pool="web"} 0
# HELP switchyard_certificate_overlaps Hosts for which the certificate of another pool on the same listener is good, too, as far as checks by TLS have seen certificates
# TYPE switchyard_certificate_overlaps gauge
switchyard_certificate_overlaps 1
# HELP switchyard_client_hello_duration_seconds Time from accept to a complete ClientHello, a PROXY header included
# TYPE switchyard_client_hello_duration_seconds histogram
switchyard_client_hello_duration_seconds_bucket{listener="public",le="0.001"} 900
switchyard_client_hello_duration_seconds_bucket{listener="public",le="0.01"} 960
switchyard_client_hello_duration_seconds_bucket{listener="public",le="0.1"} 960
switchyard_client_hello_duration_seconds_bucket{listener="public",le="+Inf"} 963
switchyard_client_hello_duration_seconds_sum{listener="public"} 2.5
switchyard_client_hello_duration_seconds_count{listener="public"} 963
# HELP switchyard_config_guard_rollbacks_total Guarded changes that were taken back because more connections failed after them
# TYPE switchyard_config_guard_rollbacks_total counter
switchyard_config_guard_rollbacks_total 1
# HELP switchyard_certificate_expiry_timestamp_seconds When the certificate in a file expires, in seconds since the epoch; of a directory, the first of those in use
# TYPE switchyard_certificate_expiry_timestamp_seconds gauge
switchyard_certificate_expiry_timestamp_seconds{file="/etc/switchyard/a.crt"} 1.798761600e+09
# HELP switchyard_crl_next_update_timestamp_seconds When the first authority is left without a good list in a file of client_auth.crl, in seconds since the epoch; absent where lists have no end
# TYPE switchyard_crl_next_update_timestamp_seconds gauge
switchyard_crl_next_update_timestamp_seconds{file="/etc/switchyard/clients.crl"} 1.796083200e+09
# HELP switchyard_file_refused 1 for a file of certificates, authorities, lists or ticket keys that has changed and is not taken: what it held before stays; absent otherwise. Of a directory, as far as somebody has asked for its files
# TYPE switchyard_file_refused gauge
switchyard_file_refused{file="/etc/switchyard/clients.pem"} 1
# HELP switchyard_acme_orders_total Certificates ordered for the hosts of a route, by what came of it: obtained, renewed or failed, which is tried again
# TYPE switchyard_acme_orders_total counter
switchyard_acme_orders_total{result="failed",route="shop"} 2
switchyard_acme_orders_total{result="obtained",route="shop"} 3
switchyard_acme_orders_total{result="renewed",route="shop"} 1
# HELP switchyard_acme_certificates_missing Hosts of a route whose certificate is ordered and has not been obtained yet
# TYPE switchyard_acme_certificates_missing gauge
switchyard_acme_certificates_missing{route="shop"} 1
# HELP switchyard_acme_last_success_timestamp_seconds When a certificate was last obtained or renewed for a host of a route, in seconds since the epoch; 0 if none was since acme was last changed
# TYPE switchyard_acme_last_success_timestamp_seconds gauge
switchyard_acme_last_success_timestamp_seconds{route="shop"} 0
# HELP switchyard_acme_last_failure_timestamp_seconds When an order for a host of a route last came to nothing, in seconds since the epoch; 0 if none did since acme was last changed
# TYPE switchyard_acme_last_failure_timestamp_seconds gauge
switchyard_acme_last_failure_timestamp_seconds{route="shop"} 1.793577600e+09
# HELP switchyard_terminated_connections_active Connections whose TLS ends here that are open now
# TYPE switchyard_terminated_connections_active gauge
switchyard_terminated_connections_active 12
# HELP switchyard_terminated_handshakes_failed_total Handshakes with clients whose TLS ends here that came to nothing
# TYPE switchyard_terminated_handshakes_failed_total counter
switchyard_terminated_handshakes_failed_total 5
# HELP switchyard_terminated_handshakes_total Handshakes completed with clients whose TLS ends here, by version, key exchange group, and whether a session was resumed
# TYPE switchyard_terminated_handshakes_total counter
switchyard_terminated_handshakes_total{group="X25519MLKEM768",resumed="false",version="1.3"} 300
switchyard_terminated_handshakes_total{group="none",resumed="true",version="1.2"} 7
# HELP switchyard_terminated_handshakes_waiting Handshakes that wait for their turn to be computed
# TYPE switchyard_terminated_handshakes_waiting gauge
switchyard_terminated_handshakes_waiting 2
# HELP switchyard_config_last_reload_success_timestamp_seconds When the configuration in force came into force, in seconds since the epoch
# TYPE switchyard_config_last_reload_success_timestamp_seconds gauge
switchyard_config_last_reload_success_timestamp_seconds 1.7936082e+09
# HELP switchyard_config_last_reload_successful 1 if the last attempt to load the file went well, 0 if the file was refused and what was in force before still is
# TYPE switchyard_config_last_reload_successful gauge
switchyard_config_last_reload_successful 0
# HELP switchyard_config_overlay_entries Changes made at run time that lie on top of the file
# TYPE switchyard_config_overlay_entries gauge
switchyard_config_overlay_entries 1
# HELP switchyard_config_reloads_total Attempts to load the file since the start, by result: applied, unchanged, refused or rolled_back
# TYPE switchyard_config_reloads_total counter
switchyard_config_reloads_total{result="applied"} 3
switchyard_config_reloads_total{result="refused"} 1
switchyard_config_reloads_total{result="rolled_back"} 1
switchyard_config_reloads_total{result="unchanged"} 0
# HELP switchyard_config_revision The revision in force: it grows by one with each change of routes, pools or listeners
# TYPE switchyard_config_revision gauge
switchyard_config_revision 12
# HELP switchyard_connection_limit Connections the process takes at once, from the configuration or derived from its descriptors and memory
# TYPE switchyard_connection_limit gauge
switchyard_connection_limit 9900
# HELP switchyard_connections_accepted_total Connections accepted, those refused by a limit included
# TYPE switchyard_connections_accepted_total counter
switchyard_connections_accepted_total{listener="public"} 1000
# HELP switchyard_connections_active Connections that are open now
# TYPE switchyard_connections_active gauge
switchyard_connections_active{listener="public"} 40
# HELP switchyard_log_lines_dropped_total Log lines lost: they came faster than the log is taken, or could not be written
# TYPE switchyard_log_lines_dropped_total counter
switchyard_log_lines_dropped_total 12
# HELP switchyard_panics_total Defects in Switchyard that ended one connection each
# TYPE switchyard_panics_total counter
switchyard_panics_total 1
# HELP switchyard_pool_panic 1 while less than panic_below of the backends are healthy and all are used that are not drained, 0 otherwise
# TYPE switchyard_pool_panic gauge
switchyard_pool_panic{pool="web"} 1
# HELP switchyard_queue_connections Connections that wait for a slot, since the pool or all its backends are at max_connections
# TYPE switchyard_queue_connections gauge
switchyard_queue_connections{pool="web"} 5
# HELP switchyard_queue_wait_duration_seconds How long connections have waited for a slot that they got
# TYPE switchyard_queue_wait_duration_seconds histogram
switchyard_queue_wait_duration_seconds_bucket{pool="web",le="0.001"} 0
switchyard_queue_wait_duration_seconds_bucket{pool="web",le="0.01"} 5
switchyard_queue_wait_duration_seconds_bucket{pool="web",le="+Inf"} 6
switchyard_queue_wait_duration_seconds_sum{pool="web"} 0.05
switchyard_queue_wait_duration_seconds_count{pool="web"} 6
# HELP switchyard_ready 1 if /readyz answers 200, 0 while draining
# TYPE switchyard_ready gauge
switchyard_ready 1
# HELP switchyard_start_time_seconds When the balancer started, in seconds since the epoch
# TYPE switchyard_start_time_seconds gauge
switchyard_start_time_seconds 1.7935344005e+09
`
	var names []string // all but the causes, which have a test, and the build, whose Go version changes
	for i, m := range metricTable {
		if i != metricClosed && i != metricBuild {
			names = append(names, prefix+m.name)
		}
	}
	if err := testutil.GatherAndCompare(registry(t, busy()), strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

func TestEveryCauseHasASeriesFromTheStart(t *testing.T) {
	src := &fakeSource{stats: balancer.Stats{Listeners: []balancer.ListenerStats{{Name: "a"}, {Name: "b"}}}}
	src.stats.Listeners[1].Closed[balancer.CauseOK] = 5
	got := make(map[string]float64)
	for _, f := range gather(t, src) {
		if f.GetName() != prefix+"connections_closed_total" {
			continue
		}
		for _, m := range f.Metric {
			got[m.Label[1].GetValue()+" "+m.Label[0].GetValue()] = m.Counter.GetValue()
		}
	}
	want := make(map[string]float64)
	for c := balancer.CauseNone + 1; c < balancer.NumCauses; c++ {
		want["a "+c.String()], want["b "+c.String()] = 0, 0
	}
	want["b ok"] = 5
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("connections_closed_total (-want +got):\n%s", diff)
	}
}

// The metrics' side of R19: series are counted by the configuration. What moves is values.
func TestSeriesDependOnTheConfigurationAlone(t *testing.T) {
	count := func(src Source) (n int) {
		for _, f := range gather(t, src) {
			n += len(f.Metric)
		}
		return n
	}
	quiet, loud := busy(), busy()
	quiet.stats.Listeners[0].Closed = [balancer.NumCauses]uint64{}
	for c := range loud.stats.Listeners[0].Closed {
		loud.stats.Listeners[0].Closed[c] = 1e6
	}
	if a, b := count(quiet), count(loud); a != b {
		t.Errorf("%d series without connections, %d after many", a, b)
	}
	const versions, states, occurred = 5, 6, 4 // occurred: two groups, an alert and a certificate
	const terminated = 3 + 5                   // two kinds of handshakes, a certificate, a list and a refused file occurred
	const orders = 6                           // of one route
	perListener, perPool, perBackend, perProcess := 3+int(balancer.NumCauses)-1, 7+versions, 8+states, 16+terminated+orders
	if got, want := count(loud), perListener+perPool+2*perBackend+occurred+perProcess; got != want {
		t.Errorf("%d series, want %d", got, want)
	}
	loud.stats.Pools = nil
	if got, want := count(loud), perListener+perProcess; got != want {
		t.Errorf("%d series after the pool was removed, want %d", got, want)
	}
}

func TestOneScrapeCopiesTheCountersOnce(t *testing.T) {
	src := busy()
	gather(t, src)
	if n := src.copies.Load(); n != 1 {
		t.Errorf("Stats was called %d times, want 1", n)
	}
}

func TestScrapeSurvivesOddStats(t *testing.T) {
	same := balancer.BackendStats{Address: "10.0.0.1:443", Active: 1, Total: 2, Failures: 3, BytesIn: 4, BytesOut: 5}
	up := same
	up.Up = true
	cases := []struct {
		name  string
		stats balancer.Stats
		want  string // a line of the answer
	}{
		{"nothing", balancer.Stats{}, "switchyard_connection_limit 0"},
		{"an address twice is added up", balancer.Stats{Pools: []balancer.PoolStats{{Name: "p", Backends: []balancer.BackendStats{same, up}}}},
			`switchyard_backend_failures_total{backend="10.0.0.1:443",pool="p"} 6`},
		{"an address twice is up if it is once", balancer.Stats{Pools: []balancer.PoolStats{{Name: "p", Backends: []balancer.BackendStats{same, up}}}},
			`switchyard_backend_up{backend="10.0.0.1:443",pool="p"} 1`},
		{"quotes and line ends in a name", balancer.Stats{Listeners: []balancer.ListenerStats{{Name: "a\"b\nc\\"}}},
			`switchyard_connections_active{listener="a\"b\nc\\"} 0`},
		{"a name that is not UTF-8", balancer.Stats{Listeners: []balancer.ListenerStats{{Name: "\xff"}}},
			"switchyard_connections_active{listener=\"\uFFFD\"} 0"},
		{"a histogram of bounds without counts", balancer.Stats{Pools: []balancer.PoolStats{{Name: "p", Dial: balancer.Histogram{Bounds: []float64{1}}}}},
			`switchyard_backend_dial_duration_seconds_count{pool="p"} 0`},
		{"a histogram of counts without bounds", balancer.Stats{Pools: []balancer.PoolStats{{Name: "p", Dial: balancer.Histogram{Counts: []uint64{7}}}}},
			`switchyard_backend_dial_duration_seconds_bucket{pool="p",le="+Inf"} 7`},
		{"one listener twice costs that listener, and nothing else", balancer.Stats{Limit: 3, Listeners: []balancer.ListenerStats{{Name: "a"}, {Name: "a"}}},
			"switchyard_connection_limit 3"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, &fakeSource{stats: c.stats})
			res, body := ask(s.tcp, "GET", "/metrics")
			if res.StatusCode != 200 || !strings.Contains(body, c.want+"\n") {
				t.Errorf("/metrics answers %d without the line %s:\n%s", res.StatusCode, c.want, body)
			}
			for _, path := range []string{"/", "/v1/status"} {
				if res, body := ask(s.unix, "GET", path); res.StatusCode != 200 {
					t.Errorf("%s answers %d %s", path, res.StatusCode, body)
				}
			}
		})
	}
}

func TestMetricsOfRuntimeAndProcessAreThere(t *testing.T) {
	_, body := ask(newServer(t, busy()).tcp, "GET", "/metrics")
	for _, name := range []string{"go_goroutines", "go_memstats_heap_alloc_bytes", "process_cpu_seconds_total"} {
		if !strings.Contains(body, "\n"+name+" ") {
			t.Errorf("no %s", name)
		}
	}
	if want := `switchyard_build_info{goversion="go1.`; !strings.Contains(body, want) {
		t.Errorf("no %s…", want)
	}
}

// The golden file is what a scrape offers: renaming a metric breaks dashboards, and shows up there.
func TestMetricsAreThoseOfTheGoldenFile(t *testing.T) {
	var b strings.Builder
	for _, f := range gather(t, busy()) {
		var labels []string
		for _, l := range f.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		fmt.Fprintf(&b, "%s{%s} %s\n\t%s\n", f.GetName(), strings.Join(labels, ","), strings.ToLower(f.GetType().String()), f.GetHelp())
	}
	golden(t, "testdata/metrics.golden", b.String())
}

// TestManualIsWhatTheCodeSays keeps docs/metrics.md what metricTable says, and its example what /v1/status answers.
func TestManualIsWhatTheCodeSays(t *testing.T) {
	const path = "../docs/metrics.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := between(t, string(text), "<!-- status: made from admin/status.go -->\n", "<!-- end of status -->\n", statusExample())
	got = between(t, got, "<!-- metrics: made from admin/metrics.go -->\n", "<!-- end of metrics -->\n", manual())
	golden(t, path, got)
}

// The alerts in the manual ask for metrics and causes that exist.
func TestManualNamesWhatExists(t *testing.T) {
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	for _, m := range metricTable {
		known[prefix+m.name] = true
	}
	for c := balancer.CauseNone + 1; c < balancer.NumCauses; c++ {
		known[c.String()] = true
	}
	words := regexp.MustCompile(prefix+`[a-z_]+`).FindAllString(string(text), -1)
	for _, m := range regexp.MustCompile(`cause=~"([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
		words = append(words, strings.Split(m[1], "|")...)
	}
	for _, w := range words {
		if !known[w] {
			t.Errorf("docs/metrics.md speaks of %s, which is no metric and no cause", w)
		}
	}
}

// between puts what between two marks of text.
func between(t *testing.T, text, begin, end, what string) string {
	t.Helper()
	before, rest, ok := strings.Cut(text, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("the text has no %q … %q", begin, end)
	}
	return before + begin + what + end + after
}

func statusExample() string {
	var b strings.Builder
	var src Source = busy()
	st := &state{version: "v1.2.3"}
	st.source.Store(&src)
	st.verbs.Store(&api{control: changed()})
	s := st.status()
	s.UptimeSeconds = 86400
	text, err := marshal(s)
	if err != nil {
		return err.Error()
	}
	b.Write(text)
	return "\n```json\n" + b.String() + "```\n\n"
}

// manual is the part of docs/metrics.md between the marks.
func manual() string {
	var b strings.Builder
	for _, m := range metricTable {
		fmt.Fprintf(&b, "\n### %s%s\n\n", prefix, m.name)
		fmt.Fprintf(&b, "%s", m.kind)
		if len(m.labels) > 0 {
			fmt.Fprintf(&b, ", by `%s`", strings.Join(m.labels, "`, `"))
		}
		fmt.Fprintf(&b, "\n\n%s.\n\n*When it moves:* %s\n", m.help, m.action)
	}
	return b.String() + "\n"
}

// golden compares with a file, or writes it under -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not up to date (-file +now); go test ./admin -update writes it again:\n%s", path, diff)
	}
}

func TestMetricTableIsComplete(t *testing.T) {
	names := make(map[string]bool)
	for i, m := range metricTable {
		if m.name == "" || m.kind == "" || m.help == "" || m.action == "" || names[m.name] {
			t.Errorf("metric %d: %+v is incomplete or there twice", i, m)
		}
		names[m.name] = true
	}
}

func BenchmarkScrape(b *testing.B) {
	src := busy()
	for i := range 1000 {
		src.stats.Pools = append(src.stats.Pools, balancer.PoolStats{
			Name: fmt.Sprintf("pool-%d", i), Dial: src.stats.Pools[0].Dial, Backends: src.stats.Pools[0].Backends,
		})
	}
	s := New(Options{Source: src})
	for b.Loop() {
		ask(s.tcp, "GET", "/metrics")
	}
}
