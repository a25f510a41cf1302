package terminate

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// relay carries bytes both ways until both have ended, or the connection is to end. What a failure on one side
// means for the other is decided as for connections that pass through.
func (c *Conn) relay(b *pool.Backend) {
	now := c.now()
	c.up.at.Store(now)
	c.down.at.Store(now)
	c.deadline(c.client.sock, time.Time{})
	c.deadline(c.backend.sock, time.Time{})
	c.stage.Store(uint32(Relaying))
	b.Total.Add(1)
	c.job.Backends.Relaying(b)
	up := direction{c, &c.client, &c.backend, &c.up, &c.down, true}
	down := direction{c, &c.backend, &c.client, &c.down, &c.up, false}
	ended := make(chan struct{})
	go c.carryDown(&down, ended)
	c.guard(func() { up.carry(&b.BytesIn) })
	<-ended
}

// carryDown is the body of the second goroutine.
func (c *Conn) carryDown(d *direction, ended chan<- struct{}) {
	defer close(ended)
	c.guard(func() { d.carry(&c.member.Load().BytesOut) })
}

// direction is one of the two.
type direction struct {
	c        *Conn
	from, to *side
	flow     *flow
	other    *flow // of the opposite direction
	up       bool
}

// counter is what carried bytes are added to.
type counter interface{ Add(uint64) uint64 }

// carry carries bytes until there are no more, or the connection is to end. Once the sink has failed, what comes is
// dropped: the opposite direction may have more to carry.
func (d *direction) carry(total counter) {
	defer d.from.giveBack()
	var void error // of the sink
	for {
		b, err := d.from.receive()
		d.flow.at.Store(d.c.now())
		if err != nil {
			if d.sourceEnded(err) {
				d.await()
			}
			return
		}
		if void != nil {
			d.dropped(void)
			continue
		}
		d.flow.sending.Store(true)
		err = d.to.send(b)
		d.flow.sending.Store(false)
		d.flow.at.Store(d.c.now())
		if err != nil {
			d.flow.failed.Store(true)
			d.sinkFailed(err)
			d.dropped(err)
			void = err
			continue
		}
		d.flow.bytes.Add(uint64(len(b)))
		total.Add(uint64(len(b)))
	}
}

// sourceEnded carries the end of a stream on, and reports whether the other direction goes on; or it ends the connection, if the end
// was none in order or is the second one.
func (d *direction) sourceEnded(err error) (goesOn bool) {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded): // by finish
	case err == io.EOF && !d.up && d.c.backendBroken.Load(): // the failed send took the error that explains this end
		d.c.finish(d.broken(syscall.ECONNRESET))
	case err == io.EOF, err == errCut:
		d.to.end(err == io.EOF)
		d.flow.over.Store(true)
		if d.other.over.Load() {
			d.c.finish(None, "", closeBoth)
			return false
		}
		d.c.halfClosed()
		return true
	case errnoOf(err) != 0:
		d.c.finish(d.broken(err))
	case d.up && d.c.alerted(err) != nil:
		d.c.finish(ClientAlert, "client sent alert: "+plain(d.c.alerted(err).Error()), resetBackend)
	case d.up:
		d.c.finish(BrokenTLS, "client: "+brokenText(err), resetBackend)
	case d.c.alerted(err) != nil: // a server of TLS 1.3 refuses a client's certificate after the handshake
		d.c.finish(BackendRefused, "backend sent alert: "+plain(d.c.alerted(err).Error()), resetClient)
	default:
		d.c.finish(BrokenTLS, "backend: "+brokenText(err), resetClient)
	}
	return false
}

