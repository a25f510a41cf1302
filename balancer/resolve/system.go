package resolve

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"
)

// System is the Lookup of the operating system's resolver configuration (hosts file, resolv.conf, nsswitch.conf), as
// Go's own resolver reads it, search domains included.
//
// The ttl is the least of all A, AAAA and CNAME records of the answer, at least a second; answers from the hosts
// file have none. "localhost" and names below it never go to a name server (RFC 6761 §6.3): they are what the hosts
// file says, or else 127.0.0.1 and ::1.
func System() Lookup {
	var d net.Dialer
	return systemVia(d.DialContext)
}

// dialFunc connects to a name server.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// errPartial comes with the addresses of one family when the question for the other got no answer.
var errPartial = errors.New("resolve: one of the questions for A and AAAA records got no answer")

func systemVia(dial dialFunc) Lookup {
	return func(ctx context.Context, host string) ([]netip.Addr, time.Duration, error) {
		if isLocalhost(host) {
			return localhost(ctx, host), 0, nil
		}
		var m meter
		addrs, err := lookupThrough(ctx, dial, &m, host)
		if err == nil && m.partial() {
			err = errPartial
		}
		return addrs, m.ttl(), err
	}
}

// lookupThrough asks for the addresses of host.
func lookupThrough(ctx context.Context, dial dialFunc, m *meter, host string) (addrs []netip.Addr, err error) {
	err = through(ctx, dial, m, func(r *net.Resolver) (err error) {
		addrs, err = r.LookupNetIP(ctx, "ip", host)
		return err
	})
	return addrs, err
}

// through asks with a resolver of its own, whose connections report to m. They are closed when it returns: Go's resolver
// gives up when ctx ends, but what it started would read on until its own timeout.
func through(ctx context.Context, dial dialFunc, m *meter, ask func(*net.Resolver) error) error {
	whole, end := context.WithCancel(ctx)
	defer end()
	r := net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			context.AfterFunc(whole, func() { c.Close() })
			return metered(c, m), nil
		},
	}
	return ask(&r)
}

func isLocalhost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

var errNoServer = errors.New("resolve: localhost is not asked of a name server")

// localhost reads the hosts file only.
func localhost(ctx context.Context, host string) []netip.Addr {
	nobody := func(context.Context, string, string) (net.Conn, error) { return nil, errNoServer }
	addrs, err := lookupThrough(ctx, nobody, new(meter), host)
	if err != nil || len(addrs) == 0 {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	return addrs
}
