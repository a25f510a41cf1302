package certs

import "time"

// Waiter is a [net.Conn] of a handshake that waits in its own way. A hello whose Conn is one waits by it for a certificate
// that is on its way into a directory, so that whoever bounds the handshakes under way can let others go on meanwhile.
type Waiter interface {
	// Wait waits for d, or until the connection is to end, and reports whether it goes on.
	Wait(d time.Duration) bool
	// Aside runs f, which waits for a file system. false: f was not done after d, or when the connection was to end, and goes
	// on without it.
	Aside(f func(), d time.Duration) bool
}

// asking is one question for certificates, which may look into several files.
type asking struct {
	Waiter
	patience time.Duration // for a file system that does not answer, of all looks together
}

func newAsking(w Waiter) *asking { return &asking{w, patience} }

// aside runs f, which looks into p. The error says that p does not answer, or that whoever asks is to end.
func (a *asking) aside(p *place, f func()) *Error {
	most, began := min(a.patience, p.patience), time.Now()
	if most > 0 && a.Aside(f, most) {
		return nil
	}
	took := time.Since(began)
	a.patience -= took
	if took < most {
		return &Error{File: p.path, Why: "was not looked at to the end"}
	}
	return p.hangs()
}

// sleeper is how whoever is no Waiter waits.
type sleeper struct{}

func (sleeper) Wait(d time.Duration) bool {
	time.Sleep(d)
	return true
}

func (sleeper) Aside(f func(), d time.Duration) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	due := time.NewTimer(d)
	defer due.Stop()
	select {
	case <-done:
		return true
	case <-due.C:
		return false
	}
}

// doubt is about a certificate and a key that did not belong together when they were read: they may be on their way, one
// rename after the other. So they are read again a few times, and then not before they have changed. It does not matter how
// many handshakes ask for them: the tries are those of the pair. The zero doubt is none.
type doubt struct {
	tries   int      // of these very files
	reads   int      // with those of other files before, since the pair was whole or settled
	settled bool     // there were enough: the pair is broken until it changes
	stamps  [2]Stamp // of what was read at last
	wrong   Errors   // with it
}

// note takes down what reading a pair has shown. It returns after how long the pair is to be read again; 0 says that what is
// wrong with it is no matter of time, or was given enough.
func (d *doubt) note(stamps [2]Stamp, wrong Errors) time.Duration {
	if !isMismatch(wrong) {
		*d = doubt{}
		return 0
	}
	if !d.stamps[0].same(stamps[0]) || !d.stamps[1].same(stamps[1]) {
		d.tries = 0 // another swap
		if d.settled {
			*d = doubt{}
		}
	}
	d.stamps, d.wrong = stamps, wrong
	if d.settled {
		return 0
	}
	pause := swapPause << d.tries
	d.tries++
	d.reads++
	if d.settled = d.tries == swapTries || d.reads == swapReads; d.settled {
		return 0
	}
	return pause
}

// remains returns what is wrong with a pair that was given enough time and has not changed since; nil if it is to be read.
func (d *doubt) remains(f PairFile) Errors {
	if d.settled && d.stamps[0].Unchanged(StampOf(f.Cert)) && d.stamps[1].Unchanged(StampOf(f.Key)) {
		return d.wrong
	}
	return nil
}
