package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/poll"
)

// BackendConfig says where the reference backend listens and how it misbehaves. The zero value listens on one free
// port of 127.0.0.1, speaks raw and behaves.
type BackendConfig struct {
	// Listen has one address per pool; the answers say at which one a connection arrived. Port 0 is a free one.
	Listen []netip.AddrPort `json:"listen"`
	// TLS makes the backend complete the handshake with a certificate of its own making for any name, and answer
	// inside it. Otherwise it reads a ClientHello and answers at once with a ServerHello's shape.
	TLS bool `json:"tls,omitempty"`
	// Key is the kind of the certificate's key: "ecdsa" (P-256) or "rsa" (2048 bits). Empty means "ecdsa".
	Key string `json:"key,omitempty"`
	// Delay is added to every answer.
	Delay time.Duration `json:"delay_ns,omitempty"`
	// FailEvery resets each n-th connection in place of an answer; 0 is never.
	FailEvery int `json:"fail_every,omitempty"`
	// StallFor stops the whole backend for that long when it has accepted StallAfter connections; 0 is never.
	StallFor   time.Duration `json:"stall_ns,omitempty"`
	StallAfter int           `json:"stall_after,omitempty"`
	// OnListen is called once with the addresses, in the order of Listen.
	OnListen func([]netip.AddrPort) `json:"-"`
}

// RunBackend serves until ctx is done, which is not an error.
func RunBackend(ctx context.Context, cfg BackendConfig) error {
	if len(cfg.Listen) == 0 {
		cfg.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	}
	serve := runRawBackend
	if cfg.TLS {
		serve = runTLSBackend
	}
	if err := serve(ctx, cfg); err != nil {
		return fmt.Errorf("bench: backend: %w", err)
	}
	return nil
}

// rawBackend is the event loop behind RunBackend; all of it is owned by the goroutine in Run.
type rawBackend struct {
	cfg      BackendConfig
	loop     *poll.Loop
	accepted int
	delayed  []*served // in the order in which their answers are due
	scratch  []byte    // what one read may bring
	zeros    []byte    // what OpSend sends
}

// bulkBuffer is the most that one read or write of the generator and the backend moves: large enough that their share
// of a bulk transfer is small.
const bulkBuffer = 256 << 10

func runRawBackend(ctx context.Context, cfg BackendConfig) error {
	runtime.LockOSThread() // one thread does all the work: nothing to hand over, nothing to wake
	defer runtime.UnlockOSThread()
	loop, err := poll.New()
	if err != nil {
		return err
	}
	defer loop.Close()
	b := &rawBackend{cfg: cfg, loop: loop, scratch: make([]byte, bulkBuffer), zeros: make([]byte, bulkBuffer)}
	addrs, err := b.listen()
	if err != nil {
		return err
	}
	if cfg.OnListen != nil {
		cfg.OnListen(addrs)
	}
	stop := context.AfterFunc(ctx, loop.Wake)
	defer stop()
	return loop.Run(func() (time.Duration, bool) { return b.answerDue(), ctx.Err() == nil })
}

func (b *rawBackend) listen() (addrs []netip.AddrPort, err error) {
	for pool, addr := range b.cfg.Listen {
		fd, bound, err := poll.Listen(addr)
		if err != nil {
			return nil, err
		}
		if err := b.loop.AddListener(fd, &acceptor{backend: b, fd: fd, pool: pool}); err != nil {
			return nil, err
		}
		addrs = append(addrs, bound)
	}
	return addrs, nil
}

// acceptor is one listening socket.
type acceptor struct {
	backend  *rawBackend
	fd, pool int
}

// acceptBatch bounds what one turn accepts, so that connections already there are served in between.
const acceptBatch = 64

func (a *acceptor) Ready(bool) {
	b := a.backend
	for range acceptBatch {
		fd, err := poll.Accept(a.fd)
		if err != nil {
			// Out of descriptors is the one error to expect here. The sleep keeps a full process from spinning; the
			// client sees its connection wait, and counts it.
			if !errors.Is(err, poll.ErrAgain) {
				time.Sleep(time.Millisecond)
			}
			return
		}
		b.accepted++
		if b.cfg.StallFor > 0 && b.accepted == b.cfg.StallAfter {
			time.Sleep(b.cfg.StallFor)
		}
		s := &served{backend: b, fd: fd, pool: a.pool, fails: b.cfg.FailEvery > 0 && b.accepted%b.cfg.FailEvery == 0}
		if b.loop.Add(fd, s) != nil {
			b.loop.Drop(fd)
		}
	}
}

// answerDue answers what has waited for Delay, and says how long until the next.
func (b *rawBackend) answerDue() time.Duration {
	for len(b.delayed) > 0 {
		s := b.delayed[0]
		if wait := time.Until(s.due); wait > 0 {
			return wait
		}
		b.delayed = b.delayed[1:]
		if !s.closed {
			s.answer()
			s.Ready(false) // what came meanwhile raised its edge then
		}
	}
	return poll.Forever
}

// finish closes a connection, with an RST when reset.
func (b *rawBackend) finish(s *served, reset bool) {
	if s.closed {
		return
	}
	s.closed = true
	if reset {
		poll.ResetOnClose(s.fd)
	}
	b.loop.Drop(s.fd)
}

// gone reports whether err ends a connection.
func gone(err error) bool { return err != nil && !errors.Is(err, poll.ErrAgain) }

// finished reports whether err is the peer's orderly end.
func finished(err error) bool { return errors.Is(err, io.EOF) }