// await waits, once the source has ended in order, for its reset or the end of the connection: while the other side is silent,
// nobody else would hear of it. The connection is over then, as soon as the sink has all that the source had sent.
func (d *direction) await() {
	d.from.sock.giveBack()
	e := resetOf(d.from.sock)
	if e == 0 {
		return // the connection ends otherwise
	}
	tick := time.NewTimer(sys.FirstLook)
	defer tick.Stop()
	for !d.flow.failed.Load() && unacknowledged(d.to.sock) > 0 {
		select {
		case <-tick.C:
			tick.Reset(sys.NextLook)
		case <-d.c.stop:
			return
		}
	}
	how, lost := resetClient, BackendLost
	if d.up {
		how, lost = resetBackend, ClientLost
	}
	if sys.PeerLost(e) {
		d.c.finish(lost, errnoText(e), how)
		return
	}
	d.c.finish(None, "", how) // as when a close_notify meets a closed socket, which is how most TLS connections end
}

// resetOf waits until a socket has an error, which it takes; 0 if the connection is to end before.
func resetOf(s *socket) (e syscall.Errno) {
	_ = s.raw.Read(func(fd uintptr) bool { e = sys.TakeError(int(fd)); return e != 0 }) // an error is its deadline
	return e
}

// broken says what an error of the source means.
func (d *direction) broken(err error) (Failure, string, closing) {
	over := d.other.over.Load() && unacknowledged(d.from.sock) == 0 // it had taken all there was for it
	f, how := BackendReset, resetClient
	switch {
	case d.up && sys.PeerLost(err):
		f, how = ClientLost, resetBackend
	case sys.PeerLost(err):
		f = BackendLost
	case over && d.up:
		f, how = None, resetBackend
	case over:
		f = None
	case d.up:
		f, how = ClientReset, resetBackend
	}
	if f == None {
		return f, "", how
	}
	return f, errnoText(err), how
}

// sinkFailed decides whether the connection goes on although one side takes nothing any more.
func (d *direction) sinkFailed(err error) {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded): // by finish
	case d.up && errnoOf(err) == syscall.EPIPE: // the backend's FIN came before (net/ipv4/tcp_input.c, tcp_reset)
	case d.up:
		d.c.backendBroken.Store(true) // what it had sent before is still to be carried
	case d.other.over.Load(): // the client had ended: what it sent may still be on its way
	case sys.PeerLost(err):
		d.c.finish(ClientLost, errnoText(err), resetBackend)
	default:
		d.c.finish(ClientReset, errnoText(err), resetBackend)
	}
}

// dropped ends the connection where nothing is left to go on for: the sink takes nothing any more and has ended, too, and the
// source, whose bytes are dropped, has all that it had sent. The reset tells the source, which would talk on.
func (d *direction) dropped(why error) {
	if !d.other.over.Load() || unacknowledged(d.from.sock) > 0 {
		return
	}
	f, how, lost := None, resetBackend, ClientLost
	if d.up {
		how, lost = resetClient, BackendLost
	}
	if sys.PeerLost(why) {
		f = lost
	}
	d.c.finish(f, errnoText(why), how)
}

// halfClosed bounds how long the connection may be silent, from the first end on.
func (c *Conn) halfClosed() {
	limit := c.job.Backends.Config().HalfCloseTimeout
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit > 0 && c.half == nil && !c.over {
		c.halfAt = c.now()
		c.half = time.AfterFunc(limit, func() {
			if c.wasSilent(limit) {
				c.finish(HalfCloseTimeout, "", closeBoth)
			}
		})
	}
}

// wasSilent reports whether nothing has moved for limit, and has it looked at again otherwise. As long as a side has bytes to take,
// the kernel's included, it may be slow, and it is stalled_timeout that bounds how slow.
func (c *Conn) wasSilent(limit time.Duration) bool {
	takes := c.up.sending.Load() || c.down.sending.Load()
	c.WithSockets(func(client, backend int) {
		takes = takes || !c.down.failed.Load() && sys.Unacknowledged(client) > 0 || !c.up.failed.Load() && sys.Unacknowledged(backend) > 0
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	now, next := c.now(), limit/pool.SlowLooks
	if takes {
		c.halfAt = now
	} else {
		next = limit - time.Duration(now-max(c.halfAt, c.up.at.Load(), c.down.at.Load()))
	}
	if next > 0 && !c.over {
		c.half.Reset(next)
	}
	return next <= 0
}
