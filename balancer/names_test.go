package balancer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// zone is a name server with one name, whose record tests change.
type zone struct {
	mu    sync.Mutex
	addrs []netip.Addr
	err   error
	asked int
}

func (z *zone) set(err error, list ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.err, z.addrs = err, nil
	for _, a := range list {
		z.addrs = append(z.addrs, netip.MustParseAddr(a))
	}
}

func (z *zone) lookup(context.Context, string) ([]netip.Addr, time.Duration, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked++
	return z.addrs, time.Second, z.err // the resolver's floor
}

func (z *zone) lookups() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked
}

// listenOnAll opens the same port on each of hosts, answering with the host's name, and returns the port.
func listenOnAll(t *testing.T, hosts ...string) uint16 {
	t.Helper()
	for range 20 {
		first, err := net.Listen("tcp", hosts[0]+":0")
		if err != nil {
			t.Fatal(err)
		}
		port := first.Addr().(*net.TCPAddr).Port
		open := []net.Listener{first}
		for _, h := range hosts[1:] {
			l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", h, port))
			if err != nil {
				break // the port is taken there: another one
			}
			open = append(open, l)
		}
		if len(open) == len(hosts) {
			for i, l := range open {
				serveOn(t, l, func(c *net.TCPConn) {
					if _, err := readHelloRecord(c); err == nil {
						c.Write([]byte(hosts[i]))
					}
				})
			}
			return uint16(port)
		}
		for _, l := range open {
			l.Close()
		}
	}
	t.Fatal("no port is free on all addresses")
	return 0
}

// named is a pool with one backend, which has a name.
func named(port uint16) pool.Config {
	p := testPool("pool")
	p.Backends = []pool.BackendConfig{{Host: "backend.test", Addr: netip.AddrPortFrom(netip.Addr{}, port), Weight: 1}}
	return p
}

// ask is which backend answers.
func ask(t *testing.T, addr string) string {
	got, _ := exchange(t, addr, helloA)
	if len(got) == 7 && got[0] == 21 {
		return fmt.Sprintf("alert %d", got[6])
	}
	return string(got)
}

// R17: members follow the record; an error, an empty answer and a useless one change nothing; all addresses serve.
func TestBackendsFollowTheirName(t *testing.T) {
	t.Parallel()
	port := listenOnAll(t, "127.0.1.1", "127.0.1.2")
	z := &zone{}
	s := serve(t, oneHost("a.example.com", named(port)), func(o *Options) { o.Lookup = z.lookup })
	if got := ask(t, s.addr); got != "alert 80" {
		t.Errorf("without an address: %q, want the alert internal_error", got)
	}
	becomes := func(want string) {
		t.Helper()
		eventually(t, func() bool { return ask(t, s.addr) == want }, func() string { return want + " to serve" })
	}
	z.set(nil, "127.0.1.1")
	becomes("127.0.1.1")
	changed := time.Now()
	z.set(nil, "127.0.1.2")
	becomes("127.0.1.2")
	if took := time.Since(changed); full() && took > 2*time.Second {
		t.Errorf("the new member served after %v, want TTL + 1s", took)
	}
	for _, useless := range []struct {
		err   error
		addrs []string
	}{{errors.New("NXDOMAIN"), nil}, {nil, nil}, {nil, []string{"0.0.0.0", "::"}}} {
		z.set(useless.err, useless.addrs...)
		before := z.lookups()
		eventually(t, func() bool { return z.lookups() > before }, func() string { return "another lookup" })
		if got := ask(t, s.addr); got != "127.0.1.2" {
			t.Errorf("after %v %v: %q serves, want the last good member", useless.err, useless.addrs, got)
		}
		z.set(nil, "127.0.1.2") // ends the pauses, which grow with every error
		eventually(t, func() bool { return z.lookups() > before+1 }, func() string { return "another lookup" })
	}
	z.set(nil, "127.0.1.1", "127.0.1.2")
	eventually(t, func() bool { return len(s.Stats().Pools[0].Backends) == 2 }, func() string { return "two members" })
	if a, b := ask(t, s.addr), ask(t, s.addr); a == b {
		t.Errorf("%s answered twice, want one after the other", a)
	}
}

// R17: a name that leads back to a listener of this process is not followed there: it would go round for ever.
func TestNameOfOurOwnListenerIsIgnored(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, bind string }{
		{"the address itself", "127.0.2.1"}, {"a listener on all addresses", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			z := &zone{}
			z.set(nil, "127.0.2.1", "127.0.2.9") // nobody listens on .9
			port := freePort(t).Port()
			cfg := oneHost("a.example.com", named(port))
			bind := netip.AddrPortFrom(netip.Addr{}, port)
			if c.bind != "" {
				bind = netip.AddrPortFrom(netip.MustParseAddr(c.bind), port)
			}
			cfg.Listeners[0].Bind = []netip.AddrPort{bind}
			s := serve(t, cfg, func(o *Options) { o.Lookup = z.lookup })
			eventually(t, func() bool { return strings.Contains(s.log.String(), "address ignored") },
				func() string { return "the warning" })
			for _, b := range s.Stats().Pools[0].Backends {
				if strings.HasPrefix(b.Address, "127.0.2.1:") {
					t.Errorf("our own listener is a backend: %s", b.Address)
				}
			}
			to := s.addr
			if c.bind == "" {
				to = fmt.Sprintf("127.0.0.1:%d", s.Addrs("public")[0].Port())
			}
			ask(t, to)
			if got := s.Stats().Listeners[0].Accepted; got != 1 {
				t.Errorf("%d connections were accepted, one was made", got)
			}
		})
	}
}
