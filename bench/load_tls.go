package bench

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/poll"
	"github.com/seed-23b4a313/switchyard/bench/internal/wire"
)

// handshaker is the generator of ModeHandshake: a goroutine for each connection, which is what crypto/tls wants.
type handshaker struct {
	cfg   LoadConfig
	names wire.Names

	mu     sync.Mutex
	tally  *tally  // guarded by mu
	choice *choice // guarded by mu
}

func runHandshakes(ctx context.Context, cfg LoadConfig) (*LoadReport, error) {
	names, err := wire.ParseNames(cfg.Names)
	if err != nil {
		return nil, err
	}
	h := &handshaker{cfg: cfg, names: names, tally: newTally(), choice: newChoice(cfg, names.Len())}
	var end time.Time
	if cfg.Duration > 0 {
		end = h.tally.began.Add(cfg.Duration)
	}
	if cfg.Rate > 0 {
		h.open(ctx, end)
	} else {
		h.closed(ctx, end)
	}
	return h.tally.report(cfg), nil
}

// closed runs Workers goroutines, each with one connection after the other.
func (h *handshaker) closed(ctx context.Context, end time.Time) {
	var workers sync.WaitGroup
	for range h.cfg.Workers {
		workers.Go(func() {
			for ctx.Err() == nil && (end.IsZero() || time.Now().Before(end)) && h.begin() {
				h.connect(ctx, time.Now())
			}
		})
	}
	workers.Wait()
}

// open starts connections when they are due, whatever became of the earlier ones.
func (h *handshaker) open(ctx context.Context, end time.Time) {
	var running sync.WaitGroup
	places := make(chan struct{}, h.cfg.Workers)
	schedule := arrivals{start: h.tally.began, rate: h.cfg.Rate}
	for due := schedule.next(); end.IsZero() || due.Before(end); due = schedule.next() {
		if !sleepUntil(ctx, due) || !h.begin() {
			break
		}
		schedule.taken++
		h.late(time.Since(due))
		select {
		case places <- struct{}{}:
			running.Go(func() {
				h.connect(ctx, due)
				<-places
			})
		default:
			h.fail(failOverflow, nil)
		}
	}
	running.Wait()
}

// begin counts a connection, unless there have been Count.
func (h *handshaker) begin() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cfg.Count > 0 && h.tally.started >= h.cfg.Count {
		return false
	}
	h.tally.started++
	return true
}

func (h *handshaker) late(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	record(h.tally.late, d)
}

func (h *handshaker) fail(kind string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tally.fail(kind, err)
}

// connect makes one connection and counts what became of it; latency is from due.
func (h *handshaker) connect(ctx context.Context, due time.Time) {
	h.mu.Lock()
	name, source, target := h.choice.next()
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, h.cfg.Timeout)
	defer cancel()
	answer, err := handshake(ctx, source, target, h.names.At(name))
	took := time.Since(due)

	h.mu.Lock()
	defer h.mu.Unlock()
	got, ok := wire.ReadAnswer(answer[:])
	switch {
	case err != nil:
		h.tally.fail(failureKind(err), err)
	case !ok:
		h.tally.fail(failCorrupt, nil)
	case h.cfg.Pools > 1 && int(got.Pool) != name%h.cfg.Pools:
		h.tally.fail(failMisrouted, nil)
	default:
		h.tally.done++
		record(h.tally.latency, took)
	}
}

// handshake connects from source, completes a full handshake for the name, and reads the backend's answer in it.
func handshake(ctx context.Context, source netip.Addr, target netip.AddrPort, name string) (answer [wire.AnswerLen]byte, err error) {
	dialer := net.Dialer{}
	if source.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
		dialer.Control = shareSourcePorts
	}
	conn, err := dialer.DialContext(ctx, "tcp", target.String())
	if err != nil {
		return answer, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	client := tls.Client(conn, &tls.Config{
		ServerName:         name,
		NextProtos:         []string{"h2", "http/1.1"},
		InsecureSkipVerify: true, // what is measured is the way, and the backend made its certificate up
	})
	_, err = io.ReadFull(client, answer[:])
	return answer, err
}

// shareSourcePorts has the kernel choose the port when it knows the destination; see [poll.Connect].
func shareSourcePorts(_, _ string, c syscall.RawConn) error {
	var err error
	if err2 := c.Control(func(fd uintptr) { err = poll.LateSourcePort(int(fd)) }); err2 != nil {
		return err2
	}
	return err
}

// sleepUntil reports false when ctx ended first.
func sleepUntil(ctx context.Context, t time.Time) bool {
	wait := time.Until(t)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
