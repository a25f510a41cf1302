// Package relay carries bytes from one socket to another inside an event loop.
//
//	            ┌──────────────────────────── Flow ────────────────────────────┐
//	source ───> │ read ──> loop's buffer ──> send                              │ ───> sink
//	            │            └─ what the sink did not take: a borrowed buffer  │
//	            │ splice ──> borrowed pipe ──> splice     (once bulk has shown)│
//	            └──────────────────────────────────────────────────────────────┘
//
// A Flow is one direction. It holds no memory while it has nothing to say: the read buffer belongs to the loop
// (Bench), a buffer is borrowed only for a rest that the sink did not take, and a pipe only while bulk moves. End
// of file on the source becomes FIN on the sink and nothing more; the other direction is another Flow.
//
// A Bench and the Flows that use it belong to one event loop.
package relay
