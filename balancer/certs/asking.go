package certs

import (
	"crypto/tls"
	"time"
)

// Waiter is a [net.Conn] of a handshake that waits in its own way. A hello whose Conn is one waits by it for a certificate
// that is on its way into a directory, so that whoever bounds the handshakes under way can let others go on meanwhile.
type Waiter interface {
	// Wait waits for d, or until the connection is to end, and reports whether it goes on.
	Wait(d time.Duration) bool
	// Aside runs f, which waits for a file system. false: f was not done after d, or when the connection was to end, and goes
	// on without it.
	Aside(f func(), d time.Duration) bool
}

// waiterOf is how a handshake waits.
func waiterOf(hello *tls.ClientHelloInfo) Waiter {
	if w, ok := hello.Conn.(Waiter); ok {
		return w
	}
	return sleeper{}
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

func (sleeper) Aside(f func(), d time.Duration) bool { return within(f, d) == nil }

// within runs f in a goroutine of its own, and waits d for its end at the most. If that has not come, it returns what is closed
// then.
func within(f func(), d time.Duration) (later <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	due := time.NewTimer(d)
	defer due.Stop()
	select {
	case <-done:
		return nil
	case <-due.C:
		return done
	}
}
