package balancer

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/route"
)

// policyTable is a generated table of routes, each of which ends TLS under a policy of its own. What a client sees of
// a policy is its certificate, named after the route, and whether it is asked for a certificate.
type policyTable struct {
	cfg    *Config
	mutual map[string]bool // by route
}

// policyMaker makes policies once, since keys and authorities take long.
type policyMaker struct {
	certs map[string]*tls.Certificate // by route
	auth  *terminate.ClientAuth
}

const mostRoutes = 24

func newPolicyMaker(t testing.TB) *policyMaker {
	m := &policyMaker{certs: map[string]*tls.Certificate{}, auth: &terminate.ClientAuth{CA: newAuthority(t, "clients").file(t)}}
	for i := range mostRoutes {
		c := certFor(t, fmt.Sprintf("r%d", i))
		m.certs[c.Leaf.DNSNames[0]] = &c
	}
	return m
}

var propertyLabels = []string{"a", "b", "c-d", "xn--e"}

func propertyHost(rng *rand.Rand) string {
	name := propertyName(rng)
	switch rng.IntN(10) {
	case 0:
		return "*"
	case 1:
		return `~^[ab]\.` + strings.ReplaceAll(name, ".", `\.`) + "$"
	case 2, 3, 4:
		return "*." + name
	}
	return name
}

func propertyName(rng *rand.Rand) string {
	labels := make([]string, 1+rng.IntN(3))
	for i := range labels {
		labels[i] = propertyLabels[rng.IntN(len(propertyLabels))]
	}
	return respelt(rng, strings.Join(append(labels, "test"), "."))
}

// respelt changes the case of some letters.
func respelt(rng *rand.Rand, name string) string {
	return strings.Map(func(r rune) rune {
		if rng.IntN(3) == 0 {
			return []rune(strings.ToUpper(string(r)))[0]
		}
		return r
	}, name)
}

// table generates routes until they do not conflict.
func (m *policyMaker) table(t testing.TB, rng *rand.Rand, backend string) policyTable {
	for {
		x := policyTable{cfg: oneHost("unused.test", testPool("pool", backend)), mutual: map[string]bool{}}
		x.cfg.Routes = nil
		for i := range 2 + rng.IntN(mostRoutes-2) {
			r := route.Route{Name: fmt.Sprintf("r%d", i), Action: toPool("pool"), Hosts: []string{propertyHost(rng)}}
			if rng.IntN(4) == 0 {
				r.Hosts = append(r.Hosts, route.NoName)
			}
			if rng.IntN(3) == 0 {
				r.ALPN = []string{[]string{"h2", "http/1.1"}[rng.IntN(2)]}
			}
			cfg := terminate.Config{Route: r.Name, Certificates: namedSource{m.certs[r.Name]}}
			if rng.IntN(2) == 0 {
				cfg.ClientAuth, x.mutual[r.Name] = m.auth, true
			}
			r.Terminate = policyOf(t, cfg)
			x.cfg.Routes = append(x.cfg.Routes, r)
			if len(route.Check(x.cfg.RouteSet())) > 0 {
				x.cfg.Routes = x.cfg.Routes[:len(x.cfg.Routes)-1]
			}
		}
		if len(x.cfg.Routes) > 0 {
			return x
		}
	}
}

// namedSource gives one certificate for every name.
type namedSource struct{ cert *tls.Certificate }

func (s namedSource) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.cert, nil }
func (s namedSource) Equal(other any) bool                                       { return s == other }

// For every generated table, the policy of the handshake's name is the policy of the route's (CVE-2026-48491, -53622,
// -85597, -114656: another matcher chose the options than the one that chose the route). The tables take each other's place
// while the server runs, and sessions of earlier ones are offered again.
func TestThePolicyOfTheNameIsThePolicyOfTheRoute(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	maker, backend := newPolicyMaker(t), echo(t)
	x := maker.table(t, rng, backend)
	r := serve(t, x.cfg, func(o *Options) { o.LogConnections = false })
	sessions := tls.NewLRUClientSessionCache(64)
	matched, nameless := 0, 0
	for range sized(25, 1000) {
		for range 20 {
			name, asked := propertyName(rng), false
			var protos []string
			if rng.IntN(2) == 0 {
				protos = []string{[]string{"h2", "http/1.1"}[rng.IntN(2)]}
			}
			normal, err := route.ParseName(name)
			if err != nil {
				t.Fatal(err)
			}
			if rng.IntN(6) == 0 {
				name, normal = "", route.Name{}
			}
			d := r.Routes().Match(&route.Query{Name: normal, ALPN: route.ProtocolList(protos), Listener: "public"})
			cfg := &tls.Config{ServerName: name, NextProtos: protos, ClientSessionCache: sessions,
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					asked = true
					return &tls.Certificate{}, nil
				}}
			cs, err := talk(r.addr, cfg)
			switch {
			case d.Route == nil && err == nil:
				t.Fatalf("seed %d: %q has no route, and was served", seed, name)
			case d.Route == nil:
			case err != nil:
				t.Fatalf("seed %d: %q has route %s, and failed: %v", seed, name, d.Route.Name, err)
			default:
				matched++
				if name == "" {
					nameless++
				}
				if got := cs.PeerCertificates[0].DNSNames[0]; got != d.Route.Name || !cs.DidResume && asked != x.mutual[got] {
					t.Fatalf("seed %d: %q has route %s, and met the policy of %s; asked for a certificate: %v", seed, name, d.Route.Name, got, asked)
				}
			}
		}
		x = maker.table(t, rng, backend)
		p, err := r.Prepare(context.Background(), x.cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Commit(); err != nil {
			t.Fatal(err)
		}
		sessions = tls.NewLRUClientSessionCache(64) // a client would check the certificate of a session against another one
	}
	if matched == nameless || nameless == 0 {
		t.Errorf("%d handshakes have met a route, %d of them without a name", matched, nameless)
	}
	t.Logf("seed %d: %d handshakes met the policy of their route, %d of them without a name", seed, matched, nameless)
}

