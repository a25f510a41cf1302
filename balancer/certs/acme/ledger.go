package acme

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
)

// ledger is what has come of the orders of a Manager, as certmagic tells it by events. It is safe for any number of goroutines.
type ledger struct {
	mu     sync.Mutex
	pause  time.Duration     // how long what certmagic has given up rests
	orders certs.Orders      // without Missing
	stored func(name string) // told of each certificate that is in the storage now; nil: nobody
	trials map[string]*trial // by name, of all that certificates are ordered for; nil before the start
}

// trial is what is known of the first certificate for a name.
type trial struct {
	certs.Pending
	over    bool // it was obtained, or there is one already: what is left to certmagic is to load and to renew it
	stopped bool // certmagic has given up: see [ledger.takeStopped]
}

// begin notes that a certificate for a name is tried for from now on, if it is not already. f is what earlier Managers have seen of
// it.
func (l *ledger) begin(name string, f failure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t, ok := l.trials[name]; ok && !t.over {
		t.stopped = false
		return
	}
	t := &trial{Pending: certs.Pending{Since: time.Now()}}
	if f.count > 0 {
		t.Since = f.since
		t.rest(&f)
	}
	l.put(name, t)
}

// rests notes that a name is not ordered for before the pause of f is over.
func (l *ledger) rests(name string, f *failure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.trials[name]; t != nil && !t.over {
		t.rest(f)
	}
}

func (t *trial) rest(f *failure) {
	t.Last = f.text
	if t.Next = f.next; !time.Now().Before(f.next) {
		t.Next = time.Time{}
	}
}

// has notes that there is a certificate for a name already.
func (l *ledger) has(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.put(name, &trial{over: true})
}

// put puts down how a name stands. l.mu is held.
func (l *ledger) put(name string, t *trial) {
	if l.trials == nil {
		l.trials = map[string]*trial{}
	}
	l.trials[name] = t
}

// pending is how the trial for a name stands.
func (l *ledger) pending(name string) *certs.Pending {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.trials[name]; t != nil {
		now := t.Pending
		return &now
	}
	return &certs.Pending{}
}

// stats copies the counters.
func (l *ledger) stats() certs.Orders {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.orders
}

// event takes down what certmagic tells; it is [certmagic.Config.OnEvent]. An error would end what is under way.
func (l *ledger) event(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	switch event {
	case "cert_obtaining":
		l.begun(name)
	case "cert_obtained":
		renewal, _ := data["renewal"].(bool)
		l.succeeded(name, renewal)
		if l.stored != nil {
			l.stored(name)
		}
	case "cert_failed":
		err, _ := data["error"].(error)
		l.failed(name, err)
	}
	return nil
}

func (l *ledger) succeeded(name string, renewal bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.orders.LastSuccess = time.Now()
	if renewal {
		l.orders.Renewed++
	} else {
		l.orders.Obtained++
	}
	if t := l.trials[name]; t != nil {
		*t = trial{Pending: certs.Pending{Since: t.Since}, over: true} // it is there in a moment
	}
}

// begun notes that a try is under way.
func (l *ledger) begun(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.trials[name]; t != nil {
		t.Next = time.Time{}
	}
}

// failed notes a try that came to nothing. One that was cut short by a stop is none.
func (l *ledger) failed(name string, err error) {
	if wasStopped(err) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.orders.Failed++
	l.orders.LastFailure = time.Now()
	if t := l.trials[name]; t != nil {
		t.Last = short(err)
	}
}

// wasStopped reports whether err is of what a stop has cut short. certmagic does not always wrap it.
func wasStopped(err error) bool {
	return err != nil && strings.HasSuffix(err.Error(), context.Canceled.Error())
}

// logged takes from the log of certmagic what is no event: when the next try is, and that a first certificate was not even
// ordered, or could not be stored.
func (l *ledger) logged(line string, err error, again time.Duration) {
	name, what := about(err)
	next := time.Now().Add(again)
	if o, ok := errors.AsType[*orderError](err); ok {
		name = o.name // there is an event for it
		if o.next.After(next) {
			next = o.next
		}
	} else if l.waits(name) {
		l.failed(name, errors.New(what))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.trials[name]
	switch {
	case t == nil:
	case again > 0:
		t.Next = next
	case gaveUp[line] && !wasStopped(err): // which may be told after the next start
		t.stopped, t.Next = true, time.Now().Add(l.pause)
	}
}

// gaveUp are the lines with which certmagic ends its tries. It does so where the storage fails before anything was ordered, and where
// it has tried for thirty days.
var gaveUp = map[string]bool{"job failed": true, "initiating certificate management": true}

// retryAfter is how long what certmagic has given up rests. So long it is, too, until certmagic tries an order for the second time.
const retryAfter = time.Minute

// takeStopped returns the names that certmagic has given up and that it is time to try again. They go on from now.
func (l *ledger) takeStopped(now time.Time) (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, t := range l.trials {
		if t.stopped && !now.Before(t.Next) {
			t.stopped, t.Next = false, time.Time{}
			names = append(names, name)
		}
	}
	return names
}

// about takes apart how certmagic says what an error is about: "[a.example.com] Obtain: …" or "a.example.com: caching
// certificate: …".
func about(err error) (name, what string) {
	if rest, ok := strings.CutPrefix(err.Error(), "["); ok {
		name, what, _ = strings.Cut(rest, "] ")
		return name, what
	}
	name, what, _ = strings.Cut(err.Error(), ": ")
	return name, what
}

// waits reports whether a name waits for its first certificate.
func (l *ledger) waits(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.trials[name]
	return t != nil && !t.over
}

// orderError is an error of an order, with the name that was ordered for, and before when that is not ordered for again.
type orderError struct {
	name string
	err  error
	next time.Time // zero: it was cut short
}

func (e *orderError) Error() string { return e.err.Error() }
func (e *orderError) Unwrap() error { return e.err }

// maxShort bounds what is told of an error in a log line, which has other things to say, too. In bytes.
const maxShort = 90

// short says in short what went wrong, in printable ASCII: of an authority's problem the type and the beginning of its detail
// (RFC 8555 §6.7); of any other error the beginning and the end, where the cause stands.
func short(err error) string {
	if err == nil {
		return ""
	}
	if p, ok := errors.AsType[acme.Problem](err); ok {
		text := printable(strings.TrimPrefix(p.Type, acme.ProblemTypeNamespace) + ": " + p.Detail)
		if len(text) > maxShort {
			text = text[:maxShort-3] + "..."
		}
		return text
	}
	text := strings.TrimPrefix(err.Error(), "obtaining certificate: ")
	return middleCut(printable(strings.TrimSuffix(text, " - storage is probably misconfigured"))) // it is full, or gone
}

// middleCut takes whole words out of the middle of a text that is longer than maxShort, most of them of its first half.
func middleCut(text string) string {
	const head, gap = maxShort / 3, " ... "
	if len(text) <= maxShort {
		return text
	}
	begin, end := text[:head], text[len(text)-(maxShort-head-len(gap)):]
	if i := strings.LastIndexByte(begin, ' '); i > 0 {
		begin = begin[:i]
	}
	if _, words, ok := strings.Cut(end, " "); ok {
		end = words
	}
	return begin + gap + end
}

func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}
