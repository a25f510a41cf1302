package bench

import (
	"math/rand/v2"
	"net/netip"
)

// choice draws, for one connection after the other, its name, source and target.
type choice struct {
	names   int
	zipf    *rand.Zipf // nil: uniform
	random  *rand.Rand
	sources []netip.Addr
	targets []netip.AddrPort
	drawn   int
}

func newChoice(cfg LoadConfig, names int) *choice {
	c := &choice{
		names:   names,
		random:  rand.New(rand.NewPCG(cfg.Seed, 0)),
		sources: sourceAddrs(cfg),
		targets: cfg.Targets,
	}
	if cfg.Zipf > 1 {
		c.zipf = rand.NewZipf(c.random, cfg.Zipf, 1, uint64(names-1))
	}
	return c
}

// next draws a name and takes the sources in turn. Name i goes to target i modulo their number, as it goes to the
// pool of that number behind a balancer.
func (c *choice) next() (name int, source netip.Addr, target netip.AddrPort) {
	if c.zipf != nil {
		name = int(c.zipf.Uint64())
	} else {
		name = c.random.IntN(c.names)
	}
	source = c.sources[c.drawn%len(c.sources)]
	c.drawn++
	return name, source, c.targets[name%len(c.targets)]
}
