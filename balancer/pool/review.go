package pool

import "time"

// Report is what active checks say of a backend. It is not changed once it was given to Checked.
type Report struct {
	State   State     // StateUnknown until enough checks agree
	Error   string    // of the last failed check; "" if none failed
	Last    time.Time // of the last check
	Latency time.Duration
	// NotAfter is the end of the certificate that was shown; zero if none was.
	NotAfter time.Time
	Names    []string // that the certificate is for
}

// Checked takes note of what the checks say of b, and puts it in force. A backend that nobody checks any more gets nil, and
// is what it was before anybody did. changed asks for a Review of its pool.
func (b *Backend) Checked(r *Report) (changed bool) {
	b.report.Store(r)
	state := StateUnknown
	if r != nil {
		state = r.State
	}
	return b.SetState(state) != state
}

// Report is what checks said of b last; nil if nothing.
func (b *Backend) Report() *Report { return b.report.Load() }

// Since is when the state of b changed last, on Clock; 0 if it never has.
func (b *Backend) Since() int64 { return b.since.Load() }

// Change is a state that is another than at the last Review.
type Change struct {
	Backend  *Backend
	From, To State
}

// Review is what became of a pool since the one before.
type Review struct {
	Changes      []Change
	Panic        bool // panic mode is on
	PanicChanged bool
	Healthy      int   // backends that can take connections
	Total        int   // backends that are not drained
	Next         int64 // when to look again, on Clock; 0: when something happens
}

// Review ends ejections whose time is over, and decides whether the pool is in panic mode. It is for the one goroutine that
// watches over the pool in force, at Next, and after SetState, Set, Take, SetAddrs, or an Observe that has ejected.
func (p *Pool) Review(now int64) (r Review) {
	p.shared.mu.Lock()
	defer p.shared.mu.Unlock()
	for _, b := range p.Backends() {
		if until := p.readmit(b, now); until != 0 && (r.Next == 0 || until < r.Next) {
			r.Next = until
		}
		if began := b.ramp.Load(); began != 0 && now-began >= int64(p.cfg.SlowStart) {
			b.ramp.CompareAndSwap(began, 0)
		}
		if state := b.State(); state != b.told {
			r.Changes = append(r.Changes, Change{b, b.told, state})
			b.told = state
			b.since.Store(now)
		}
	}
	p.decidePanic(&r)
	return r
}

// decidePanic turns panic mode on when less than PanicBelow percent of the backends that are not drained are healthy: the
// few would get the load of all. Backups save a pool from it as long as enough of them are healthy.
func (p *Pool) decidePanic(r *Review) {
	var healthy, total [2]int // of primaries, of backups
	for _, b := range p.Backends() {
		cfg := b.Config()
		if cfg.Weight == 0 || b.Override() != OverrideNone {
			continue
		}
		i := 0
		if cfg.Backup {
			i = 1
		}
		total[i]++
		if b.State().Usable() {
			healthy[i]++
		}
	}
	short := func(i int) bool { return healthy[i]*100 < total[i]*p.cfg.PanicBelow }
	r.Panic = (short(0) || total[0] == 0) && (short(1) || total[1] == 0) && total[0]+total[1] > 0
	r.PanicChanged = p.shared.panicking.Swap(r.Panic) != r.Panic
	r.Healthy, r.Total = healthy[0]+healthy[1], total[0]+total[1]
}

// Panicking reports whether the pool is in panic mode.
func (p *Pool) Panicking() bool { return p.shared.panicking.Load() }

// Ejections is how often backends of the pool were ejected.
func (p *Pool) Ejections() uint64 { return p.shared.ejections.Load() }
