package certs

import "time"

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
