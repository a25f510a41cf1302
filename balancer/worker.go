package balancer

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"

	"github.com/seed-23b4a313/switchyard/balancer/loop"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/relay"
	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// worker is one event loop with its sessions and its listening sockets. Everything in it belongs to the loop's
// goroutine, but for the counters (atomics) and what is marked otherwise.
type worker struct {
	server *Server
	index  int
	loop   *loop.Loop
	bench  *relay.Bench
	rand   *rand.Rand
	skew   int64 // from the loop's clock to that of package pool

	sockets  []*socket
	slabs    [][]session // sessions never move: a slab is made once and kept
	freeSlot []uint32
	live     int
	current  *session // the one being served, for Panicked
	setups   []*setup // cleared, for the next sessions

	queues     []*queue // in which sessions of this worker wait, or did of late
	queueTimer loop.Timer

	attempts attemptCounters
	seen     seenNames
	records  recordRing
	lastID   uint64

	stopping bool          // sockets are closed: when live is 0, idle is closed
	idle     chan struct{} // closed by the loop
	ended    chan struct{} // closed when the loop has ended
	once     sync.Once
}

// slabSize is how many sessions are made at once.
const slabSize = 64

// keepSetups is how many idle setups a worker keeps.
const keepSetups = 256

func newWorker(s *Server, index int) (*worker, error) {
	l, err := loop.New()
	if err != nil {
		return nil, err
	}
	w := &worker{
		server: s,
		index:  index,
		loop:   l,
		bench:  relay.NewBench(s.pipes),
		skew:   pool.ClockAt(l.Base()),
		rand:   rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
		lastID: uint64(index) << 48,
		seen:   newSeenNames(),
		idle:   make(chan struct{}),
		ended:  make(chan struct{}),
	}
	w.queueTimer.Token = kindQueue
	return w, nil
}

// run is the body of the worker's goroutine.
func (w *worker) run() {
	defer w.server.running.Done()
	defer close(w.ended)
	w.loop.Run(w)
	w.bench.Close()
}

// Event hands a ready descriptor to the step that its session is at.
func (w *worker) Event(token uint64, bits uint32) {
	if token&3 == kindSocket {
		w.accept(w.sockets[token>>slotShift])
		return
	}
	s := w.session(token)
	if s == nil {
		return // closed earlier in this batch
	}
	w.current = s
	if token&3 == kindClient {
		w.clientEvent(s, bits)
	} else {
		w.backendEvent(s, bits)
	}
	w.current = nil
}

// session is the session that token means; nil if it has ended.
func (w *worker) session(token uint64) *session {
	slot := uint32(token >> slotShift & slotMask)
	if int(slot) >= len(w.slabs)*slabSize {
		return nil
	}
	s := w.slot(slot)
	if s.stage == stageFree || token != s.clientToken() && token != s.backendToken() {
		return nil
	}
	return s
}

func (w *worker) slot(n uint32) *session { return &w.slabs[n/slabSize][n%slabSize] }

// clientEvent notes what the client's socket is ready for, and goes on with the session.
func (w *worker) clientEvent(s *session, bits uint32) {
	note(bits, &s.up, &s.down)
	switch s.stage {
	case stageHello:
		if s.up.Readable {
			w.readHello(s)
		}
	case stageQueued:
		if bits&(sys.EventHup|sys.EventErr|sys.EventRdHup) != 0 { // not even half closed can it complete a handshake
			w.finish(s, CauseClientGone, closeBoth)
		}
	case stageDialing, stageAnswering:
		if bits&(sys.EventHup|sys.EventErr) != 0 { // both directions are dead: nobody waits for an answer
			w.finish(s, CauseClientGone, resetBackend)
		}
	case stageRelaying:
		if bits&sys.EventErr != 0 && s.up.Ended() {
			w.broken(s, true, sys.TakeError(int(s.clientFD))) // its FIN was read, nothing would read its RST
			return
		}
		w.relay(s)
	case stageClosing:
		w.linger(s)
	}
}

// backendEvent does the same for the backend's socket.
func (w *worker) backendEvent(s *session, bits uint32) {
	note(bits, &s.down, &s.up)
	switch s.stage {
	case stageDialing:
		w.sendHello(s)
	case stageAnswering:
		if s.down.Readable {
			w.readAnswer(s)
		}
	case stageRelaying:
		if bits&sys.EventErr != 0 && s.down.Ended() {
			w.broken(s, false, sys.TakeError(int(s.backendFD)))
			return
		}
		w.relay(s)
	}
}

// note tells the flow that reads a socket and the flow that writes to it what the socket is ready for.
func note(bits uint32, from, to *relay.Flow) {
	switch {
	case bits&sys.EventErr != 0:
		from.Reset()
	case bits&(sys.EventRdHup|sys.EventHup) != 0:
		from.Hangup()
	case bits&sys.EventIn != 0:
		from.Readable = true
	}
	if bits&sys.EventOut != 0 {
		to.Writable()
	}
}

