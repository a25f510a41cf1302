package relay

import "math/bits"

// Buffers keeps byte slices of the sizes 2 KiB, 4 KiB … 128 KiB for borrowing. The zero Buffers is empty and
// ready. It belongs to one loop and keeps at most keepPerClass of a size; the rest is the collector's.
type Buffers struct {
	// Lent is how many bytes are lent now.
	Lent int64
	free [classes][][]byte
}

const (
	smallest     = 11 // 1<<11 = 2 KiB: an ordinary hello with a post-quantum key share fits
	classes      = 7
	keepPerClass = 64
)

// Get lends a slice of at least n bytes; its length is its capacity. Above 128 KiB it is made for the occasion.
func (p *Buffers) Get(n int) []byte {
	c := class(n)
	if c >= classes {
		p.Lent += int64(n)
		return make([]byte, n)
	}
	p.Lent += 1 << (smallest + c)
	if k := len(p.free[c]); k > 0 {
		b := p.free[c][k-1]
		p.free[c] = p.free[c][:k-1]
		return b
	}
	return make([]byte, 1<<(smallest+c))
}

// Put takes a slice back that Get lent. The caller has no other reference to it.
func (p *Buffers) Put(b []byte) {
	b = b[:cap(b)]
	p.Lent -= int64(len(b))
	c := class(len(b))
	if c >= classes || len(b) != 1<<(smallest+c) || len(p.free[c]) >= keepPerClass {
		return
	}
	p.free[c] = append(p.free[c], b)
}

// class is the index of the smallest size that holds n bytes.
func class(n int) int {
	if n <= 1<<smallest {
		return 0
	}
	return bits.Len(uint(n-1)) - smallest
}
