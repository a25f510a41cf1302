package acme

import (
	"cmp"
	"sync"
	"time"
)

// failures are what the process remembers of orders that came to nothing. Each change of a route's acme makes another Manager,
// which would order at once what has just failed, as often as somebody edits the file; public authorities allow five failed
// validations an hour for each host.
var failures = memory{known: map[host]*failure{}}

// memory is what is known of failed orders, by host. It is safe for any number of goroutines.
type memory struct {
	mu    sync.Mutex
	known map[host]*failure
}

// host is a name as one account at one authority has it ordered.
type host struct{ account, name string }

// failure is what is known of a host that orders have failed for.
type failure struct {
	since time.Time // of the first of them
	last  time.Time
	next  time.Time // not tried again before
	count int
	cut   int               // orders that were cut short by a stop, since the last one that was not
	asked [mayAsk]time.Time // when somebody asked for another try at once, oldest first
	text  string            // what was wrong, as [short] says it
}

// pauses are those after the first failure, the second, and so on; after the last one, it is that again. They are certmagic's,
// which waits as long between two tries of one Manager: with them, the five failures an hour that Let's Encrypt gives back one by
// one in twelve minutes each are never used up.
var pauses = [...]time.Duration{
	1 * time.Minute, 2 * time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 10 * time.Minute, 10 * time.Minute,
	20 * time.Minute, 20 * time.Minute, 20 * time.Minute, 20 * time.Minute, 30 * time.Minute, 30 * time.Minute, 30 * time.Minute,
	30 * time.Minute, 30 * time.Minute, 30 * time.Minute, time.Hour, time.Hour, time.Hour, 2 * time.Hour, 2 * time.Hour,
	3 * time.Hour, 3 * time.Hour, 6 * time.Hour,
}

const (
	// remembered is how long a failure is, unless an order succeeds before. It is longer than any pause.
	remembered = 24 * time.Hour
	// mostFailures bounds the hosts that failures are remembered of, at 300 bytes or so for each.
	mostFailures = 1 << 14
	// mayAsk is how often in an hour a pause may be cut short for a host: enough for somebody who mends something, and too
	// little for whoever asks by a timer to use up what the authority allows.
	mayAsk = 3
	// mayCut is how many orders in a row a stop may cut short before they count as failed: what the authority has made of them is
	// not known.
	mayCut = 2
)

// of is what is known of a host; the zero failure if nothing is.
func (m *memory) of(h host) failure {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.known[h]; f != nil && time.Since(f.last) < remembered {
		return *f
	}
	return failure{}
}

// failed notes an order that came to nothing, and returns when the next one may be made.
func (m *memory) failed(h host, text string) (next time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.entry(h)
	f.fail(text)
	return f.next
}

// cutShort notes an order that a stop has cut short.
func (m *memory) cutShort(h host) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.entry(h)
	if f.cut++; f.cut > mayCut {
		f.fail(cmp.Or(f.text, "orders were cut short by changes of the configuration"))
	}
}

// succeeded forgets a host.
func (m *memory) succeeded(h host) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, h)
}

// hasten ends the pause of a host, if it has one. refused: it was asked for too often, and goes on.
func (m *memory) hasten(h host) (ended, refused bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, now := m.known[h], time.Now()
	switch {
	case f == nil || !now.Before(f.next):
		return false, false
	case now.Sub(f.asked[0]) < time.Hour:
		return false, true
	}
	copy(f.asked[:], f.asked[1:])
	f.asked[mayAsk-1] = now
	f.next = now
	return true, false
}

// entry is what is known of a host, from now on. m.mu is held.
func (m *memory) entry(h host) *failure {
	now := time.Now()
	f := m.known[h]
	if f == nil || now.Sub(f.last) >= remembered {
		if f == nil && len(m.known) >= mostFailures {
			m.makeRoom(now)
		}
		f = &failure{since: now}
		m.known[h] = f
	}
	f.last = now
	return f
}

// makeRoom forgets what is old enough, or else what is the oldest. m.mu is held.
func (m *memory) makeRoom(now time.Time) {
	var oldest host
	for h, f := range m.known {
		if now.Sub(f.last) >= remembered {
			delete(m.known, h)
		} else if o := m.known[oldest]; o == nil || f.last.Before(o.last) {
			oldest = h
		}
	}
	if len(m.known) >= mostFailures {
		delete(m.known, oldest)
	}
}

// fail counts a failure that has just been.
func (f *failure) fail(text string) {
	f.next = f.last.Add(pauses[min(f.count, len(pauses)-1)])
	f.count++
	f.cut, f.text = 0, text
}
