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
	orders certs.Orders             // without Missing
	trials map[string]certs.Pending // of names that there was no certificate for
}

// begin notes that a certificate for a name is tried for from now on, if it is not already.
func (l *ledger) begin(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.trials[name]; ok {
		return
	}
	if l.trials == nil {
		l.trials = map[string]certs.Pending{}
	}
	l.trials[name] = certs.Pending{Since: time.Now()}
}

// pending is how the trial for a name stands.
func (l *ledger) pending(name string) *certs.Pending {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.trials[name]
	return &p
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
		l.change(name, func(p *certs.Pending) { p.Next = time.Time{} })
	case "cert_obtained":
		renewal, _ := data["renewal"].(bool)
		l.succeeded(name, renewal)
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
	if p, ok := l.trials[name]; ok {
		l.trials[name] = certs.Pending{Since: p.Since} // the certificate is there in a moment
	}
}

// failed notes a try that came to nothing. One that was cut short by a stop is none.
func (l *ledger) failed(name string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	l.mu.Lock()
	l.orders.Failed++
	l.orders.LastFailure = time.Now()
	l.mu.Unlock()
	l.change(name, func(p *certs.Pending) { p.Last = short(err) })
}

// retry notes when the next try is, which certmagic tells in its log alone.
func (l *ledger) retry(err error, in time.Duration) {
	o, ok := errors.AsType[*orderError](err)
	if !ok {
		return
	}
	l.change(o.name, func(p *certs.Pending) { p.Next = time.Now().Add(in) })
}

// change changes what is known of the trial for a name, if there is one.
func (l *ledger) change(name string, f func(*certs.Pending)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, ok := l.trials[name]; ok {
		f(&p)
		l.trials[name] = p
	}
}

// orderError is an error of an order, with the name that was ordered for.
type orderError struct {
	name string
	err  error
}

func (e *orderError) Error() string { return e.err.Error() }
func (e *orderError) Unwrap() error { return e.err }

// maxShort bounds what is told of an error in a log line, which has other things to say, too. In bytes.
const maxShort = 90

// short says in short what went wrong: of an authority's problem its type and detail (RFC 8555 §6.7), in printable ASCII.
func short(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if p, ok := errors.AsType[acme.Problem](err); ok {
		text = strings.TrimPrefix(p.Type, acme.ProblemTypeNamespace) + ": " + p.Detail
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	if len(text) > maxShort {
		text = text[:maxShort-3] + "..."
	}
	return text
}
