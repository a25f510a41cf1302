package admin

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
)

// gate is a listener that hangs up on connections it should not have: from a user who may not ask, or past the number
// that may be open at once. It answers at once in both cases; nobody waits for a place.
type gate struct {
	net.Listener
	identify func(net.Conn) (uid uint32, err error) // nil: everybody may come in, and nobody knows who they are
	places   chan struct{}
	log      *slog.Logger
	refused  atomic.Uint64
}

func newGate(l net.Listener, identify func(net.Conn) (uint32, error), log *slog.Logger) *gate {
	return &gate{Listener: l, identify: identify, places: make(chan struct{}, maxConnections), log: log}
}

// Accept returns the next connection that may come in.
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		visitor := &guest{Conn: c, leave: sync.OnceFunc(func() { <-g.places })}
		if reason := g.refuse(visitor); reason != "" {
			c.Close()
			g.report(reason)
			continue
		}
		return visitor, nil
	}
}

// refuse takes a place for c and returns "", or says why not.
func (g *gate) refuse(c *guest) string {
	if g.identify != nil {
		uid, err := g.identify(c.Conn)
		if err != nil {
			return err.Error()
		}
		c.uid = &uid
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
	uid   *uint32 // of the user at the other end; nil: not asked
	leave func()
}

func (c *guest) Close() error {
	err := c.Conn.Close()
	c.leave()
	return err
}

type userKey struct{}

// withUser gives requests that come over c the user at its other end. It is http.Server's ConnContext.
func withUser(ctx context.Context, c net.Conn) context.Context {
	if g, ok := c.(*guest); ok && g.uid != nil {
		return context.WithValue(ctx, userKey{}, *g.uid)
	}
	return ctx
}

// userOf is the user who asks, or -1 where the kernel was not asked.
func userOf(ctx context.Context) int64 {
	if uid, ok := ctx.Value(userKey{}).(uint32); ok {
		return int64(uid)
	}
	return -1
}
