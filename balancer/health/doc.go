// Package health checks backends actively: it connects to them, as clients would, and tells what came of it.
//
//	Watch ──> target ──────────────── timer ──> check, in a goroutine of its own ──────────────────> settle ──> told
//	  │       one for each address,     ▲         connect ─ PROXY header? ─┬─ (tcp) ──────────────┐    │ rise, fall
//	  │       source and check,         │                                  ├─ TLS handshake ──────┤    │ log line
//	Watch ──> however many watch        │                                  └─ (TLS?) ─ HTTP ──────┤    │
//	                                    │                                             farewell <──┘    │
//	                                    └──────────── interval, or fast interval, jitter ──────────────┘
//
// Between two checks a target is a struct and a timer: no goroutine, no descriptor and no buffer. At most 512 checks
// are under way at one time; more wait for one of these to end.
//
// # What a backend sees
//
// Every connection ends in order, so that no backend has an error to log. A check by TLS completes the handshake, sends
// close_notify and FIN, and reads until the backend has closed too, for a quarter of a second at most. The certificate
// is verified after the handshake: one that fails is our finding, and the backend gets no alert. A check by HTTP asks
// for the connection to be closed, and reads what is left of the body, up to 64 KiB; a longer one is cut off with RST.
//
// A check by TCP sends FIN and reads until the backend's FIN, again for a quarter of a second at most, so that even a
// backend that speaks first meets no RST, as it would if the socket were closed at once. A TLS server calls this a
// failed handshake ("EOF") all the same; the check by TLS is for those.
//
// Where a pool sends PROXY headers, so do its checks, and say that the connection is our own (version 2: LOCAL, version
// 1: UNKNOWN), as HAProxy's do. A backend that asks for a client certificate gets none.
//
// # What a check costs
//
// BenchmarkCheck and TestThousandBackendsCostLittle measure it. A thousand backends at an interval of 5 s, each at an
// address and with a certificate of its own, on 2 cores of an AMD EPYC with Linux 6.18 and Go 1.26.8, all over loopback,
// where our process pays for a part of the backend's packets too:
//
//	type   of a core      a check         at rest, a backend
//	tcp    1.5 to 1.9 %    72 to  91 µs   1.2 KB
//	http   2.0 to 2.4 %    96 to 115 µs   1.0 KB
//	tls    4.6 to 5.9 %   223 to 288 µs   5.8 KB
//
// For that, checks begin together in small groups (see untilBeat), and TLS sessions are resumed, without ML-KEM. A full
// handshake takes 440 to 500 µs. One is made after every failure and once in two minutes, as only that shows the
// certificate that is in force now, and that the backend still has the key to it. Half of what a resumed one takes is
// arithmetic, most of it X25519. Tried and left: to send the last message of a handshake along with what follows it
// spares 2 %.
package health
