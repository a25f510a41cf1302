package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const host = "web.example." // the dot at the end keeps the search domains of the machine out of the tests

func TestSystemReadsTTLs(t *testing.T) {
	a, aaaa := "192.0.2.1", "2001:db8::1"
	type answers = func(q dnsmessage.Message, tcp bool) [][]byte
	plain := func(list ...dnsmessage.Resource) answers {
		return func(q dnsmessage.Message, _ bool) [][]byte { return [][]byte{answering(q, records(q, list...))} }
	}
	tests := []struct {
		name    string
		cut     int
		answers answers
		addrs   string
		ttl     time.Duration
		err     error
	}{
		{"the least of A and AAAA", 0, plain(record(host, a, 300), record(host, aaaa, 120)), a + " " + aaaa, 120 * time.Second, nil},
		{"the least along a chain of aliases", 0,
			plain(alias(host, "b.example.", 90), alias("b.example.", "c.example.", 30), record("c.example.", a, 300)), a, 30 * time.Second, nil},
		{"TTL 0 is a second, not unknown", 0, plain(record(host, a, 0)), a, time.Second, nil},
		{"a TTL with the highest bit set is 0", 0, plain(record(host, a, 1<<31)), a, time.Second, nil},
		{"the largest TTL is passed on", 0, plain(record(host, a, 1<<31-1)), a, (1<<31 - 1) * time.Second, nil},
		{"an answer cut short is asked for by TCP, and counts nothing", 0, func(q dnsmessage.Message, tcp bool) [][]byte {
			if !tcp {
				return [][]byte{answering(q, records(q, record(host, a, 5)), truncated)}
			}
			return [][]byte{answering(q, records(q, record(host, a, 60), record(host, "192.0.2.2", 70)))}
		}, a + " 192.0.2.2", 60 * time.Second, nil},
		{"the same with the TCP stream cut at every byte", 1, func(q dnsmessage.Message, tcp bool) [][]byte {
			if !tcp {
				return [][]byte{answering(q, nil, truncated)}
			}
			return [][]byte{answering(q, records(q, record(host, a, 60)))}
		}, a, 60 * time.Second, nil},
		{"datagrams that answer something else change nothing", 0, func(q dnsmessage.Message, _ bool) [][]byte {
			forged := records(q, record(host, "192.0.2.66", 1), record(host, "2001:db8::66", 1))
			return [][]byte{
				answering(q, forged, otherID), answering(q, forged, otherName), {0}, []byte(strings.Repeat("\xc0", 600)),
				answering(q, forged, func(m *dnsmessage.Message) { m.Response = false }),
				answering(q, records(q, record(host, a, 60))),
			}
		}, a, 60 * time.Second, nil},
		{"a family without an answer makes the other's partial", 0, func(q dnsmessage.Message, _ bool) [][]byte {
			if q.Questions[0].Type == dnsmessage.TypeAAAA {
				return [][]byte{answering(q, nil, rcode(dnsmessage.RCodeServerFailure))}
			}
			return [][]byte{answering(q, records(q, record(host, a, 60)))}
		}, a, 60 * time.Second, errPartial},
		{"a family that does not exist does not", 0, func(q dnsmessage.Message, _ bool) [][]byte {
			if q.Questions[0].Type == dnsmessage.TypeA {
				return [][]byte{answering(q, nil, rcode(dnsmessage.RCodeNameError))}
			}
			return [][]byte{answering(q, records(q, record(host, aaaa, 60)))}
		}, aaaa, 60 * time.Second, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t, test.answers)
			s.cut = test.cut
			got, ttl, err := systemVia(s.dial)(t.Context(), host)
			if !errors.Is(err, test.err) {
				t.Fatalf("err = %v, want %v", err, test.err)
			}
			good, _ := usable(got)
			diff(t, "addresses", addrs(test.addrs), good)
			diff(t, "ttl", test.ttl, ttl)
		})
	}
}

