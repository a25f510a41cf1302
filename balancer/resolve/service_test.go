package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
)

// services is a name server of one service and its hosts, whose records tests change.
type services struct {
	mu      sync.Mutex
	targets []Target
	ttl     time.Duration
	err     error
	hosts   map[string]string // address by host
}

func (z *services) lookup(_ context.Context, host string) ([]netip.Addr, time.Duration, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	a, ok := z.hosts[host]
	if !ok {
		return nil, 0, errors.New("no such host")
	}
	return []netip.Addr{netip.MustParseAddr(a)}, z.ttl, nil
}

func (z *services) lookupService(context.Context, string) ([]Target, time.Duration, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	return append([]Target(nil), z.targets...), z.ttl, z.err
}

// Answers that change, vanish and lie, in the order in which they come, ten seconds apart. One answer stands until a better
// one comes.
func TestServiceFollowsItsRecords(t *testing.T) {
	a, b := Target{"a.example.net.", 443, 10, 3}, Target{"b.example.net", 8443, 20, 0}
	steps := []struct {
		name string
		set  func(*services)
		want []string // told since; nil: nothing
	}{
		{"two targets", func(z *services) { z.targets = []Target{b, a} }, []string{"192.0.2.1:443 10 3, 192.0.2.2:8443 20 0"}},
		{"in another order", func(z *services) { z.targets = []Target{a, b} }, nil},
		{"an error", func(z *services) { z.err = errors.New("timeout"); z.targets = nil }, nil},
		{"no record", func(z *services) { z.err = nil }, nil},
		{"there is no such service", func(z *services) { z.targets = []Target{{".", 0, 0, 0}} }, nil},
		{"a target without a port", func(z *services) { z.targets = []Target{{"a.example.net", 0, 0, 0}} }, nil},
		{"one of two is left", func(z *services) { z.targets = []Target{b} }, []string{"192.0.2.2:8443 20 0"}},
		{"its address changes", func(z *services) { z.hosts["b.example.net"] = "192.0.2.9" }, []string{"192.0.2.9:8443 20 0"}},
		{"its address vanishes", func(z *services) { delete(z.hosts, "b.example.net") }, nil},
		{"it lies at the unspecified address", func(z *services) { z.hosts["b.example.net"] = "0.0.0.0" }, nil},
		{"it lies at the metadata service", func(z *services) { z.hosts["b.example.net"] = "169.254.169.254" }, nil},
		{"another weight", func(z *services) {
			z.hosts["b.example.net"] = "192.0.2.9"
			z.targets = []Target{{"b.example.net", 8443, 20, 7}}
		},
			[]string{"192.0.2.9:8443 20 7"}},
		{"a target that does not resolve comes beside", func(z *services) { z.targets = append(z.targets, Target{"c.example.net", 1, 1, 1}) }, nil},
		{"the same address twice: the lower priority counts", func(z *services) {
			z.hosts["c.example.net"] = "192.0.2.9"
			z.targets = []Target{{"b.example.net", 443, 9, 1}, {"c.example.net", 443, 5, 2}}
		}, []string{"192.0.2.9:443 5 2"}},
	}
	synctest.Test(t, func(t *testing.T) {
		z := &services{ttl: 2 * time.Second, hosts: map[string]string{"a.example.net": "192.0.2.1", "b.example.net": "192.0.2.2"}}
		r := New(z.lookup, nil)
		defer r.Close()
		var told []string
		stop := func() {}
		for _, step := range steps {
			told = nil
			z.mu.Lock()
			step.set(z)
			z.mu.Unlock()
			if step.name == "two targets" {
				stop = r.WatchService("_https._tcp.example.net", z.lookupService, func(list []Endpoint) {
					text := ""
					for _, e := range list {
						if text += fmt.Sprint(", ", e.Addr, " ", e.Priority, " ", e.Weight); len(text) < 2 {
							t.Error("an empty list")
						}
					}
					told = append(told, text[2:])
				})
			}
			time.Sleep(70 * time.Second) // longer than the longest wait after an error
			synctest.Wait()
			if len(told) > 0 { // addresses of several targets may come one after the other
				told = told[len(told)-1:]
			}
			if d := cmp.Diff(step.want, told); d != "" {
				t.Errorf("%s (-want +got):\n%s", step.name, d)
			}
		}
		stop()
		stop()
		synctest.Wait()
		if len(r.names) != 0 {
			t.Errorf("%d names are still followed", len(r.names))
		}
	})
}

// A call of a watch that was stopped may end after it, even after the first one of the next watch of that host. It is about what
// was.
func TestALateCallOfAStoppedWatchChangesNothing(t *testing.T) {
	const host, before, after = "a.example.net", "192.0.2.1", "192.0.2.9"
	synctest.Test(t, func(t *testing.T) {
		z := &services{ttl: time.Second, hosts: map[string]string{host: before, "b.example.net": "192.0.2.2"}}
		r := New(z.lookup, nil)
		defer r.Close()
		lead := func(host string) {
			z.mu.Lock()
			z.targets = []Target{{host, 443, 1, 1}}
			z.mu.Unlock()
			time.Sleep(70 * time.Second) // longer than the longest wait after an error
			synctest.Wait()
		}
		var told string
		lead(host)
		r.WatchService("_https._tcp.example.net", z.lookupService, func(list []Endpoint) { told = list[0].Addr.Addr().String() })
		synctest.Wait()
		r.mu.Lock()
		late := r.names[host].watchers[0].changed
		r.mu.Unlock()
		check := func(when, want string) {
			t.Helper()
			late(addrs(before))
			synctest.Wait()
			if told != want {
				t.Errorf("%s: %s is told, want %s", when, told, want)
			}
		}
		lead("b.example.net")
		check("while the host is no target", "192.0.2.2")
		delete(z.hosts, host)
		lead(host)
		check("while it is one again, and does not resolve", "192.0.2.2")
		z.hosts[host] = after
		lead(host)
		check("once it resolves again", after)
	})
}

func TestAServiceHasSoManyEndpointsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &services{ttl: time.Minute, hosts: map[string]string{}}
		for i := range 200 {
			host := fmt.Sprint("h", i, ".example.net")
			z.hosts[host] = fmt.Sprint("192.0.2.", i)
			z.targets = append(z.targets, Target{host, 443, 1, 1})
		}
		r := New(z.lookup, nil)
		defer r.Close()
		most := 0
		r.WatchService("_https._tcp.example.net", z.lookupService, func(list []Endpoint) { most = max(most, len(list)) })
		time.Sleep(time.Second)
		synctest.Wait()
		if most != maxAddresses {
			t.Errorf("%d endpoints, want %d", most, maxAddresses)
		}
	})
}

func TestSystemServiceReadsRecordsAndTheirTTL(t *testing.T) {
	s := newServer(t, func(q dnsmessage.Message, _ bool) [][]byte {
		q.Response = true
		q.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Type: dnsmessage.TypeSRV, Class: dnsmessage.ClassINET, TTL: 17},
			Body:   &dnsmessage.SRVResource{Priority: 5, Weight: 3, Port: 8443, Target: dnsmessage.MustNewName("a.example.net.")},
		}}
		m, err := q.Pack()
		if err != nil {
			t.Error(err)
		}
		return [][]byte{m}
	})
	got, ttl, err := serviceVia(s.dial)(context.Background(), "_https._tcp.example.net.")
	if err != nil || ttl != 17*time.Second {
		t.Errorf("ttl %v, error %v, want 17 s and none", ttl, err)
	}
	if d := cmp.Diff([]Target{{"a.example.net.", 8443, 5, 3}}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
