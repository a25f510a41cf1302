package sys

import "syscall"

// Exhausted reports whether a call failed for want of descriptors or memory on this machine, which says nothing of whoever is at
// the other end.
func Exhausted(e syscall.Errno) bool {
	switch e {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
		return true
	}
	return false
}
