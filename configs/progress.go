package configs

import (
	"strconv"
	"sync/atomic"
)

// Progress tells whoever waits for a text to be checked how far that has come, since a file that the text names may lie where
// nobody answers. The zero value is the beginning. It is safe for any number of goroutines.
type Progress struct {
	steps atomic.Int64
	at    atomic.Pointer[string]
}

// Steps grows as long as there is progress.
func (p *Progress) Steps() int64 { return p.steps.Load() }

// At is what names the files that are read now or were last: `route "www"`; "" before the first.
func (p *Progress) At() string {
	if at := p.at.Load(); at != nil {
		return *at
	}
	return ""
}

// step notes that the next entry is looked at, and whose files are read if reads is set. p may be nil.
func (p *Progress) step(kind, name string, reads bool) {
	if p == nil {
		return
	}
	if reads {
		at := kind + " " + strconv.Quote(name)
		p.at.Store(&at)
	}
	p.steps.Add(1)
}
