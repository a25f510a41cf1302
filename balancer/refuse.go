package balancer

import (
	"syscall"

	"github.com/seed-23b4a313/switchyard/balancer/sys"
	"github.com/seed-23b4a313/switchyard/peek"
	"github.com/seed-23b4a313/switchyard/route"
)

const (
	// lingerTime is how long a refused client may take to read why and to close.
	lingerTime = 2e9
	// lingerBytes is how much of what it still sends is read and thrown away.
	lingerBytes = 256 << 10
)

// refuse ends a session in the way that how says. For an alert and for a plain close the socket stays for a
// moment: closing it with unread bytes would make the kernel send RST, and RST overtakes the alert.
func (w *worker) refuse(s *session, cause Cause, how route.Reject, alert uint8) {
	if how == route.RejectReset {
		w.finish(s, cause, resetBoth)
		return
	}
	w.account(s, cause)
	s.stage = stageClosing
	s.closeBackend(true)
	if how == route.RejectAlert {
		var record [alertRecord]byte
		sys.Send(int(s.clientFD), peek.AppendAlert(record[:0], alert), false) // the first bytes to this client: there is room
	}
	if e := sys.CloseWrite(int(s.clientFD)); e != 0 {
		w.close(s)
		return
	}
	w.dropSetup(s)
	s.up.Readable = true
	w.deadline(s, lingerTime)
	w.linger(s)
}

// linger reads and drops what the client sends until it closes, or has had enough time or bytes.
func (w *worker) linger(s *session) {
	for s.up.Readable {
		n, e := sys.Recv(int(s.clientFD), w.bench.Buf)
		s.up.Bytes += uint64(n)
		switch {
		case e == syscall.EAGAIN:
			s.up.Readable = false
		case e != 0 || n == 0 || s.up.Bytes > lingerBytes:
			w.close(s)
			return
		case n < len(w.bench.Buf) && !s.up.Hung():
			s.up.Readable = false
		}
	}
}
