package health

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

var (
	backendA = netip.MustParseAddrPort("192.0.2.1:443")
	backendB = netip.MustParseAddrPort("192.0.2.2:443")
)

// lab is a Checker whose backends are functions, with a clock that jumps. Everything in it happens within a bubble
// of testing/synctest.
type lab struct {
	*Checker
	start time.Time
	lines syncBuffer // of log

	mu     sync.Mutex
	dialed []dialed
	answer func(netip.AddrPort) error // of connect; nil: connected, and then an end of file
}

type dialed struct {
	at time.Duration // since start
	to netip.AddrPort
}

// newLab replaces the network by answer.
func newLab(answer func(netip.AddrPort) error) *lab {
	l := &lab{start: time.Now(), answer: answer}
	l.Checker = New(slog.New(slog.NewTextHandler(&l.lines, &slog.HandlerOptions{ReplaceAttr: withoutTime})))
	l.Checker.dial = l.dial
	return l
}

func (l *lab) dial(_ context.Context, to netip.AddrPort, _ netip.Addr) (net.Conn, error) {
	l.mu.Lock()
	l.dialed = append(l.dialed, dialed{time.Since(l.start), to})
	l.mu.Unlock()
	if err := l.answer(to); err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	theirs.Close()
	return ours, nil
}

// dials returns what was dialled so far.
func (l *lab) dials() []dialed {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]dialed(nil), l.dialed...)
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// heard is what a receiver was told.
type heard struct {
	mu  sync.Mutex
	all []Report
}

func (h *heard) told(r Report) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, r)
}

func (h *heard) reports() []Report {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Report(nil), h.all...)
}

func (h *heard) count() int { return len(h.reports()) }

// last is the latest report, or the zero one.
func (h *heard) last() Report {
	if all := h.reports(); len(all) > 0 {
		return all[len(all)-1]
	}
	return Report{}
}

// works is a backend to which every connect succeeds.
func works(netip.AddrPort) error { return nil }

// scripted is a backend whose checks pass at every '+' and fail at every '-', and after the last do as it did.
func scripted(script string) func(netip.AddrPort) error {
	n := 0
	return func(netip.AddrPort) error {
		c := script[min(n, len(script)-1)]
		n++
		if c == '-' {
			return syscall.ECONNREFUSED
		}
		return nil
	}
}
