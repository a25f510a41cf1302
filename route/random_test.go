package route

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// The words random tables are made of: few, so that routes meet.
var (
	randomLabels      = []string{"a", "b", "c", "example", "x-1", "db-7"}
	randomTLDs        = []string{"com", "net"}
	randomExpressions = []string{`~^db-[0-9]+\.example\.net$`, `~^[a-c]\..*$`, `~^.*\.com$`, `~^(a|b)\.example\.(com|net)$`, `~^x.*$`}
	randomProtocols   = []string{"h2", "http/1.1", "acme-tls/1"}
	randomPools       = []string{"p0", "p1", "p2", "p3"}
	randomListeners   = []string{"public", "inside"}
	randomPrefixes    = []string{"10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "192.0.2.0/24", "2001:db8::/32", "::/0", "0.0.0.0/0"}
	randomClients     = []string{"10.1.2.3", "10.200.0.1", "192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "2001:db9::1", "203.0.113.1", ""}
)

func oneOf[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

// someOf returns nil most of the time, and otherwise one or two of list.
func someOf[T any](rng *rand.Rand, list []T) []T {
	switch rng.IntN(6) {
	case 0, 1:
		return []T{oneOf(rng, list)}
	case 2:
		return []T{oneOf(rng, list), oneOf(rng, list)}
	default:
		return nil
	}
}

func randomHostName(rng *rand.Rand) string {
	var labels []string
	for range rng.IntN(4) {
		labels = append(labels, oneOf(rng, randomLabels))
	}
	return strings.Join(append(labels, oneOf(rng, randomTLDs)), ".")
}

// respell changes what must not matter: case, and one trailing dot.
func respell(rng *rand.Rand, name string) string {
	b := []byte(name)
	for i, c := range b {
		if 'a' <= c && c <= 'z' && rng.IntN(3) == 0 {
			b[i] = c - 'a' + 'A'
		}
	}
	if rng.IntN(3) == 0 {
		b = append(b, '.')
	}
	return string(b)
}

func randomHost(rng *rand.Rand) string {
	switch rng.IntN(13) {
	case 0:
		return "*"
	case 12:
		return NoName
	case 1, 2:
		return oneOf(rng, randomExpressions)
	case 3, 4, 5, 6:
		return "*." + respell(rng, randomHostName(rng))
	default:
		return respell(rng, randomHostName(rng))
	}
}

func randomAction(rng *rand.Rand) Action {
	switch rng.IntN(4) {
	case 0:
		return Action{Reject: RejectAlert + Reject(rng.IntN(3))}
	case 1:
		return Action{Targets: []Target{{oneOf(rng, randomPools), rng.IntN(4)}, {oneOf(rng, randomPools), 1 + rng.IntN(4)}}}
	default:
		return Action{Targets: []Target{{oneOf(rng, randomPools), 1}}}
	}
}

// randomSet may have conflicts between its routes, and no others.
func randomSet(rng *rand.Rand, routes int) *Set {
	s := &Set{Pools: append(slices.Clone(randomPools), "legacy", "unknown")}
	for _, name := range randomListeners {
		s.Listeners = append(s.Listeners, Listener{
			Name:       name,
			NoSNI:      Action{Targets: []Target{{"legacy", 1}}},
			UnknownSNI: Action{Targets: []Target{{"unknown", 1}}},
		})
	}
	for i := range routes {
		r := Route{
			Name:      fmt.Sprintf("r%d", i),
			ALPN:      someOf(rng, randomProtocols),
			Clients:   parsePrefixes(someOf(rng, randomPrefixes)),
			Listeners: someOf(rng, randomListeners),
			Action:    randomAction(rng),
		}
		if r.Action.Reject == RejectNone && rng.IntN(4) == 0 {
			r.Terminate = r.Name
		}
		for range 1 + rng.IntN(3) {
			r.Hosts = append(r.Hosts, randomHost(rng))
		}
		s.Routes = append(s.Routes, r)
	}
	return s
}

// withoutConflicts drops the hosts that Check complains about until it is content.
func withoutConflicts(t *testing.T, s *Set) *Set {
	t.Helper()
	for {
		conflicts := Check(s)
		if len(conflicts) == 0 {
			return s
		}
		clean := *s
		clean.Routes = nil
		for i, r := range s.Routes {
			var hosts []string
			for j, h := range r.Hosts {
				if !slices.ContainsFunc(conflicts, func(c Conflict) bool { return c.Route == i && c.Host == j }) {
					hosts = append(hosts, h)
				}
			}
			if r.Hosts = hosts; len(hosts) > 0 {
				clean.Routes = append(clean.Routes, r)
			}
		}
		if s = &clean; slices.ContainsFunc(conflicts, func(c Conflict) bool { return c.Host < 0 }) {
			t.Fatalf("a conflict that is not about a host: %v", conflicts)
		}
	}
}

func randomQuery(rng *rand.Rand) *slowQuery {
	q := &slowQuery{name: respell(rng, randomHostName(rng)), listener: oneOf(rng, randomListeners)}
	if rng.IntN(20) == 0 {
		q.name = "" // the hello has none
	}
	for range rng.IntN(3) {
		q.alpn = append(q.alpn, oneOf(rng, randomProtocols))
	}
	if c := oneOf(rng, randomClients); c != "" {
		q.client = netip.MustParseAddr(c)
	}
	return q
}

// query is q as the table takes it.
func (q *slowQuery) query(t *testing.T, draw uint64) *Query {
	t.Helper()
	var name Name
	if q.name != "" {
		name = mustName(t, q.name)
	}
	return &Query{Name: name, ALPN: ProtocolList(q.alpn), Client: q.client, Listener: q.listener, Draw: draw}
}

func parsePrefixes(texts []string) (out []netip.Prefix) {
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}
