// Package admin shows what a running balancer does, over HTTP, and is the way to change it: on a unix socket, and for
// those alone who might as well change the file.
//
//	                     ┌───────────────────────────────────────────┐
//	admin.listen (TCP) ──┤ /  /metrics  /healthz  /readyz            │
//	                     │                                           ├──▶ Source, Balancer   (balancer.Server)
//	admin.socket (unix) ─┤ the same, and /v1/…: a table of verbs,    │
//	 0600, uid checked   │ each parsed strictly, asked, and encoded  ├──▶ Control            (control.Manager)
//	                     └───────────────────────────────────────────┘
//	Client ──▶ admin.socket, for commands
//
// Verbs that read and verbs that write are told apart in the table; those that write leave a line in the log. What a
// change means and whether it is sound is the business of package control.
//
// Every page is made from one copy of the counters. A label of a metric is a name from the configuration or a word of
// an enum and never anything that a client sent, so the number of series is known when the configuration is.
//
// A client of this package can hold little: headers and bodies are bounded, every read and write has a deadline, answers
// are made before they are written, and so many connections are open at once and no more. Nothing here is on the way
// of the balanced traffic.
//
// docs/metrics.md lists the metrics, what to do when one moves, and the shape of /v1/status; docs/admin-api.md the verbs.
package admin
