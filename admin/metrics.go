package admin

import "github.com/prometheus/client_golang/prometheus"

// prefix begins the name of every metric that is ours.
const prefix = "switchyard_"

// kind is how a metric may move.
type kind string

const (
	counter   kind = "counter"
	gauge     kind = "gauge"
	histogram kind = "histogram"
)

// metric is one family: its name after the prefix, what it says and what an operator does about it. docs/metrics.md is
// made from these.
type metric struct {
	name   string
	kind   kind
	labels []string // each a name from the configuration, a word of an enum, or of this build
	help   string   // no stop at the end, as the Prometheus linter has it
	action string
}

// The metrics, in the order of metricTable.
const (
	metricAccepted = iota
	metricClosed
	metricActive
	metricHello
	metricDial
	metricAnswer
	metricHandshakes
	metricGroups
	metricPostQuantum
	metricRetries
	metricAlerts
	metricPanicMode
	metricWaiting
	metricWaited
	metricBackendUp
	metricBackendState
	metricBackendOverridden
	metricBackendActive
	metricBackendTotal
	metricBackendFailures
	metricBackendBytes
	metricBackendEjections
	metricBackendCertificate
	metricOverlaps
	metricTerminated
	metricTermination
	metricTerminationFailed
	metricTerminationWaiting
	metricCertificate
	metricList
	metricRefused
	metricOrders
	metricOrdersMissing
	metricOrdersSuccess
	metricOrdersFailure
	metricLimit
	metricReady
	metricLogDropped
	metricPanics
	metricBuild
	metricStart
	metricConfigLoaded
	metricConfigSuccessful
	metricConfigReloads
	metricConfigRevision
	metricConfigOverlay
	metricConfigRollbacks
	numMetrics
)

