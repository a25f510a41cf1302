package relay

import (
	"sync/atomic"

	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// pipeRoom is the room a pipe asks for. 1 MiB halves the CPU time per GB against the kernel's 64 KiB (docs/adr).
const pipeRoom = 1 << 20

// keepPipes is how many idle pipes a loop keeps for the next bulk transfer.
const keepPipes = 16

// Pipe is a kernel pipe that carries spliced bytes. Between two users it is empty.
type Pipe struct {
	r, w int
	room int // bytes it can hold
	held int // bytes in it now
}

// PipeBudget bounds the pipes of all loops together: each costs two descriptors. The zero PipeBudget allows none.
type PipeBudget struct {
	// Lent reports whether descriptors just got may be some that connections are refused with, and are to be given back.
	// It is set before the first use; nil: they never are.
	Lent func() bool
	left atomic.Int64
}

// NewPipeBudget allows n pipes.
func NewPipeBudget(n int) *PipeBudget {
	b := &PipeBudget{}
	b.left.Store(int64(n))
	return b
}

func (b *PipeBudget) take() bool {
	if b.left.Add(-1) >= 0 {
		return true
	}
	b.left.Add(1)
	return false
}

// pipes lends pipes to the flows of one loop.
type pipes struct {
	budget *PipeBudget
	free   []*Pipe
}

// get lends an empty pipe; nil means that there is none to be had now, and copying must do.
func (p *pipes) get() *Pipe {
	if n := len(p.free); n > 0 {
		v := p.free[n-1]
		p.free = p.free[:n-1]
		return v
	}
	if p.budget == nil || !p.budget.take() {
		return nil
	}
	r, w, room, e := sys.Pipe(pipeRoom)
	if e != 0 {
		p.budget.left.Add(1)
		return nil
	}
	v := &Pipe{r: r, w: w, room: room}
	if p.budget.Lent != nil && p.budget.Lent() {
		p.close(v)
		return nil
	}
	return v
}

// put takes a pipe back. One that still holds bytes of a dead connection is closed: nobody may ever read them.
func (p *pipes) put(v *Pipe) {
	if v.held == 0 && len(p.free) < keepPipes {
		p.free = append(p.free, v)
		return
	}
	p.close(v)
}

func (p *pipes) close(v *Pipe) {
	sys.Close(v.r)
	sys.Close(v.w)
	p.budget.left.Add(1)
}
