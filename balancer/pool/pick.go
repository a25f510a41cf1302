package pool

import "net/netip"

// Request is what a choice may depend on.
type Request struct {
	Client netip.Addr
	SNI    string     // normalised, so that every spelling of a name hashes alike; may be empty
	Tried  []*Backend // backends that failed this connection already: not chosen again
	Draw   uint64     // uniform random number, for random_two and slow start
	Now    int64      // on Clock

	panicking bool // set by Pick
}

// tried tells whether b failed this connection already.
func (r *Request) tried(b *Backend) bool {
	for _, t := range r.Tried {
		if t == b {
			return true
		}
	}
	return false
}

// Refusal says why Pick found nothing.
type Refusal uint8

// The refusals.
const (
	NotRefused  Refusal = iota
	PoolFull            // the pool's max_connections
	BackendFull         // every usable backend is at its max_connections
	NoBackend           // no backend is left that may be tried
)

// Pick chooses a backend and reserves a slot on it, or says why none could be had. Backups are chosen only when no
// other backend can take the connection; backends of weight 0 never. The backend is nil exactly when there is a
// refusal; otherwise the caller owes one Release. Pick keeps nothing of r.
func (p *Pool) Pick(r *Request) (*Backend, Refusal) {
	m := p.members.Load()
	r.panicking = p.shared.panicking.Load()
	if !reserve(&p.shared.active, limitOf(p.cfg.MaxConnections)) {
		return nil, PoolFull
	}
	b, why := m.primary.pick(p.cfg, r)
	if b == nil && len(m.backup.members) > 0 {
		whyPrimary := why
		if b, why = m.backup.pick(p.cfg, r); whyPrimary == BackendFull && b == nil {
			why = BackendFull
		}
	}
	if b == nil {
		p.shared.active.Add(-1)
	}
	return b, why
}
