package balancer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/resolve"
)

// serviceZone is a name server of one service, whose hosts are their own addresses.
type serviceZone struct {
	mu      sync.Mutex
	targets []resolve.Target
}

func (z *serviceZone) set(targets ...resolve.Target) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.targets = targets
}

func (z *serviceZone) service(context.Context, string) ([]resolve.Target, time.Duration, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(z.targets) == 0 {
		return nil, 0, errors.New("no answer")
	}
	return append([]resolve.Target(nil), z.targets...), time.Second, nil
}

func (z *serviceZone) host(_ context.Context, name string) ([]netip.Addr, time.Duration, error) {
	a, err := netip.ParseAddr(name)
	return []netip.Addr{a}, time.Minute, err
}

// R17: the targets of a service are backends, those of the lowest priority first; a record that goes drains its backend,
// one that leads to ourselves is ignored, and without an answer the last one stands.
func TestBackendsOfAService(t *testing.T) {
	t.Parallel()
	one, two := netip.MustParseAddrPort(echo(t)), netip.MustParseAddrPort(echo(t))
	target := func(a netip.AddrPort, priority, weight uint16) resolve.Target {
		return resolve.Target{Host: a.Addr().String(), Port: a.Port(), Priority: priority, Weight: weight}
	}
	zone := &serviceZone{}
	zone.set(target(one, 10, 5), target(two, 20, 0))
	p := testPool("pool")
	p.Backends = []pool.BackendConfig{{Service: "_https._tcp.example.net", Weight: 1}}
	s := serve(t, oneHost("a.example.com", p), func(o *Options) { o.Lookup, o.LookupService = zone.host, zone.service })
	show := func() (list []string) {
		for _, b := range s.Stats().Pools[0].Backends {
			list = append(list, fmt.Sprint(b.Address, " ", b.Weight, " ", b.Backup))
		}
		return list
	}
	becomes := func(name string, want ...string) {
		t.Helper()
		eventually(t, func() bool { return cmp.Equal(want, show()) }, func() string { return fmt.Sprint(name, ": ", want, " and not ", show()) })
	}
	entry := func(a netip.AddrPort, rest string) string { return a.String() + " " + rest }
	sorted := []string{entry(one, "5 false"), entry(two, "1 true")}
	if two.Compare(one) < 0 {
		sorted[0], sorted[1] = sorted[1], sorted[0]
	}
	becomes("two priorities", sorted...)
	c := open(t, s.addr, helloA, helloA)
	self := netip.MustParseAddrPort(s.addr)
	zone.set(target(two, 20, 0), target(self, 20, 9))
	becomes("one left, and ourselves came", entry(two, "1 false"))
	mustWrite(t, c, []byte("still there"))
	mustRead(t, c, []byte("still there"))
	zone.set()
	time.Sleep(1500 * time.Millisecond) // longer than the record's life
	becomes("no answer", entry(two, "1 false"))
	open(t, s.addr, helloA, helloA).Close()
}