// disguise is a connection that alters how the hello of a client looks on the wire. With sound it stays the same
// message; otherwise bytes of it are changed.
type disguise struct {
	net.Conn
	rng   *rand.Rand
	sound bool
	begun bool
}

func (d *disguise) Write(b []byte) (int, error) {
	if d.begun {
		return d.Conn.Write(b)
	}
	d.begun = true
	hello := b
	if d.sound {
		hello = inRecords(b[5:], 1+d.rng.IntN(len(b)))
	} else {
		hello = mutate(d.rng, b)
	}
	for len(hello) > 0 { // in some segments
		n := 1 + d.rng.IntN(len(hello))
		if _, err := d.Conn.Write(hello[:n]); err != nil {
			return 0, err
		}
		hello = hello[n:]
	}
	return len(b), nil
}

// R32: whatever is done to a hello, a host with client certificates is reached by those that have one, and by nobody
// else; and a default pool by hellos without a name alone.
func TestMutatedHellosDoNotPassClientCertificates(t *testing.T) {
	t.Parallel()
	clients := newAuthority(t, "clients")
	var reached, defaults atomic.Int64
	secret := listenTCP(t, func(c *net.TCPConn) {
		reached.Add(1)
		io.Copy(c, c)
	})
	nameless := listenTCP(t, func(c *net.TCPConn) {
		defaults.Add(1)
		b := make([]byte, 64<<10) // a hello in records of one byte takes six times its size
		n := 0
		for { // the first record may be one of many
			m, err := c.Read(b[n:])
			n += m
			if name, ok := tlsReads(b[:n]); ok {
				if name != "" {
					t.Errorf("the default pool was reached with the name %q", name)
				}
				return
			}
			if err != nil || n == len(b) {
				t.Errorf("the default pool was reached by what crypto/tls cannot read: % x", b[:n])
				return
			}
		}
	})
	const soon = 300 * time.Millisecond // many hellos never come to their end
	p := policyOf(t, terminate.Config{HandshakeTimeout: 10 * soon, Certificates: certsFor(t, "secret.example.com"), ClientAuth: &terminate.ClientAuth{CA: clients.file(t), Require: true}})
	cfg := terminatedHost("secret.example.com", p, testPool("pool", secret))
	cfg.Pools = append(cfg.Pools, testPool("default", nameless))
	cfg.Listeners[0].NoSNI, cfg.Listeners[0].HelloTimeout = toPool("default"), soon
	r := serve(t, cfg, func(o *Options) { o.LogConnections = false })
	good := *clients.issue(t, "good")
	seed := rand.Uint64()
	var entitled atomic.Int64
	repeatBy(sized(8, 64), sized(1500, 100_000), func(i int) { // mostly they wait until what is cut is refused
		rng, began := rand.New(rand.NewPCG(seed, uint64(i))), time.Now()
		raw, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Error(err)
			return
		}
		defer raw.Close()
		raw.SetDeadline(time.Now().Add(20 * time.Second))
		d := &disguise{Conn: raw, rng: rng, sound: rng.IntN(3) > 0}
		client := &tls.Config{InsecureSkipVerify: true, ServerName: respelt(rng, "secret.example.com"), MaxVersion: tls.VersionTLS12 + uint16(rng.IntN(2))}
		has := rng.IntN(8) == 0
		if has {
			client.Certificates = []tls.Certificate{good}
		} else if rng.IntN(4) == 0 {
			client.ServerName = ""
		}
		c := tls.Client(d, client)
		if err := c.Handshake(); err != nil {
			return
		}
		c.Write([]byte("x"))
		_, err = io.ReadFull(c, make([]byte, 1))
		switch {
		case err == nil && has:
			entitled.Add(1)
		case err == nil:
			t.Errorf("seed %d: attempt %d was served without a certificate", seed, i)
		case has && d.sound && time.Since(began) < 10*soon: // a machine that is slower may have run into that
			t.Errorf("seed %d: attempt %d has a certificate and a sound hello, and failed: %v", seed, i, err)
		}
	})
	r.quiet(t)
	if reached.Load() != entitled.Load() || entitled.Load() == 0 || defaults.Load() == 0 {
		t.Errorf("seed %d: the host was reached %d times, by %d clients that may; the default %d times", seed, reached.Load(), entitled.Load(), defaults.Load())
	}
	t.Logf("seed %d: %d clients with a certificate, and nobody else; the default pool %d times", seed, entitled.Load(), defaults.Load())
}
