package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/poll"
	"github.com/seed-23b4a313/switchyard/bench/internal/wire"
)

// handshaker is the generator of ModeHandshake and ModeResume: a goroutine for each connection, which is what
// crypto/tls wants.
type handshaker struct {
	cfg      LoadConfig
	names    wire.Names
	sessions *sessions // of ModeResume

	mu     sync.Mutex
	tally  *tally  // guarded by mu
	choice *choice // guarded by mu
}

func runHandshakes(ctx context.Context, cfg LoadConfig) (*LoadReport, error) {
	names, err := wire.ParseNames(cfg.Names)
	if err != nil {
		return nil, err
	}
	h := &handshaker{cfg: cfg, names: names, choice: newChoice(cfg, names.Len())}
	primed := 0
	if cfg.Mode == ModeResume {
		if h.sessions, err = newSessions(ctx, cfg, names); err != nil {
			return nil, err
		}
		primed = h.sessions.len()
	}
	h.tally = newTally()
	h.tally.primed = primed
	stop := h.tellEachSecond()
	var end time.Time
	if cfg.Duration > 0 {
		end = h.tally.began.Add(cfg.Duration)
	}
	if cfg.Rate > 0 {
		h.open(ctx, end)
	} else {
		h.closed(ctx, end)
	}
	stop() // from here on nobody else reads the tally
	return h.tally.report(cfg), nil
}

// tellEachSecond reports progress until stop is called.
func (h *handshaker) tellEachSecond() (stop func()) {
	ticker, ended := time.NewTicker(progressEvery), make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		for {
			select {
			case now := <-ticker.C:
				h.mu.Lock()
				h.tally.tell(now, h.cfg.Mode, h.cfg.Progress)
				h.mu.Unlock()
			case <-ended:
				return
			}
		}
	})
	return func() {
		ticker.Stop()
		close(ended)
		telling.Wait()
	}
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
	d := dial{cfg: &h.cfg, source: source, target: target, name: h.names.At(name), cache: h.sessions.cache(name)}
	state, answer, err := d.handshake(ctx)
	took := time.Since(due)

	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.tally.negotiated[negotiated(state)]++
		err = h.check(name, state, answer)
	}
	if err != nil {
		h.tally.fail(failureKind(err), err)
		return
	}
	h.tally.finish()
	h.tally.measured(took)
}

// The ways in which a complete handshake can still be the wrong one.
var (
	errCorrupt    = errors.New("the answer is not our backend's")
	errMisrouted  = errors.New("the answer is from another pool")
	errNotResumed = errors.New("the backend did not resume the session")
)

func (h *handshaker) check(name int, state tls.ConnectionState, answer [wire.AnswerLen]byte) error {
	got, ok := wire.ReadAnswer(answer[:])
	switch {
	case !ok && !h.cfg.AnyServer:
		return errCorrupt
	case h.cfg.Pools > 1 && int(got.Pool) != name%h.cfg.Pools:
		return errMisrouted
	case h.cfg.Mode == ModeResume && !state.DidResume:
		return errNotResumed
	}
	return nil
}

// negotiated is what a handshake agreed on.
func negotiated(s tls.ConnectionState) string {
	text := tls.VersionName(s.Version)
	if s.CurveID != 0 {
		text += ", " + s.CurveID.String()
	}
	if len(s.PeerCertificates) > 0 {
		text += ", " + s.PeerCertificates[0].PublicKeyAlgorithm.String()
	}
	if s.DidResume {
		text += ", resumed"
	}
	return text
}

// dial is one connection that completes a handshake.
type dial struct {
	cfg    *LoadConfig
	source netip.Addr // the zero Addr: the kernel's choice
	target netip.AddrPort
	name   string
	cache  tls.ClientSessionCache // nil: a full handshake
}

// handshake connects, completes the handshake, reads our backend's answer in it, and closes.
func (d *dial) handshake(ctx context.Context) (state tls.ConnectionState, answer [wire.AnswerLen]byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Timeout)
	defer cancel()
	conn, err := d.connect(ctx)
	if err != nil {
		return state, answer, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	config := d.cfg.spec().Config(d.name)
	config.ClientSessionCache = d.cache
	client := tls.Client(&cutConn{Conn: conn, cut: d.cfg.cut()}, config)
	if err = client.HandshakeContext(ctx); err == nil && !d.cfg.AnyServer {
		_, err = io.ReadFull(client, answer[:])
	}
	if err == nil && d.cfg.AnyServer && d.cache != nil {
		awaitTicket(client, d.cache, d.name)
	}
	return client.ConnectionState(), answer, err
}

func (d *dial) connect(ctx context.Context) (net.Conn, error) {
	dialer := net.Dialer{}
	if d.source.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(d.source, 0))
		dialer.Control = shareSourcePorts
	}
	return dialer.DialContext(ctx, "tcp", d.target.String())
}

// cutConn divides what is written first, the hello, into records and segments.
type cutConn struct {
	net.Conn
	cut     wire.Cut
	written bool
}

// Write implements net.Conn.
func (c *cutConn) Write(b []byte) (int, error) {
	if c.written {
		return c.Conn.Write(b)
	}
	c.written = true
	cut := c.cut.InRecords(b)
	for at := 0; at < len(cut); {
		part := c.cut.Next(cut, at)
		if at > 0 {
			time.Sleep(c.cut.Gap)
		}
		n, err := c.Conn.Write(part)
		if at += n; err != nil {
			return 0, fmt.Errorf("after %d of %d bytes of the hello: %w", at, len(cut), err)
		}
	}
	return len(b), nil
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
