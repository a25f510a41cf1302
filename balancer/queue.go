package balancer

import (
	"slices"
	"sync/atomic"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
)

// queue is where connections wait for a slot of a pool that is full. Each loop has its part: routes in turn, and for each
// route who came first.
//
//	pool is full ──> enqueue ──> part of the session's loop ──> serveWaiting ─> pick, connect
//	                                       ▲                        ▲
//	            queue_timeout, client gone ┘   a slot is released ──┘ call: Post to the next loop with a part
//
// A loop touches its own part only; of the others it knows how many wait. Who releases a slot wakes one loop, which serves
// its part as long as there are slots, and wakes the next. Room that comes otherwise (a backend that is back, a limit that
// is raised), or at the very moment at which somebody begins to wait, is found within queuePoll.
type queue struct {
	waiting atomic.Int64  // connections of all loops
	turn    atomic.Uint64 // which loop is woken next
	parts   []queuePart   // by worker
	waited  histogram     // of those that got a slot
}

// queuePart is what waits on one loop. All but the atomics belong to the loop.
type queuePart struct {
	count  atomic.Int32 // written by the loop
	called atomic.Bool  // the loop is told to serve, and has not begun to
	lanes  []*lane      // those where somebody waits
	next   int          // whose turn it is
	_      [64]byte     // keeps the next loop's part off this cache line
}

// lane is what waits for one route: a list through the sessions' setups.
type lane struct {
	route       string
	first, last *session
}

// queuePoll is how often a loop on which sessions wait looks for room that nobody told of.
const queuePoll = 100e6

// kindQueue is the kind of the one timer that a worker has for all queues.
const kindQueue = 3

func newQueue(loops int) *queue { return &queue{parts: make([]queuePart, loops)} }

// enqueue makes s wait for a slot of its pool. The first one to wait has the queue served at once: a slot may have been
// released when nobody was seen to wait.
func (w *worker) enqueue(s *session) {
	q, cfg := s.pool.queue, s.pool.Config()
	if s.up.Hung() { // it has ended before its handshake
		w.finish(s, CauseClientGone, closeBoth)
		return
	}
	n := q.waiting.Add(1)
	if n > int64(cfg.QueueSize) {
		q.waiting.Add(-1)
		w.giveUp(s, CauseQueueFull)
		return
	}
	w.line(s)
	s.stage = stageQueued
	w.deadline(s, int64(cfg.QueueTimeout))
	if n == 1 {
		w.call(q)
	}
}

// line puts s into this loop's part of its pool's queue.
func (w *worker) line(s *session) {
	q := s.pool.queue
	q.parts[w.index].push(s)
	if len(w.queues) == 0 {
		w.loop.Set(&w.queueTimer, queuePoll)
	}
	if !slices.Contains(w.queues, q) {
		w.queues = append(w.queues, q)
	}
	s.setup.dialed = w.loop.Now()
}

// dequeue takes s out of the queue.
func (w *worker) dequeue(s *session) {
	s.pool.queue.parts[w.index].remove(s)
	s.pool.queue.waiting.Add(-1)
	if s.stage == stageQueued {
		s.stage = stageDialing
	}
}

// waits reports whether s is in a queue.
func (s *session) waits() bool { return s.setup != nil && s.setup.lane != nil }

// call has a loop on which sessions wait serve its part of q.
func (w *worker) call(q *queue) {
	first := q.turn.Add(1)
	for i := range q.parts {
		at := (int(first%uint64(len(q.parts))) + i) % len(q.parts)
		p := &q.parts[at]
		if p.count.Load() == 0 {
			continue
		}
		if p.called.CompareAndSwap(false, true) {
			other := w.server.workers[at]
			other.loop.Post(func() { other.serveWaiting(q) })
		}
		return
	}
}

// serveWaiting gives slots to those that wait in this loop's part, as long as there are any.
func (w *worker) serveWaiting(q *queue) {
	part := &q.parts[w.index]
	part.called.Store(false)
	for s := part.front(); s != nil; s = part.front() {
		if p := w.server.world.Load().pools[s.pool.Name()]; p != nil && p.queue == q {
			s.pool = p // as it is now
		}
		b, refusal := w.pick(s)
		if b == nil && refusal != pool.NoBackend {
			return
		}
		w.current = s
		waited := w.loop.Now() - s.setup.dialed
		w.dequeue(s)
		if b != nil {
			q.waited.observe(waited)
		}
		switch {
		case s.stage == stageTerminating:
			w.answerWaiting(s, b, terminate.NoBackend)
		case b != nil:
			w.bound(s)
			w.connect(s, b)
		default:
			w.giveUp(s, refusalCause(refusal))
		}
		w.current = nil
	}
	if q.waiting.Load() > 0 {
		w.call(q)
	}
}

// pollQueues serves all queues in which sessions of this loop wait.
func (w *worker) pollQueues() {
	w.queues = slices.DeleteFunc(w.queues, func(q *queue) bool { return q.parts[w.index].count.Load() == 0 })
	if len(w.queues) == 0 {
		return
	}
	w.loop.Set(&w.queueTimer, queuePoll) // first: a panic over one session must not be the last look
	for _, q := range w.queues {
		w.serveWaiting(q)
	}
}

// push appends s to the lane of its route.
func (p *queuePart) push(s *session) {
	p.count.Add(1)
	route := ""
	if s.route != nil {
		route = s.route.Name
	}
	i := slices.IndexFunc(p.lanes, func(l *lane) bool { return l.route == route })
	if i < 0 { // its turn comes after those of all others
		i = p.next
		p.lanes = slices.Insert(p.lanes, i, &lane{route: route})
		p.next = (p.next + 1) % len(p.lanes)
	}
	l, st := p.lanes[i], s.setup
	st.lane, st.ahead = l, l.last
	if l.last != nil {
		l.last.setup.behind = s
	} else {
		l.first = s
	}
	l.last = s
}

// front is whose turn it is; nil if nobody waits.
func (p *queuePart) front() *session {
	if len(p.lanes) == 0 {
		return nil
	}
	return p.lanes[p.next].first
}

// remove takes s out. If it was its turn, the next one is another route's.
func (p *queuePart) remove(s *session) {
	st := s.setup
	l, was := st.lane, p.front() == s
	if st.ahead != nil {
		st.ahead.setup.behind = st.behind
	} else {
		l.first = st.behind
	}
	if st.behind != nil {
		st.behind.setup.ahead = st.ahead
	} else {
		l.last = st.ahead
	}
	st.lane, st.ahead, st.behind = nil, nil, nil
	p.count.Add(-1)
	at := slices.Index(p.lanes, l)
	if l.first != nil {
		if was {
			p.next = (at + 1) % len(p.lanes)
		}
		return
	}
	p.lanes = slices.Delete(p.lanes, at, at+1)
	if at < p.next {
		p.next--
	}
	if p.next >= len(p.lanes) {
		p.next = 0
	}
}
