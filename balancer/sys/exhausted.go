package sys

import (
	"errors"
	"syscall"
)

// PeerLost reports whether a call failed since the peer does not answer any more.
func PeerLost(err error) bool {
	return errors.Is(err, syscall.ETIMEDOUT) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

// Exhausted reports whether a call failed for want of descriptors or memory on this machine, which says nothing of whoever is at
// the other end, or of the file that was to be read. Of joined errors, one is enough.
func Exhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}
