package pool

import (
	"slices"
)

// The table has at least slotsPerMember slots for each member, so that shares of equal members differ by about 1 %
// (Eisenbud et al., "Maglev: a fast and reliable software network load balancer", NSDI 2016, §3.4 and figure 12).
const slotsPerMember = 100

// tableSizes are primes: the smallest is that of the paper, each later one the largest below a power of two. A pool
// that grows past 655, 1310, 2621 … members changes size, and then nearly every key moves: few sizes, few moves.
var tableSizes = []int{65537, 131071, 262139, 524287, 1048573, 2097143, 4194301, 8388593, 16777213}

// The keys of the hashes. They are part of what the table promises: the same members, the same table, in
// every version and on every machine. Changing one moves nearly all clients to another backend.
var (
	offsetKey = sipKey{0x6d61676c65762f31, 0x6f66667365740000} // "maglev/1", "offset"
	skipKey   = sipKey{0x6d61676c65762f31, 0x736b697000000000} // "maglev/1", "skip"
	clientKey = sipKey{0x6d61676c65762f31, 0x636c69656e740000} // "maglev/1", "client"
	nameKey   = sipKey{0x6d61676c65762f31, 0x736e690000000000} // "maglev/1", "sni"
)

// longestWalk bounds how many slots are tried for one key.
const longestWalk = 64

// maglev claims the member in the slot of r's key. If that one cannot take r, the key walks on through all slots in
// an order of its own, so that keys which share a slot part, and the share of a member that is out is spread over
// all others; the same key goes the same way wherever the same members are out.
func (g *group) maglev(by HashKey, r *Request) (*Backend, uint64) {
	key := keyOf(by, r)
	size := uint64(len(g.table))
	at, step := key%size, scramble(key)%(size-1)+1
	for range longestWalk {
		b := g.members[g.table[at]]
		if g.admits(b, r, key) && b.claim(r) == claimed {
			return b, 0
		}
		if at += step; at >= size {
			at -= size
		}
	}
	return nil, key
}

// keyOf hashes what the pool hashes by. The client's address counts as 16 bytes without zone, an IPv4 address as its
// 4-in-6 form. Where the name is wanted and there is none, the address stands in: else all those
// connections would meet on one backend.
func keyOf(by HashKey, r *Request) uint64 {
	if by == HashSNI && r.SNI != "" {
		return sipHash(nameKey, r.SNI)
	}
	if !r.Client.IsValid() {
		return sipHash(clientKey, "")
	}
	addr := r.Client.As16()
	return sipHash(clientKey, addr[:])
}

// maglevTable lays the table: members take turns, each taking the first free slot of its own permutation of all
// slots. A member with half the largest weight has a turn in every second round, and so on. weights are in the
// order of members, and these are sorted by name.
func maglevTable(members []*Backend, weights []uint64) []uint32 {
	if len(members) == 0 {
		return nil
	}
	size := tableSize(len(members))
	table := make([]uint32, size)
	taken := make([]bool, size)
	seats := make([]seat, len(members))
	for i, b := range members {
		seats[i] = newSeat(b.Name, size)
	}
	heaviest := slices.Max(weights)
	for left := size; ; {
		for i := range seats {
			// A turn is due when the weights gained so far pay for it.
			if seats[i].gained += weights[i]; seats[i].gained < heaviest {
				continue
			}
			seats[i].gained -= heaviest
			slot := seats[i].next(taken)
			taken[slot], table[slot] = true, uint32(i)
			if left--; left == 0 {
				return table
			}
		}
	}
}

// tableSize is the smallest of tableSizes that is large enough, or the largest there is.
func tableSize(members int) int {
	for _, size := range tableSizes {
		if size >= slotsPerMember*members {
			return size
		}
	}
	return tableSizes[len(tableSizes)-1]
}

// seat is a member while the table is laid.
type seat struct {
	at, skip int    // where its permutation stands, and by how much it moves on
	gained   uint64 // weight gained and not yet paid for a turn
}

func newSeat(name string, size int) seat {
	return seat{
		at:   int(sipHash(offsetKey, name) % uint64(size)),
		skip: int(sipHash(skipKey, name)%uint64(size-1)) + 1,
	}
}

// next moves on to a slot that is not taken. There is one: size is prime, so the permutation meets every slot.
func (s *seat) next(taken []bool) int {
	for taken[s.at] {
		if s.at += s.skip; s.at >= len(taken) {
			s.at -= len(taken)
		}
	}
	return s.at
}