// Timer is told that the one timer of a session is due.
func (w *worker) Timer(t *loop.Timer) {
	switch t.Token & 3 {
	case kindSocket:
		w.resume(w.sockets[t.Token>>slotShift])
		return
	case kindQueue:
		w.pollQueues()
		return
	}
	s := w.session(t.Token)
	if s == nil {
		return
	}
	w.current = s
	s.wake = 0
	switch s.stage {
	case stageHello:
		w.finish(s, CauseHelloTimeout, closeBoth)
	case stageQueued:
		w.giveUp(s, CauseQueueTimeout)
	case stageDialing:
		w.attemptFailed(s, CauseConnectTimeout)
	case stageAnswering:
		w.attemptFailed(s, CauseAnswerTimeout)
	case stageRelaying:
		w.relayTimer(s)
	case stageTerminating:
		w.terminatedTimer(s)
	case stageClosing:
		w.close(s)
	}
	w.current = nil
}

// Again goes on with a session whose turn was over before its bytes were.
func (w *worker) Again(token uint64) {
	if token&3 == kindSocket {
		w.accept(w.sockets[token>>slotShift])
		return
	}
	if s := w.session(token); s != nil {
		w.current = s
		s.queued = false
		if s.stage == stageRelaying {
			w.relay(s)
		}
		w.current = nil
	}
}

// Panicked ends the session that was being served, and nothing else.
func (w *worker) Panicked(reason any) {
	w.server.panics.Add(1)
	s := w.current
	w.current = nil
	w.server.recorder.notice(slog.LevelError, "internal error: this connection is closed, others go on",
		slog.String("panic", fmt.Sprint(reason)), slog.String("stack", string(debug.Stack())))
	switch {
	case s == nil || s.stage == stageFree:
	case s.stage == stageClosing: // counted and logged already
		w.close(s)
	default:
		w.finish(s, CauseInternalError, resetBoth)
	}
}

// wakeAt makes the session's timer fire at time at or before.
func (w *worker) wakeAt(s *session, at int64) {
	if s.wake != 0 && s.wake <= at {
		return
	}
	s.wake = at
	w.loop.Set(&s.timer, at-w.loop.Now())
}

// deadline makes the session's timer fire d from now, whatever it was set to.
func (w *worker) deadline(s *session, d int64) {
	s.wake = w.loop.Now() + d
	w.loop.Set(&s.timer, d)
}

// open takes a free slot for a new session.
func (w *worker) open(l *listener, fd int) *session {
	if len(w.freeSlot) == 0 && !w.grow() {
		return nil
	}
	slot := w.freeSlot[len(w.freeSlot)-1]
	w.freeSlot = w.freeSlot[:len(w.freeSlot)-1]
	s := w.slot(slot)
	w.lastID++
	*s = session{
		slot: slot, gen: s.gen, stage: stageHello, listener: l,
		clientFD: int32(fd), backendFD: -1, id: w.lastID, started: w.loop.Now(),
	}
	s.timer.Token = s.clientToken()
	w.live++
	return s
}

func (w *worker) grow() bool {
	first := uint32(len(w.slabs) * slabSize)
	if first > slotMask-slabSize {
		return false
	}
	slab := make([]session, slabSize)
	w.slabs = append(w.slabs, slab)
	for i := range slab {
		slab[i].slot = first + uint32(i)
		w.freeSlot = append(w.freeSlot, slab[i].slot)
	}
	return true
}

// borrowSetup lends a cleared setup.
func (w *worker) borrowSetup() *setup {
	n := len(w.setups)
	if n == 0 {
		return &setup{}
	}
	st := w.setups[n-1]
	w.setups = w.setups[:n-1]
	return st
}

// dropSetup takes the setup of s back.
func (w *worker) dropSetup(s *session) {
	if s.setup == nil {
		return
	}
	s.setup.release(&w.bench.Buffers)
	if len(w.setups) < keepSetups {
		w.setups = append(w.setups, s.setup)
	}
	s.setup = nil
}

// finish ends a session: it counts and logs it, and closes both sides. It and refuse are the only ways to an end.
func (w *worker) finish(s *session, cause Cause, how closeHow) {
	w.account(s, cause)
	s.closeFDs(how)
	w.close(s)
}

// account counts and logs the end of s, once, and gives back the slot at its backend.
func (w *worker) account(s *session, cause Cause) {
	w.countBytes(s)
	s.listener.counters[w.index].closed[cause].Add(1)
	if w.server.logConnections.Load() {
		w.records.put(w.record(s, cause))
	}
	if s.waits() {
		w.dequeue(s)
	}
	w.leaveBackend(s)
}

// countBytes adds what moved since it was last called to the backend's counters.
func (w *worker) countBytes(s *session) {
	if s.backend == nil || s.stage != stageRelaying {
		return
	}
	s.backend.BytesIn.Add(s.up.Bytes - s.counted.up)
	s.backend.BytesOut.Add(s.down.Bytes - s.counted.down)
	s.counted = counted{s.up.Bytes, s.down.Bytes}
}

// leaveBackend gives the slot at the backend back.
func (w *worker) leaveBackend(s *session) {
	if s.backend != nil {
		s.backend.Release()
		s.backend = nil
		if q := s.pool.queue; q.waiting.Load() > 0 {
			w.call(q)
		}
	}
}

// close frees what is left of a session that has been accounted for.
func (w *worker) close(s *session) {
	w.loop.Stop(&s.timer)
	s.closeFDs(closeBoth)
	s.up.Release(w.bench)
	s.down.Release(w.bench)
	w.dropSetup(s)
	s.listener.active.Add(-1)
	w.server.active.Add(-1)
	gen, slot := (s.gen+1)&genMask, s.slot
	*s = session{slot: slot, gen: gen}
	w.freeSlot = append(w.freeSlot, slot)
	w.live--
	w.noteIdle()
}