// metricTable is never changed.
var metricTable = [numMetrics]metric{
	metricAccepted: {"connections_accepted_total", counter, []string{"listener"},
		"Connections accepted, those refused by a limit included",
		"A step down to zero means that nobody reaches the listener: look at what is in front of it."},
	metricClosed: {"connections_closed_total", counter, []string{"listener", "cause"},
		"Connections that have ended, by the one cause they ended with; all causes are there from the start",
		"[causes.md](causes.md) says for each cause what it means and what to do. Every accepted connection is counted here once."},
	metricActive: {"connections_active", gauge, []string{"listener"},
		"Connections that are open now",
		"Compare with the listener's max_connections and with connection_limit."},
	metricHello: {"client_hello_duration_seconds", histogram, []string{"listener"},
		"Time from accept to a complete ClientHello, a PROXY header included",
		"A tail near hello_timeout means slow or silent clients; if all of them are slow, the network or this machine is."},
	metricDial: {"backend_dial_duration_seconds", histogram, []string{"pool"},
		"Time from the start of a connection to a backend to its being established",
		"Should be the network's round trip. Steps at 1 s and 3 s are lost SYNs: a full accept queue or a firewall."},
	metricAnswer: {"backend_answer_duration_seconds", histogram, []string{"pool"},
		"Time from the hello sent to the first byte of the backend's answer",
		"The backend's own time for a handshake, and one round trip. A rise is a backend short of CPU; see backend_state for one that is silent."},
	metricHandshakes: {"backend_handshakes_total", counter, []string{"pool", "version"},
		"ServerHellos by the version of TLS that the backend has chosen; unknown is an answer in pieces, or no TLS",
		"Shows whether a version can be turned off, without a look at any backend."},
	metricGroups: {"backend_handshake_groups_total", counter, []string{"pool", "group"},
		"ServerHellos of TLS 1.3 by the group of the key exchange, those that have occurred",
		"Shows what clients and backends agree upon."},
	metricPostQuantum: {"backend_handshakes_post_quantum_total", counter, []string{"pool"},
		"Of these, those with a group that withstands a quantum computer",
		"Its share of the sum of backend_handshake_groups_total is how far the change has come."},
	metricRetries: {"backend_hello_retries_total", counter, []string{"pool"},
		"HelloRetryRequests: the backend wants another group than the client has guessed, at the price of a round trip",
		"Many: enable on the backends the group that clients send a key share for, X25519MLKEM768 or x25519 as a rule."},
	metricAlerts: {"backend_alerts_total", counter, []string{"pool", "alert"},
		"Alerts in place of a ServerHello, by their description, those that have occurred",
		"unrecognized_name: the route sends a name to a pool that does not have it. protocol_version, handshake_failure: old or odd clients."},
	metricPanicMode: {"pool_panic", gauge, []string{"pool"},
		"1 while less than panic_below of the backends are healthy and all are used that are not drained, 0 otherwise",
		"1 is an outage, or checks that are wrong: look at backend_state and the reasons in `switchyard pools`."},
	metricWaiting: {"queue_connections", gauge, []string{"pool"},
		"Connections that wait for a slot, since the pool or all its backends are at max_connections",
		"Above 0 for long: add backends or raise max_connections."},
	metricWaited: {"queue_wait_duration_seconds", histogram, []string{"pool"},
		"How long connections have waited for a slot that they got",
		"Those that got none are in connections_closed_total, with the causes queue_timeout and queue_full."},
	metricBackendUp: {"backend_up", gauge, []string{"pool", "backend"},
		"1 if the backend takes connections, 0 if it is down",
		"Alert when a pool's sum falls below what its load needs; look at the backend, and at backend_overridden."},
	metricBackendState: {"backend_state", gauge, []string{"pool", "backend", "state"},
		"1 for the state that the backend is in, 0 for the others: up, down, ejected, drain, maint, or unknown, which is used",
		"down has failed its checks, ejected has failed connections, drain and maint are an operator's; `switchyard pools` has since when and why."},
	metricBackendOverridden: {"backend_overridden", gauge, []string{"pool", "backend"},
		"1 if an operator has taken the backend out at run time (drain or maint), 0 if not",
		"1 for longer than the work on it takes: somebody has forgotten `switchyard ready`."},
	metricBackendActive: {"backend_connections_active", gauge, []string{"pool", "backend"},
		"Connections to the backend that are open now",
		"Uneven values are expected with weights and maglev; otherwise a backend answers more slowly than its neighbours."},
	metricBackendTotal: {"backend_connections_total", counter, []string{"pool", "backend"},
		"Connections the backend has answered; an attempt that failed is not one",
		"Shows how the load is spread; compare with weights."},
	metricBackendFailures: {"backend_failures_total", counter, []string{"pool", "backend"},
		"Attempts that failed before the backend sent a first byte; another backend may have served the client",
		"Any steady rate deserves a look at that backend, even while clients notice nothing."},
	metricBackendBytes: {"backend_bytes_total", counter, []string{"pool", "backend", "direction"},
		"Bytes relayed: in is from the client to the backend, out from the backend to the client",
		"Traffic, for capacity planning."},
	metricBackendEjections: {"backend_ejections_total", counter, []string{"pool", "backend"},
		"How often the backend was left out because connections to it had failed in a row",
		"The same backend again and again: look at its log at these times."},
	metricBackendCertificate: {"backend_certificate_not_after_timestamp_seconds", gauge, []string{"pool", "backend"},
		"When the certificate ends that the last check by TLS was shown, in seconds since the epoch; absent where there is none",
		"Alert on less than two weeks from now; the log warns, too."},
	metricOverlaps: {"certificate_overlaps", gauge, nil,
		"Hosts for which the certificate of another pool on the same listener is good, too, as far as checks by TLS have seen certificates",
		"Browsers with HTTP/2 may send requests for such a host to the other pool, past the routes; `switchyard status` lists them. Give each pool its own certificate, or both names one pool."},
	metricTerminated: {"terminated_connections_active", gauge, nil,
		"Connections whose TLS ends here that are open now",
		"Each takes some tens of KiB, where one that passes through takes half of one."},
	metricTermination: {"terminated_handshakes_total", counter, []string{"version", "group", "resumed"},
		"Handshakes completed with clients whose TLS ends here, by version, key exchange group, and whether a session was resumed",
		"Shows what clients can do before min_version or curves are tightened; few resumed ones cost CPU time."},
	metricTerminationFailed: {"terminated_handshakes_failed_total", counter, nil,
		"Handshakes with clients whose TLS ends here that came to nothing",
		"connections_closed_total says why, by cause. A step up after a change of certificates means that clients do not trust them."},
	metricTerminationWaiting: {"terminated_handshakes_waiting", gauge, nil,
		"Handshakes that wait for their turn to be computed",
		"Steadily above 0: the machine is too small for the handshakes, or is flooded."},
	metricCertificate: {"certificate_expiry_timestamp_seconds", gauge, []string{"file"},
		"When the certificate in a file expires, in seconds since the epoch; of a directory, the first of those in use",
		"Alert two weeks before: somebody, or ACME, has not renewed it."},
	metricList: {"crl_next_update_timestamp_seconds", gauge, []string{"file"},
		"When the first authority is left without a good list in a file of client_auth.crl, in seconds since the epoch; absent where lists have no end",
		"Alert before it is now: from then on every client of that authority is refused with client_cert_refused. An authority below those in ca counts from its first client on."},
	metricRefused: {"file_refused", gauge, []string{"file"},
		"1 for a file of certificates, authorities, lists or ticket keys that has changed and is not taken: what it held before stays; absent otherwise. Of a directory, as far as somebody has asked for its files",
		"Alert: `switchyard status` says what is wrong with it, and it is taken by itself once it is sound. Until then renewed certificates do not arrive."},
	metricOrders: {"acme_orders_total", counter, []string{"route", "result"},
		"Certificates ordered for the hosts of a route, by what came of it: obtained, renewed or failed, which is tried again",
		"A rate of failed: the lines with acme in the log say what the authority wants; clients notice once a certificate ends, or at once where there is none yet."},
	metricOrdersMissing: {"acme_certificates_missing", gauge, []string{"route"},
		"Hosts of a route whose certificate is ordered and has not been obtained yet",
		"Above 0 for longer than an order takes: [GET /v1/explain](admin-api.md#get-v1explain) and the lines with no_certificate say since when it is tried, and what the authority said."},
	metricOrdersSuccess: {"acme_last_success_timestamp_seconds", gauge, []string{"route"},
		"When a certificate was last obtained or renewed for a host of a route, in seconds since the epoch; 0 if none was since acme was last changed",
		"Compare with the last failure."},
	metricOrdersFailure: {"acme_last_failure_timestamp_seconds", gauge, []string{"route"},
		"When an order for a host of a route last came to nothing, in seconds since the epoch; 0 if none did since acme was last changed",
		"Later than the last success for a day: alert, there are weeks left until certificates end."},
	metricLimit: {"connection_limit", gauge, nil,
		"Connections the process takes at once, from the configuration or derived from its descriptors and memory",
		"Alert when the sum of connections_active comes near it; raise LimitNOFILE or add a machine."},
	metricReady: {"ready", gauge, nil,
		"1 if /readyz answers 200, 0 while draining",
		"0 without a planned stop: look at the log for the signal."},
	metricLogDropped: {"log_lines_dropped_total", counter, nil,
		"Log lines lost: they came faster than the log is taken, or could not be written",
		"Is the disk full, or the reader of the log dead or slow? The counters of connections_closed_total are still exact; the log is a sample of them."},
	metricPanics: {"panics_total", counter, nil,
		"Defects in Switchyard that ended one connection each",
		"Must stay 0. The log has the stack at level error: please report it."},
	metricBuild: {"build_info", gauge, []string{"version", "goversion"},
		"Always 1; the labels are the version of this build and of Go",
		"Shows which machines run what."},
	metricStart: {"start_time_seconds", gauge, nil,
		"When the balancer started, in seconds since the epoch",
		"A change that nobody made is a crash and a restart."},
	metricConfigLoaded: {"config_last_reload_success_timestamp_seconds", gauge, nil,
		"When the configuration in force came into force, in seconds since the epoch",
		"Older than the file: the file is not in force."},
	metricConfigSuccessful: {"config_last_reload_successful", gauge, nil,
		"1 if the last attempt to load the file went well, 0 if the file was refused and what was in force before still is",
		"0: `switchyard status` has the reason, `switchyard check` all mistakes. A restart would fail on this file."},
	metricConfigReloads: {"config_reloads_total", counter, []string{"result"},
		"Attempts to load the file since the start, by result: applied, unchanged, refused or rolled_back",
		"A steady rate of applied means that something writes the file again and again."},
	metricConfigRevision: {"config_revision", gauge, nil,
		"The revision in force: it grows by one with each change of routes, pools or listeners",
		"Machines with the same files and another number of changes differ here; compare digests in /v1/status."},
	metricConfigOverlay: {"config_overlay_entries", gauge, nil,
		"Changes made at run time that lie on top of the file",
		"Above 0 for long: put the change into the file, or take it back with `switchyard reload --drop-overlay`."},
	metricConfigRollbacks: {"config_guard_rollbacks_total", counter, nil,
		"Guarded changes that were taken back because more connections failed after them",
		"The last change was bad: the log and `switchyard status` say which rate rose."},
}

// describe makes the descriptors of all metrics.
func describe() (descs [numMetrics]*prometheus.Desc) {
	for i, m := range metricTable {
		descs[i] = prometheus.NewDesc(prefix+m.name, m.help, m.labels, nil)
	}
	return descs
}

// valueType is the kind in the library's words, for all but histograms.
func (k kind) valueType() prometheus.ValueType {
	if k == counter {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}
