package sys

import "time"

// FirstLook and NextLook are when it is looked whether a peer has acknowledged everything (see [Unacknowledged]), for the first time
// and then again and again: that is no event, and mostly comes within the 40 ms for which an acknowledgement may be delayed.
const (
	FirstLook = 50 * time.Millisecond
	NextLook  = time.Second
)
