// Package admin shows what a running balancer does, over HTTP, and changes nothing.
//
//	                     ┌──────────────────────────────────────────┐
//	admin.listen (TCP) ──┤ /  /metrics  /healthz  /readyz           │
//	                     │                                          ├──▶ Source.Stats, Source.Ready
//	admin.socket (unix) ─┤ the same, and /v1/status                 │      (balancer.Server)
//	 0600, uid checked   └──────────────────────────────────────────┘
//
// Every answer is made from one copy of the counters. A label of a metric is a name from the configuration or a word of
// balancer.Cause and never anything that a client sent, so the number of series is known when the configuration is.
//
// A client of this package can hold little: headers are bounded, every read and write has a deadline, and so many
// connections are open at once and no more. Nothing here is on the way of the balanced traffic.
//
// docs/metrics.md lists the metrics, what to do when one moves, and the shape of /v1/status.
package admin
