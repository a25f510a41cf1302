package balancer

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// quickCheck is a check by TCP that finds out in tenths of a second. A busy machine is given more time than that.
func quickCheck() *pool.Check {
	return &pool.Check{Interval: 50 * time.Millisecond, Timeout: 20 * time.Second, Rise: 2, Fall: 2}
}

// toggled is a backend that listens or does not.
type toggled struct {
	addr     string
	l        net.Listener
	accepted atomic.Int64
	answer   atomic.Bool // a hello is answered
}

func newToggled(t testing.TB) *toggled {
	b := &toggled{}
	_, addr := boundSocket(t) // while it does not listen, nobody else gets the port
	b.listen(t, addr)
	t.Cleanup(func() { b.l.Close() })
	return b
}

func (b *toggled) listen(t testing.TB, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	b.l, b.addr = l, l.Addr().String()
	serveOn(t, l, func(c *net.TCPConn) {
		b.accepted.Add(1)
		if b.answer.Load() {
			if _, err := readHelloRecord(c); err == nil {
				c.Write(serverHelloLike)
			}
		}
		io.Copy(io.Discard, c)
	})
}

// R16: what checks find decides, is told once per change, and survives a reload.
func TestChecksFindBackendsDownAndUp(t *testing.T) {
	t.Parallel()
	one, two := newToggled(t), newToggled(t)
	p := testPool("pool", one.addr, two.addr)
	p.Health = quickCheck()
	cfg := oneHost("a.example.com", p)
	s := serve(t, cfg)
	state := func(want pool.State) {
		t.Helper()
		eventually(t, func() bool { return s.stateOf(t, one.addr).State == want }, want.String)
	}
	state(pool.StateUp)
	one.l.Close()
	state(pool.StateDown)
	if b := s.stateOf(t, one.addr); !strings.Contains(b.Reason, "refused") || b.Since.IsZero() || b.Up {
		t.Errorf("reason %q since %v, up %v, want refused, some time ago, false", b.Reason, b.Since, b.Up)
	}
	next := *cfg
	next.Pools = []pool.Config{p}
	next.Pools[0].Name = "pool"
	next.Pools[0].IdleTimeout = time.Hour
	s.reload(t, &next)
	if b := s.stateOf(t, one.addr); b.State != pool.StateDown {
		t.Errorf("after a reload: %v, want down", b.State)
	}
	again := next
	again.Pools = []pool.Config{next.Pools[0]}
	check := *quickCheck()
	check.Fall = 3
	again.Pools[0].Health = &check
	s.reload(t, &again)
	if b := s.stateOf(t, one.addr); b.State != pool.StateDown {
		t.Errorf("after the check was changed: %v, want down", b.State)
	}
	one.listen(t, one.addr)
	state(pool.StateUp)
	eventually(t, func() bool { return strings.Contains(s.log.String(), `"from":"down"`) }, func() string { return "the line about it" })
	if log := s.log.String(); strings.Count(log, `"to":"down"`) != 1 || strings.Count(log, `"from":"down"`) != 1 {
		t.Error("want one line for each change")
	}
	off := again
	off.Pools = []pool.Config{again.Pools[0]}
	off.Pools[0].Health = nil
	s.reload(t, &off)
	state(pool.StateUnknown)
}

// R16: an address is checked once, however many pools share it.
func TestPoolsShareTheChecksOfAnAddress(t *testing.T) {
	t.Parallel()
	const interval = 100 * time.Millisecond
	b := newToggled(t)
	cfg := oneHost("a.example.com", testPool("pool", b.addr))
	cfg.Pools = nil
	for _, name := range []string{"pool", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10"} {
		p := testPool(name, b.addr)
		p.Health = quickCheck()
		p.Health.Interval, p.Health.FastInterval = interval, interval
		cfg.Pools = append(cfg.Pools, p)
	}
	began := time.Now()
	s := serve(t, cfg)
	eventually(t, func() bool {
		for _, p := range s.Stats().Pools {
			if p.Backends[0].State != pool.StateUp {
				return false
			}
		}
		return b.accepted.Load() >= 5
	}, func() string { return "each pool told, by five checks" })
	if n, most := b.accepted.Load(), int64(time.Since(began)/(interval*8/10))+2; n > most {
		t.Errorf("%d checks, want at most %d, as for one pool", n, most)
	}
}

// A certificate that ends soon is warned of once, not at every check.
func TestACertificateThatEndsSoonIsWarnedOf(t *testing.T) {
	t.Parallel()
	addr, cert := tlsEcho(t, "a.example.com") // for an hour
	p := testPool("pool", addr)
	p.Health = quickCheck()
	p.Health.Type, p.Health.SNI = pool.CheckTLS, "a.example.com"
	s := serve(t, oneHost("a.example.com", p))
	b := s.world.Load().pools["pool"].Backends()[0]
	eventually(t, func() bool { return b.Report() != nil && !b.Report().NotAfter.IsZero() }, func() string { return "a check" })
	first := b.Report().Last
	eventually(t, func() bool { return b.Report().Last.Sub(first) > 150*time.Millisecond }, func() string { return "more checks" })
	if got := s.stateOf(t, addr).CertNotAfter; !got.Equal(cert.Leaf.NotAfter) {
		t.Errorf("the certificate ends %v, want %v", got, cert.Leaf.NotAfter)
	}
	eventually(t, func() bool { return strings.Contains(s.log.String(), "expires soon") }, func() string { return "the warning" })
	if n := strings.Count(s.log.String(), "expires soon"); n != 1 {
		t.Errorf("%d warnings, want one", n)
	}
}

// What a thousand backends in a hundred pools cost, checked, in memory: at most 32 KiB each, with their place in the tables
// of their pools.
func TestMemoryPerBackend(t *testing.T) {
	const pools, backends = 100, 10
	var cfg *Config
	for i := range pools {
		p := testPool(fmt.Sprint("pool", i))
		for k := range backends {
			p.Backends = append(p.Backends, pool.BackendConfig{
				Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i), byte(k)}), 9), Weight: 1,
			})
		}
		p.Health = &pool.Check{Interval: 200 * time.Millisecond, Timeout: 100 * time.Millisecond, Rise: 2, Fall: 3}
		p.Outlier = &pool.Outlier{Failures: 5, Eject: time.Minute, MaxEjected: 50}
		p.SlowStart, p.QueueTimeout, p.QueueSize = time.Minute, time.Second, 100
		if cfg == nil {
			cfg = oneHost("a.example.com", p)
			cfg.Pools[0].Name, cfg.Routes[0].Action = p.Name, toPool(p.Name)
			continue
		}
		cfg.Pools = append(cfg.Pools, p)
	}
	before := heap()
	s := serve(t, cfg)
	eventually(t, func() bool { // nobody listens at port 9
		for _, p := range s.world.Load().order {
			for _, b := range p.Backends() {
				if b.State() != pool.StateDown {
					return false
				}
			}
		}
		return true
	}, func() string { return "a check of each backend" })
	each := (heap() - before) / (pools * backends)
	t.Logf("%d bytes for each backend", each)
	if each > 32<<10 {
		t.Errorf("%d bytes for each backend, want at most 32 KiB", each)
	}
}

// heap is what is in use, after a collection.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
