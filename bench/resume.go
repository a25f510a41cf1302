package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/wire"
)

// sessions are what ModeResume resumes: one for each name, or where the pool of a name is known one for each pool, as
// all names of a pool have the same backend. A backend may let a session be resumed any number of times; it is taken
// from the full handshake before the load and stays the same.
type sessions struct{ caches []*sessionCache }

// sessionLimit is how many full handshakes a load makes before it starts.
const sessionLimit = 20_000

// newSessions makes the sessions by one full handshake each, as many at a time as the load has workers.
func newSessions(ctx context.Context, cfg LoadConfig, names wire.Names) (*sessions, error) {
	n := names.Len()
	if cfg.Pools > 0 {
		n = min(n, cfg.Pools)
	}
	if n > sessionLimit {
		return nil, fmt.Errorf("%d names need as many sessions, and %d are the most: ask for fewer names, or give the number "+
			"of pools if the names of a pool share a backend", n, sessionLimit)
	}
	s := &sessions{}
	for range n {
		s.caches = append(s.caches, &sessionCache{})
	}
	return s, s.prime(ctx, cfg, names)
}

// prime fills the caches. The first handshake that fails, or leaves no session, ends it.
func (s *sessions) prime(ctx context.Context, cfg LoadConfig, names wire.Names) error {
	places := make(chan struct{}, min(cfg.Workers, 64))
	errs := make(chan error, len(s.caches))
	sources := sourceAddrs(cfg)
	for i, cache := range s.caches {
		places <- struct{}{}
		go func() {
			defer func() { <-places }()
			d := dial{cfg: &cfg, source: sources[i%len(sources)], target: cfg.Targets[i%len(cfg.Targets)], name: names.At(i), cache: cache}
			_, _, err := d.handshake(ctx)
			if err == nil && cache.state == nil {
				err = errors.New("the server gave no session to resume")
			}
			if err != nil {
				err = fmt.Errorf("full handshake for %s: %w", d.name, err)
			}
			cache.full = true
			errs <- err
		}()
	}
	var first error
	for range s.caches {
		if err := <-errs; first == nil {
			first = err
		}
	}
	return first
}

func (s *sessions) len() int { return len(s.caches) }

// cache is the session for name i; nil where nothing is resumed.
func (s *sessions) cache(i int) tls.ClientSessionCache {
	if s == nil {
		return nil
	}
	return s.caches[i%len(s.caches)]
}

// sessionCache holds one session, whatever name asks for it.
type sessionCache struct {
	mu    sync.Mutex
	state *tls.ClientSessionState // guarded by mu
	full  bool                    // what comes after priming is not kept; set before the load starts
}

// Get implements tls.ClientSessionCache.
func (c *sessionCache) Get(string) (*tls.ClientSessionState, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.state != nil
}

// Put implements tls.ClientSessionCache. The first session stays: the load must not depend on which ticket came last,
// and crypto/tls puts nil after a handshake that failed.
func (c *sessionCache) Put(_ string, state *tls.ClientSessionState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.full && state != nil {
		c.state = state
	}
}

// ticketWait is how long another server than ours gets to send a ticket after the handshake (RFC 8446 §4.6.1).
const ticketWait = time.Second

// awaitTicket reads until a session is there. What else the server says is not our business.
func awaitTicket(client *tls.Conn, cache tls.ClientSessionCache, name string) {
	_ = client.SetReadDeadline(time.Now().Add(ticketWait))
	var b [512]byte
	for {
		if _, ok := cache.Get(name); ok {
			return
		}
		if _, err := client.Read(b[:]); err != nil {
			return
		}
	}
}
