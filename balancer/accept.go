package balancer

import (
	"net/netip"
	"slices"
	"syscall"

	"github.com/seed-23b4a313/switchyard/balancer/loop"
	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// socket is one listening socket of one worker: the workers share an address by SO_REUSEPORT. It belongs to the
// worker's loop from attach on.
type socket struct {
	fd       int // -1: closed
	token    uint64
	listener *listener
	burst    int        // connections taken per turn
	retry    loop.Timer // set while accepting is paused for want of descriptors
	spare    spare      // to refuse a connection with when there are no descriptors
}

// maxBurst bounds the connections that one turn takes, so that those which are being served are not starved.
const maxBurst = 64

// acceptPause is how long a socket rests when it can neither take nor refuse a connection.
const acceptPause = 50e6

// accept takes connections from the queue. The burst follows what is there: it doubles while the queue outlasts
// it and halves when it was too much, so that a quiet listener does not pay for a call that only says "none".
func (w *worker) accept(sock *socket) {
	if sock == nil || sock.fd < 0 { // closed earlier in this batch
		return
	}
	for i := range sock.burst {
		fd, peer, e := sys.Accept(sock.fd)
		switch {
		case e == 0:
			w.admit(sock, fd, peer)
		case e == syscall.EAGAIN:
			if i < sock.burst/2 {
				sock.burst /= 2
			}
			return
		case sys.Exhausted(e):
			switch w.shed(sock, e) {
			case 0:
			case syscall.EAGAIN: // the kernel takes the number before it looks at the queue: that was empty
				return
			default:
				w.pause(sock)
				return
			}
		case !isConnectionError(e):
			w.pause(sock)
			return
		}
	}
	sock.burst = min(2*sock.burst, maxBurst)
	w.loop.Look() // level-triggered: the next look says whether there are more
}

// isConnectionError reports whether e was waiting on the new connection (accept(2)): the next one may be fine.
func isConnectionError(e syscall.Errno) bool {
	switch e {
	case syscall.ENETDOWN, syscall.EPROTO, syscall.ENOPROTOOPT, syscall.EHOSTDOWN, syscall.EHOSTUNREACH,
		syscall.EOPNOTSUPP, syscall.ENETUNREACH, syscall.EPERM, syscall.ETIMEDOUT:
		return true
	}
	return false
}

// admit checks the limits and starts a session.
func (w *worker) admit(sock *socket, fd int, peer netip.AddrPort) {
	l := sock.listener
	cfg := l.cfg.Load()
	l.counters[w.index].accepted.Add(1)
	total, active := w.server.active.Add(1), l.active.Add(1)
	if total > w.server.limit.Load() || cfg.MaxConnections > 0 && active > int64(cfg.MaxConnections) {
		w.turnAway(sock, fd, peer, CauseConnLimit)
		return
	}
	s := w.open(l, fd)
	if s == nil {
		w.turnAway(sock, fd, peer, CauseConnLimit)
		return
	}
	w.current = s
	s.client = peer
	s.setup = w.borrowSetup()
	s.setup.parser.MaxSize = cfg.HelloMaxSize
	s.setup.header = cfg.expectsHeader(peer.Addr())
	w.deadline(s, int64(cfg.HelloTimeout))
	if e := w.loop.Watch(fd, s.clientToken()); e != 0 {
		s.lastErrno = e
		w.finish(s, CauseFDLimit, resetBoth)
	} else {
		s.up.Readable = true
		w.readHello(s)
	}
	w.current = nil
}

// turnAway resets a connection that admit counted and that is over a limit.
func (w *worker) turnAway(sock *socket, fd int, peer netip.AddrPort, cause Cause) {
	sys.Reset(fd)
	sock.listener.active.Add(-1)
	w.server.active.Add(-1)
	sock.listener.counters[w.index].closed[cause].Add(1)
	if w.server.logConnections.Load() {
		w.records.put(connRecord{at: w.loop.Now(), client: peer, listener: sock.listener.name(), cause: cause})
	}
}

// isPowerOfTen keeps a message that could come a million times down to seven lines.
func isPowerOfTen(n uint64) bool {
	for n >= 10 && n%10 == 0 {
		n /= 10
	}
	return n == 1
}

// pause takes the socket out of the loop for a moment: being level-triggered it would call again at once.
func (w *worker) pause(sock *socket) {
	w.loop.Unwatch(sock.fd)
	sock.retry.Token = sock.token
	w.loop.Set(&sock.retry, acceptPause)
}

// resume ends a pause.
func (w *worker) resume(sock *socket) {
	if sock == nil || sock.fd < 0 {
		return
	}
	// Without a spare it could refuse nobody, and as long as that is missing nobody gets a backend: it has to come first.
	if !sock.spare.take() || w.loop.WatchListener(sock.fd, sock.token) != 0 {
		w.loop.Set(&sock.retry, acceptPause)
	}
}

// stopAccepting serves what the accept queues hold already, and closes the listening sockets.
func (w *worker) stopAccepting() {
	defer func() {
		w.closeSockets()
		w.stopping = true
		w.noteIdle()
	}()
	for _, sock := range w.sockets {
		if sock != nil && sock.fd >= 0 {
			w.serveQueue(sock)
		}
	}
}

// serveQueue takes what waits in the queue of sock, and not more than fits into it: new ones keep coming.
func (w *worker) serveQueue(sock *socket) {
	for range backlog {
		fd, peer, e := sys.Accept(sock.fd)
		switch {
		case e == 0:
			w.admit(sock, fd, peer)
		case !isConnectionError(e):
			return
		}
	}
}

// attach makes the loop take the connections of sock for l. It listens already.
func (w *worker) attach(sock *socket, l *listener) {
	if w.stopping {
		sock.close()
		return
	}
	sock.listener = l
	sock.token = uint64(len(w.sockets))<<slotShift | kindSocket
	if i := slices.Index(w.sockets, nil); i >= 0 {
		sock.token = uint64(i)<<slotShift | kindSocket
		w.sockets[i] = sock
	} else {
		w.sockets = append(w.sockets, sock)
	}
	if e := w.loop.WatchListener(sock.fd, sock.token); e != 0 {
		w.pause(sock) // tries again
	}
}

// detach serves what waits in the queue of sock, and closes it.
func (w *worker) detach(sock *socket) {
	if sock.fd < 0 {
		return
	}
	defer func() {
		w.loop.Stop(&sock.retry)
		sock.close()
		w.sockets[sock.token>>slotShift] = nil
	}()
	w.serveQueue(sock)
}

// closeSockets closes the listening sockets.
func (w *worker) closeSockets() {
	for _, sock := range w.sockets {
		if sock != nil {
			w.loop.Stop(&sock.retry)
			sock.close()
		}
	}
}

// close closes the socket and its spare; a second call does nothing.
func (sock *socket) close() {
	if sock.fd >= 0 {
		sys.Close(sock.fd)
		sock.fd = -1
	}
	sock.spare.close()
}

// noteIdle tells Shutdown that the last session of a stopping worker has ended.
func (w *worker) noteIdle() {
	if w.stopping && w.live == 0 {
		w.once.Do(func() { close(w.idle) })
	}
}