func TestSystemErrors(t *testing.T) {
	for name, code := range map[string]dnsmessage.RCode{
		"the name does not exist": dnsmessage.RCodeNameError, "the server fails": dnsmessage.RCodeServerFailure,
		"the server refuses": dnsmessage.RCodeRefused, "there is no such record": dnsmessage.RCodeSuccess,
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, func(q dnsmessage.Message, _ bool) [][]byte { return [][]byte{answering(q, nil, rcode(code))} })
			got, ttl, err := systemVia(s.dial)(t.Context(), host)
			if _, isDNS := errors.AsType[*net.DNSError](err); !isDNS || len(got) != 0 || ttl != 0 {
				t.Errorf("= %v, %v, %v; want a DNSError alone", got, ttl, err)
			}
		})
	}
}

// CVE-2026-123634: whatever a name server says, a lookup ends with its context and without harm.
func TestSystemOutlastsGarbage(t *testing.T) {
	garbage := map[string]func(q dnsmessage.Message) []byte{
		"no byte":        func(dnsmessage.Message) []byte { return nil },
		"noise":          func(dnsmessage.Message) []byte { return []byte(strings.Repeat("\xff\x00\xc0\x0c", 100)) },
		"a header alone": func(q dnsmessage.Message) []byte { return answering(q, nil)[:12] },
		"half a message": func(q dnsmessage.Message) []byte {
			m := answering(q, []dnsmessage.Resource{record(host, "192.0.2.1", 9)})
			return m[:len(m)-7]
		},
		"names in a loop": func(q dnsmessage.Message) []byte {
			m := answering(q, nil)
			m[7] = 9
			return append(m, 0xc0, byte(len(m)))
		},
	}
	for name, make := range garbage {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, func(q dnsmessage.Message, _ bool) [][]byte { return [][]byte{make(q)} })
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if got, ttl, err := systemVia(s.dial)(ctx, host); err == nil {
				t.Errorf("= %v, %v, no error", got, ttl)
			}
		})
	}
}

// CVE-2026-123634: a huge answer over TCP becomes at most maxAddresses backends.
func TestSystemHugeAnswer(t *testing.T) {
	var list []dnsmessage.Resource
	for i := range 2000 {
		list = append(list, record(host, fmt.Sprintf("10.0.%d.%d", i/250, i%250), 60))
	}
	s := newServer(t, func(q dnsmessage.Message, tcp bool) [][]byte {
		if !tcp {
			return [][]byte{answering(q, nil, truncated)}
		}
		return [][]byte{answering(q, records(q, list...))}
	})
	r := New(systemVia(s.dial), nil)
	defer r.Close()
	heard := make(chan []netip.Addr, 1)
	r.Watch(host, func(a []netip.Addr) { heard <- a })
	diff(t, "addresses", maxAddresses, len(<-heard))
}

// R17: a record that changes is used within its TTL and a second; here TTL 0, so a second and the time of a lookup.
func TestSystemRecordChanges(t *testing.T) {
	var generation atomic.Int32
	s := newServer(t, func(q dnsmessage.Message, _ bool) [][]byte {
		addr := fmt.Sprintf("192.0.2.%d", 1+generation.Load())
		return [][]byte{answering(q, records(q, record(host, addr, 0)))}
	})
	r := New(systemVia(s.dial), nil)
	defer r.Close()
	heard := make(chan []netip.Addr)
	r.Watch(host, func(a []netip.Addr) { heard <- a })
	diff(t, "first", addrs("192.0.2.1"), <-heard)
	generation.Add(1)
	diff(t, "then", addrs("192.0.2.2"), <-heard)
}

func TestLocalhostAsksNobody(t *testing.T) {
	dial := func(context.Context, string, string) (net.Conn, error) {
		t.Error("a name server was asked")
		return nil, errNoServer
	}
	for _, name := range []string{"localhost", "LocalHost.", "switchyard-test.localhost", "127.0.0.1", "::1"} {
		got, _, err := systemVia(dial)(t.Context(), name)
		loopback := slices.ContainsFunc(got, func(a netip.Addr) bool { return a.Unmap().IsLoopback() })
		if err != nil || !loopback {
			t.Errorf("%s is %v, %v; want a loopback address", name, got, err)
		}
	}
}
