package sys

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// PeerUID is the effective user who connected, or made the pair, at the other end of a unix socket, as it was at
// that moment (SO_PEERCRED, unix(7)).
func PeerUID(fd int) (uid uint32, errno syscall.Errno) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		errno, _ = err.(syscall.Errno) // x/sys returns nothing else
		return 0, errno
	}
	return cred.Uid, 0
}
