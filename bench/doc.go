// Package bench measures a TLS balancer from outside: how much processor time it spends on a connection, a round trip
// or a gigabyte, how much memory an idle connection holds, how soon it answers after its start; and the same of HAProxy
// and nginx, configured for the same work, in the same run.
//
//	                  ┌───────────┐  hello for host-417…   ┌──────────┐            ┌─────────┐
//	Compare ─ starts ─┤ generator ├───────────────────────▶│ balancer ├───────────▶│ backend │
//	   │              │ (RunLoad) │◀───────────────────────┤ (a peer) │◀───────────┤ (Run-   │
//	   │              └───────────┘  answer: pool, length, └────┬─────┘            │ Backend)│
//	   │                             checksum of the hello      │                  └─────────┘
//	   └── utime + stime of the balancer's whole process tree ──┘
//	       before and after; medians over interleaved rounds
//
// Generator, balancer and backend are processes of their own; [Child] is the generator's and the backend's side of it.
// A comparison therefore says little about how fast the machine could be driven, and much about what a balancer costs:
// on a machine of few cores the three share them, but each process's time is its own.
//
// [RunLoad] and [RunBackend] are useful alone. Every connection that a load starts is in its report, as done or under
// one kind of failure, and the answer proves that the hello came through whole and to the pool of its name. In an open
// loop (LoadConfig.Rate) latency is counted from when a connection or message was due, so that a stall is not hidden by
// the arrivals that it held up. [SelfCheck] shows that the tool sees a delay, a stall and failures that are known.
//
// The raw modes send hellos built by crypto/tls, or recorded ones, and take an answer in a ServerHello's shape, without
// cryptography, on one thread with epoll: there the balancer is what is measured. ModeHandshake and ModeResume complete
// TLS handshakes.
//
// A [LoadReport] and a [Comparison] are written as text, as JSON, for benchstat, and as a page with charts; as JSON they
// are read again, to be written otherwise or to be a baseline.
package bench
