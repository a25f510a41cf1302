// Package poll is the event loop that both ends of a measurement run on: non-blocking sockets, one edge-triggered
// epoll instance and one thread, so that what loads a balancer costs little beside the balancer.
//
//	           ┌───────────────── Loop.Run ─────────────────┐
//	Handler ◀──┤ turn(): start what is due, say how long to │
//	 .Ready    │         sleep                              │
//	           │ epoll_wait: sockets, timer, wake-up        │
//	           └────────────────────────────────────────────┘
//
// It knows neither TLS nor what is measured. A Loop and everything registered with it belong to the goroutine that
// calls Run; only [Loop.Wake] may be called from elsewhere. Linux only: other systems get errors.ErrUnsupported.
package poll

import (
	"errors"
	"time"
)

// ErrAgain says that the socket has nothing to give or no room to take; [Handler.Ready] is called when it has.
var ErrAgain = errors.New("poll: would block")

// Forever is the wait of a turn that has nothing scheduled.
const Forever = time.Duration(-1)

// Handler is told when something changed on its socket.
type Handler interface {
	// Ready is called once per edge: the handler reads or writes until it is told ErrAgain. ended is true when the
	// peer has closed or reset, so that a short read is then not the last word.
	Ready(ended bool)
}
