package relay

import (
	"syscall"

	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// Bench is what the flows of one loop share: the read buffer, the buffers and pipes for lending.
type Bench struct {
	Buf     []byte // scratch of the loop; holds nothing between two calls
	Buffers Buffers
	pipes   pipes
}

// NewBench makes the bench of one loop; pipes come out of budget, which all loops share.
func NewBench(budget *PipeBudget) *Bench {
	return &Bench{Buf: make([]byte, copySize), pipes: pipes{budget: budget}}
}

// Close releases the pipes that are not lent.
func (b *Bench) Close() {
	for _, p := range b.pipes.free {
		b.pipes.close(p)
	}
	b.pipes.free = nil
}

const (
	// copySize is how much one read takes. 128 KiB: per GB a third cheaper than 16 KiB, and no larger copy pays.
	copySize = 128 << 10
	// slowSize is the same where the sink was full the last time: it bounds what a peer that does not read makes us
	// hold.
	slowSize = 16 << 10
	// turnBytes bounds what a flow moves before others have their turn.
	turnBytes = 1 << 20
	// bulkRead is a read that looks like bulk, and bulkReads how many of them in a row turn splicing on.
	// One TLS record is at most 16 KiB + 256 (RFC 8446 §5.2): interactive traffic stays below it.
	bulkRead  = 32 << 10
	bulkReads = 2
	// thinSplice is a spliced amount so small that copying is cheaper; as many of them in a row end splicing.
	thinSplice   = 8 << 10
	thinSplices  = 8
	notInBulkYet = 0
)

// Flow is one direction of a connection. The zero Flow waits for its source and believes its sink writable.
// It belongs to the loop that pumps it.
type Flow struct {
	Bytes uint64 // handed to the sink's kernel so far

	rest []byte // borrowed: read, and not taken by the sink
	sent int    // of rest
	pipe *Pipe  // borrowed while bulk moves

	Readable bool // the source may have bytes, an end or an error
	blocked  bool // the sink took less than it was given, and has not said that it takes more
	ended    bool // the source's end of file was read
	finished bool // the sink was told: FIN
	hangup   bool // the source has sent FIN or RST: read until it shows
	reset    bool // the source is dead: what it had sent is still to be read, and no FIN follows it
	slow     bool // the sink was full of late: take little at a time
	void     bool // the sink is dead: what comes is read and dropped
	failed   bool // the source's error was taken by a send to it: no end that is read is its peer's
	hot      int8 // bulk reads in a row, or -thin splices in a row
	bulk     bool

	// Last says that the other direction is finished: whoever sees this one finish closes both sockets, which
	// sends FIN by itself and spares the call.
	Last bool
}

// State is what a flow waits for after Pump.
type State uint8

const (
	Waiting  State = iota // for its source, or for its sink
	More                  // the turn is over and there is more: pump again later
	Finished              // the sink has got everything, and FIN
	SourceFailed
	SinkFailed
)

// Hangup says that the source's peer has sent FIN or RST: a short read does not mean "drained" any more.
func (f *Flow) Hangup() { f.hangup, f.Readable = true, true }

// Reset says that the source's socket has an error pending: an RST from its peer, as a rule.
func (f *Flow) Reset() { f.reset = true; f.Hangup() }

// Void says that the sink is dead while the source is to be heard to its end: what it still sends is dropped.
func (f *Flow) Void(b *Bench) {
	f.Release(b)
	f.void, f.blocked = true, false
}

// SourceFailed says that sending to the source's socket has failed. The call took the socket's error, and reading now
// brings what had arrived and then an end of file that no peer has sent.
func (f *Flow) SourceFailed() { f.failed = true }

// Gone reports whether the source is dead and all of it was heard, its end of file included: nothing would read its reset.
func (f *Flow) Gone() bool { return f.reset && f.ended }

// Voided reports whether Void was called.
func (f *Flow) Voided() bool { return f.void }

// Hung reports whether Hangup was called.
func (f *Flow) Hung() bool { return f.hangup }

// Writable says that the sink takes bytes again.
func (f *Flow) Writable() { f.blocked = false }

// Blocked reports whether the flow holds bytes that the sink does not take now.
func (f *Flow) Blocked() bool { return f.blocked }

// Finished reports whether the sink has got everything, and FIN.
func (f *Flow) Finished() bool { return f.finished }

// Ended reports whether the source's end of file was seen.
func (f *Flow) Ended() bool { return f.ended }

// Release gives everything borrowed back to b. The flow is not used after it.
func (f *Flow) Release(b *Bench) {
	if f.rest != nil {
		b.Buffers.Put(f.rest)
		f.rest = nil
	}
	if f.pipe != nil {
		b.pipes.put(f.pipe)
		f.pipe = nil
	}
}

// Feed sends p, which was read from the source by somebody else, before anything else that the source has. What
// the sink does not take is kept.
func (f *Flow) Feed(b *Bench, sink int, p []byte) (State, syscall.Errno) {
	return f.deliver(b, sink, p)
}

// Pump moves what can be moved now, at most about turnBytes, and says what the flow waits for. errno is set for
// SourceFailed and SinkFailed; ECONNRESET on either side is an RST from there.
func (f *Flow) Pump(b *Bench, source, sink int) (State, syscall.Errno) {
	for start := f.Bytes; ; {
		if st, e := f.flush(b, sink); st != More {
			return st, e
		}
		switch {
		case f.ended:
			return f.finish(sink)
		case !f.Readable:
			f.idle(b)
			return Waiting, 0
		case f.Bytes-start >= turnBytes:
			return More, 0
		}
		st, e := f.move(b, source, sink)
		if st != More {
			return st, e
		}
	}
}

// move takes one portion from the source.
func (f *Flow) move(b *Bench, source, sink int) (State, syscall.Errno) {
	if f.bulk && !f.void {
		if f.pipe == nil {
			f.pipe = b.pipes.get()
		}
		if f.pipe != nil {
			return f.splice(source)
		}
	}
	return f.copy(b, source, sink)
}

// copy reads into the loop's buffer and sends from it. What a slow sink may leave behind is kept small.
func (f *Flow) copy(b *Bench, source, sink int) (State, syscall.Errno) {
	buf := b.Buf
	if f.slow {
		buf = buf[:slowSize]
		f.slow = false // until it shows again
	}
	n, e := sys.Recv(source, buf)
	if n == 0 {
		return f.nothing(e)
	}
	if n < len(buf) && !f.hangup {
		f.Readable = false // shorter than asked for: drained (epoll(7), edge-triggered)
	}
	f.warm(n)
	return f.deliver(b, sink, buf[:n])
}

// nothing is what a call on the source that brought no byte means: none now, the end, or an error.
func (f *Flow) nothing(e syscall.Errno) (State, syscall.Errno) {
	switch e {
	case syscall.EAGAIN:
		f.Readable = false
	case 0:
		if f.failed {
			return SourceFailed, syscall.ECONNRESET
		}
		f.ended = true
	default:
		return SourceFailed, e
	}
	return More, 0
}

// warm watches for bulk.
func (f *Flow) warm(n int) {
	if n < bulkRead {
		f.hot = notInBulkYet
		return
	}
	if f.hot++; f.hot >= bulkReads {
		f.bulk, f.hot = true, notInBulkYet
	}
}

// splice fills the pipe, which is empty on entry: so EAGAIN can only mean that the source has nothing.
func (f *Flow) splice(source int) (State, syscall.Errno) {
	n, e := sys.Splice(source, f.pipe.w, f.pipe.room)
	if n == 0 {
		return f.nothing(e)
	}
	f.pipe.held = n
	f.cool(n)
	return More, 0
}

// cool watches for the end of bulk.
func (f *Flow) cool(n int) {
	if n >= thinSplice {
		f.hot = 0
		return
	}
	if f.hot--; f.hot <= -thinSplices {
		f.bulk, f.hot = false, notInBulkYet
	}
}

// deliver sends p and keeps what the sink does not take.
func (f *Flow) deliver(b *Bench, sink int, p []byte) (State, syscall.Errno) {
	if f.void {
		return More, 0
	}
	n := 0
	if !f.blocked {
		// After FIN from the source every read brings bytes or the end, so FIN to the sink follows these bytes
		// at once, or with the bytes after them: one packet instead of two.
		var e syscall.Errno
		if n, e = sys.Send(sink, p, f.hangup && !f.reset); e != 0 && e != syscall.EAGAIN {
			return SinkFailed, e
		}
	}
	f.Bytes += uint64(n)
	if n < len(p) {
		f.blocked, f.slow = true, true
		f.rest = b.Buffers.Get(len(p) - n)
		f.rest = f.rest[:copy(f.rest, p[n:])]
		f.sent = 0
	}
	return More, 0
}

// flush sends what an earlier turn could not. More means that nothing is held back.
func (f *Flow) flush(b *Bench, sink int) (State, syscall.Errno) {
	for f.rest != nil {
		if f.blocked {
			return Waiting, 0
		}
		n, e := sys.Send(sink, f.rest[f.sent:], false)
		if e != 0 && e != syscall.EAGAIN {
			return SinkFailed, e
		}
		f.Bytes += uint64(n)
		f.sent += n
		if f.sent == len(f.rest) {
			b.Buffers.Put(f.rest)
			f.rest, f.sent = nil, 0
			break
		}
		f.blocked, f.slow = true, true
	}
	for f.pipe != nil && f.pipe.held > 0 {
		if f.blocked {
			return Waiting, 0
		}
		n, e := sys.Splice(f.pipe.r, sink, f.pipe.held)
		switch {
		case e == syscall.EAGAIN:
			f.blocked = true
		case e != 0:
			return SinkFailed, e
		}
		f.Bytes += uint64(n)
		f.pipe.held -= n
	}
	if f.pipe != nil && !f.bulk {
		b.pipes.put(f.pipe)
		f.pipe = nil
	}
	return More, 0
}

// finish tells the sink, once, that nothing follows.
func (f *Flow) finish(sink int) (State, syscall.Errno) {
	if !f.finished {
		f.finished = true
		if f.Last || f.void {
			return Finished, 0
		}
		if e := sys.CloseWrite(sink); e != 0 && e != syscall.ENOTCONN {
			return SinkFailed, e
		}
	}
	return Finished, 0
}

// idle gives the pipe back, which is empty here, while the source has nothing.
func (f *Flow) idle(b *Bench) {
	if f.pipe != nil {
		b.pipes.put(f.pipe)
		f.pipe = nil
	}
}
