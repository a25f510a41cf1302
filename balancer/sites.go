package balancer

import (
	"net/netip"
	"sync"
	"time"
)

// sites is a change of where the server listens: which addresses go on as they are, which pass from one listener to
// another, and which are opened and closed. An address that stays is never closed, whatever its listener is called.
type sites struct {
	listeners []*listener       // as they will be, in file order
	configs   []*ListenerConfig // of them
	bound     [][]*binding      // of them
	opened    []site            // bound, and not listening before listen
	moved     []site            // to another listener
	closed    []*binding
	removed   []*listener
}

// site is an address with the listener that it is to be of.
type site struct {
	*binding
	of *listener
}

// planSites finds out how to come from the listeners there are to those that cfgs describe, and binds the addresses
// that are new. After an error nothing new is open.
func planSites(have []*listener, cfgs []ListenerConfig, workers int) (sites, error) {
	var p sites
	free := freeSites(have)
	byName := map[string]*listener{}
	for _, l := range have {
		byName[l.name()] = l
	}
	for i := range cfgs {
		l := byName[cfgs[i].Name]
		if l == nil {
			l = newListener(&cfgs[i], workers)
		}
		delete(byName, cfgs[i].Name)
		p.listeners, p.configs = append(p.listeners, l), append(p.configs, &cfgs[i])
		p.bound = append(p.bound, make([]*binding, len(cfgs[i].Bind)))
	}
	p.each(func(l *listener, want netip.AddrPort, b **binding) error { *b = free.take(l, want); return nil })
	p.each(func(l *listener, want netip.AddrPort, b **binding) error {
		if *b == nil && want.Port() != 0 {
			if *b = free.take(nil, want); *b != nil {
				p.moved = append(p.moved, site{*b, l})
			}
		}
		return nil
	})
	if err := p.open(have, workers); err != nil {
		p.abandon()
		return sites{}, err
	}
	for _, f := range free {
		p.closed = append(p.closed, f.binding)
	}
	for _, l := range have {
		if byName[l.name()] != nil {
			p.removed = append(p.removed, l)
		}
	}
	return p, nil
}

// each visits every address that is wanted, until one fails.
func (p *sites) each(f func(l *listener, want netip.AddrPort, b **binding) error) error {
	for i, l := range p.listeners {
		for j := range p.bound[i] {
			if err := f(l, p.configs[i].Bind[j], &p.bound[i][j]); err != nil {
				return err
			}
		}
	}
	return nil
}

// open binds what nobody has yet.
func (p *sites) open(have []*listener, workers int) error {
	return p.each(func(l *listener, want netip.AddrPort, b **binding) error {
		if *b != nil {
			return nil
		}
		if !overlapped(have, want) {
			if e := probe(want); e != 0 {
				return bindError(l.name(), want, e)
			}
		}
		opened, err := bind(l.name(), want, workers)
		if err != nil {
			return err
		}
		*b = opened
		p.opened = append(p.opened, site{opened, l})
		return nil
	})
}

// overlapped reports whether an address of ours would be in the way of a probe of want.
func overlapped(have []*listener, want netip.AddrPort) bool {
	for _, l := range have {
		for _, b := range *l.bound.Load() {
			if b.overlaps(want) {
				return true
			}
		}
	}
	return false
}

// free are the addresses that nobody has claimed yet.
type free []site

func freeSites(have []*listener) (all free) {
	for _, l := range have {
		for _, b := range *l.bound.Load() {
			all = append(all, site{b, l})
		}
	}
	return all
}

// take takes the address want of the listener l, or of any if l is nil; nil if it is not free.
func (f *free) take(l *listener, want netip.AddrPort) *binding {
	for i, s := range *f {
		if s.want == want && (l == nil || s.of == l) {
			*f = append((*f)[:i:i], (*f)[i+1:]...)
			return s.binding
		}
	}
	return nil
}

// listen makes the new addresses take connections; they wait until apply.
func (p *sites) listen() error {
	for _, s := range p.opened {
		if err := s.listen(s.of.name()); err != nil {
			return err
		}
	}
	return nil
}

// abandon closes what was opened.
func (p *sites) abandon() {
	for _, s := range p.opened {
		s.close()
	}
	p.opened = nil
}

// apply makes the change, once the world has the listeners: it returns when all loops have made theirs.
func (p *sites) apply(s *Server) {
	for i, l := range p.listeners {
		l.cfg.Store(p.configs[i])
		l.bound.Store(&p.bound[i])
	}
	s.relimit()
	if len(p.opened)+len(p.moved)+len(p.closed)+len(p.removed) == 0 {
		return
	}
	var all sync.WaitGroup
	for _, w := range s.workers {
		all.Go(func() {
			if !w.do(func() { p.hand(w) }) {
				p.withhold(w)
			}
		})
	}
	all.Wait()
	for _, l := range p.removed {
		l.retire()
	}
}

// retire forgets what a removed listener had. Its world, a whole table, is kept for as long as a hello may take: after
// that, no connection is left that has not been routed.
func (l *listener) retire() {
	l.bound.Store(new([]*binding))
	time.AfterFunc(l.cfg.Load().HelloTimeout+time.Second, func() { l.final.Store(nil) })
}

// hand gives w its sockets, moves them, and takes them away.
func (p *sites) hand(w *worker) {
	for _, s := range p.moved {
		s.sockets[w.index].listener = s.of
	}
	for _, s := range p.opened {
		w.attach(s.sockets[w.index], s.of)
	}
	for _, b := range p.closed {
		w.detach(b.sockets[w.index])
	}
}

// withhold closes what w, whose loop has ended, was to have.
func (p *sites) withhold(w *worker) {
	for _, s := range p.opened {
		s.sockets[w.index].close()
	}
}

// do runs f on the loop of w and waits for its end. false: the loop has ended, and f has not run.
func (w *worker) do(f func()) bool {
	done := make(chan struct{})
	if !w.loop.Post(func() {
		defer close(done)
		f()
	}) {
		return false
	}
	select {
	case <-done:
		return true
	case <-w.ended:
	}
	select {
	case <-done: // it was the last thing that the loop did, or nearly
		return true
	default:
		return false
	}
}
