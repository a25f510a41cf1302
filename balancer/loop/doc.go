// Package loop is an event loop that lives inside Go's scheduler.
//
//	             ┌──────────────────────── Loop.Run, one goroutine ────────────────────────┐
//	sockets ───> epoll ──┬─ nothing ready: park in Go's netpoller until the epoll fd is readable
//	timerfd ───────^     ├─ Handler.Event(token, bits)     for each ready descriptor
//	eventfd ───────^     ├─ Handler.Timer(*Timer)          for each timer that is due
//	  Post ────────┘     └─ Handler.Again(token)           for each token put off by Later
//	             └──────────────────────────────────────────────────────────────────────────┘
//
// The epoll descriptor is itself known to the netpoller, so that an idle loop is a parked goroutine and not a
// thread blocked in epoll_wait that the scheduler must take its P from: at 800 connections a second this is worth
// a third of the CPU time (docs/adr/0001-event-loops.md).
//
// Everything that a Loop holds is owned by its goroutine. Post is the one way in from elsewhere.
package loop
