package pool

import (
	"sync/atomic"
	"syscall"
)

// Outcome is what a real connection has shown of a backend.
type Outcome uint8

// The outcomes. Whoever observes says what counts as which; see docs/balancing.md.
const (
	OutcomeServed         Outcome = iota // the backend has served a connection
	OutcomeConnectFailed                 // refused or unreachable
	OutcomeConnectTimeout                // no connection within connect_timeout
	OutcomeHungUp                        // closed or reset before its ServerHello
	OutcomeAlerted                       // an alert in place of the ServerHello
	OutcomeAnswerTimeout                 // no byte within answer_timeout
	OutcomeClosedEarly                   // closed or reset right after its first flight
	OutcomeTLSFailed                     // our own handshake with it failed, or its certificate is not trusted
)

var outcomeWords = [...]string{
	OutcomeServed:         "served",
	OutcomeConnectFailed:  "connection failed",
	OutcomeConnectTimeout: "connection timed out",
	OutcomeHungUp:         "hung up before its ServerHello",
	OutcomeAlerted:        "alert instead of a ServerHello",
	OutcomeAnswerTimeout:  "no answer to the hello in time",
	OutcomeClosedEarly:    "hung up right after its first flight",
	OutcomeTLSFailed:      "TLS handshake failed",
}

// String is what the log and the API say of o.
func (o Outcome) String() string {
	if int(o) < len(outcomeWords) {
		return outcomeWords[o]
	}
	return "invalid"
}

// ejection is what there is to know of the times that a backend was left out. Who holds shared.ejecting writes it.
type ejection struct {
	until atomic.Int64 // on Clock; the end of the present or last one
	level atomic.Int32 // how often eject is doubled: ejections of late, less one; -1 or 0 for none
	count atomic.Uint64
}

// lastFailure is the latest failure of a real connection. Two writers at once may mix theirs: it is there to be read by
// people.
type lastFailure struct {
	at   atomic.Int64  // on Clock; 0: never
	what atomic.Uint32 // Outcome, and above it the errno
}

// mostDoublings bounds the time of an ejection: 16 times eject.
const mostDoublings = 4

// Observe says what a connection has shown of b, which p chose. After Outlier.Failures failures in a row, with no
// connection served in between, b is ejected, if the pool can spare it: at most MaxEjected percent are at one time, and
// never the last one that can take connections. It is left out for Eject, and twice as long each time again up to 16
// times Eject; for every Eject that has passed since it came back one doubling is forgotten.
//
// ejected asks for a Review. Observe takes no lock, allocates nothing, and may be called by any goroutine.
func (p *Pool) Observe(b *Backend, o Outcome, e syscall.Errno, now int64) (ejected bool) {
	if o == OutcomeServed {
		if b.failed.Load() != 0 {
			b.failed.Store(0)
		}
		return false
	}
	b.last.at.Store(now)
	b.last.what.Store(uint32(o) | uint32(e)<<8)
	cfg := p.cfg.Outlier
	if cfg == nil || b.state.Load()&ejectedMark != 0 {
		return false
	}
	n := b.failed.Add(1)
	if n < uint32(cfg.Failures) || (n-uint32(cfg.Failures))%ejectionTries != 0 {
		return false
	}
	return p.eject(b, now)
}

// ejectionTries is how many failures later it is tried again to eject a backend that could not be spared: to find that
// out costs a look at all members.
const ejectionTries = 16

// eject leaves b out, unless it cannot be spared, or somebody else is at this just now.
func (p *Pool) eject(b *Backend, now int64) bool {
	if !p.shared.ejecting.CompareAndSwap(false, true) {
		b.failed.Add(^uint32(0)) // the next failure is to try again
		return false
	}
	defer p.shared.ejecting.Store(false)
	if b.state.Load()&ejectedMark != 0 || !p.canSpare(b) {
		return false
	}
	cfg, j := p.cfg.Outlier, &b.ejection
	level := int64(0)
	if end := j.until.Load(); end != 0 {
		level = int64(j.level.Load()) + 1 - (now-end)/int64(cfg.Eject)
		level = min(max(level, 0), mostDoublings)
	}
	j.level.Store(int32(level))
	j.until.Store(now + int64(cfg.Eject)<<level)
	j.count.Add(1)
	p.shared.ejections.Add(1)
	b.change(ejectedMark, ejectedMark)
	return true
}

// canSpare tells whether b may be ejected beside those that are.
func (p *Pool) canSpare(b *Backend) bool {
	if b.Override() != OverrideNone {
		return false // it is left out already
	}
	total, ejected, others := 0, 0, 0
	for _, m := range p.Backends() {
		word := m.state.Load()
		if m.Config().Weight == 0 || word&overrideMask != 0 {
			continue
		}
		total++
		switch {
		case word&ejectedMark != 0:
			ejected++
		case m != b && word <= uint32(StateUp):
			others++
		}
	}
	percent := p.cfg.Outlier.MaxEjected
	most := max(total*percent/100, min(percent, 1))
	return others > 0 && ejected < most
}

// readmit ends the ejection of b if its time is over. It returns when that will be; 0: it is not ejected.
func (p *Pool) readmit(b *Backend, now int64) (until int64) {
	if b.state.Load()&ejectedMark == 0 {
		return 0
	}
	if until = b.ejection.until.Load(); p.cfg.Outlier != nil && now < until {
		return until
	}
	b.failed.Store(0)
	b.ramp.Store(now)
	b.change(ejectedMark, 0)
	return 0
}

// LastFailure is the latest failure of a connection to b, and when that was, on Clock; 0 if there was none.
func (b *Backend) LastFailure() (o Outcome, e syscall.Errno, at int64) {
	what := b.last.what.Load()
	return Outcome(what & 0xff), syscall.Errno(what >> 8), b.last.at.Load()
}

// Ejections is how often b was ejected, and until when, on Clock, it was the last time.
func (b *Backend) Ejections() (count uint64, until int64) {
	return b.ejection.count.Load(), b.ejection.until.Load()
}
