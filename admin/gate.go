package admin

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
)

// gate is a listener that hangs up on connections it should not have: from a user who may not ask, or past the number
// that may be open at once. It answers at once in both cases; nobody waits for a place.
type gate struct {
	net.Listener
	allow   func(net.Conn) error // nil: everybody
	places  chan struct{}
	log     *slog.Logger
	refused atomic.Uint64
}

func newGate(l net.Listener, allow func(net.Conn) error, log *slog.Logger) *gate {
	return &gate{Listener: l, allow: allow, places: make(chan struct{}, maxConnections), log: log}
}

// Accept returns the next connection that may come in.
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if reason := g.refuse(c); reason != "" {
			c.Close()
			g.report(reason)
			continue
		}
		return &guest{Conn: c, leave: sync.OnceFunc(func() { <-g.places })}, nil
	}
}

// refuse takes a place for c and returns "", or says why not.
func (g *gate) refuse(c net.Conn) string {
	if g.allow != nil {
		if err := g.allow(c); err != nil {
			return err.Error()
		}
	}
	select {
	case g.places <- struct{}{}:
		return ""
	default:
		return "too many connections"
	}
}

// report logs the 1st, 10th, 100th … refusal: whoever can connect must not be able to fill the log.
func (g *gate) report(reason string) {
	n := g.refused.Add(1)
	if powerOfTen(n) {
		g.log.Warn("admin connection refused", "reason", reason, "refused_total", n)
	}
}

func powerOfTen(n uint64) bool {
	for n >= 10 && n%10 == 0 {
		n /= 10
	}
	return n == 1
}

// guest gives its place back when it is closed.
type guest struct {
	net.Conn
	leave func()
}

func (c *guest) Close() error {
	err := c.Conn.Close()
	c.leave()
	return err
}
