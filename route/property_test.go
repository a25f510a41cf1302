package route

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// eachRandomTable calls f with n random tables; a failure names the seed of its table.
func eachRandomTable(t *testing.T, n int, f func(t *testing.T, rng *rand.Rand, s *Set)) {
	t.Helper()
	if testing.Short() {
		n /= 10
	}
	for seed := range uint64(n) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := randomSet(rng, 1+rng.IntN(25))
		f(t, rng, s)
		if t.Failed() {
			t.Fatalf("seed %d, routes:\n%+v", seed, s.Routes)
		}
	}
}

// CVE-2026-27588 (an indexed matcher that differs from the plain one), GHSA-hrhx-6h34-j5hc (trailing dot), Envoy
// #3471 (backtracking): the table answers as the rules read.
func TestMatchAgreesWithTheSlowMatcher(t *testing.T) {
	t.Parallel()
	won := 0
	eachRandomTable(t, 1_000, func(t *testing.T, rng *rand.Rand, s *Set) {
		s = withoutConflicts(t, s)
		snap := mustTable(t, s).Snapshot()
		for range 50 {
			q := randomQuery(rng)
			want, _ := slowMatch(s, q)
			got := snap.Match(q.query(t, rng.Uint64()))
			if gotIndex(got) != want {
				t.Errorf("%+v: got route %d, want %d", q, gotIndex(got), want)
				return
			}
			if want >= 0 {
				won++
			}
		}
	})
	if won == 0 {
		t.Error("no query ever matched: the test shows nothing")
	}
}

func gotIndex(d Decision) int {
	if d.Route == nil {
		return -1
	}
	return d.Route.Index
}

// CVE-2026-48491, CVE-2026-53622, CVE-2026-85597, CVE-2026-114656: whatever the spelling of a name, and whoever asks, there is
// one route for it, so the policy of the route is the policy of the handshake.
func TestSpellingChangesNothing(t *testing.T) {
	t.Parallel()
	eachRandomTable(t, 300, func(t *testing.T, rng *rand.Rand, s *Set) {
		snap := mustTable(t, withoutConflicts(t, s)).Snapshot()
		for range 20 {
			q := randomQuery(rng)
			first := snap.Match(q.query(t, 0))
			if q.name != "" {
				q.name = respell(rng, q.query(t, 0).Name.String())
			}
			if again := snap.Match(q.query(t, 0)); again != first {
				t.Errorf("%+v: got %+v, want %+v", q, again, first)
				return
			}
		}
	})
}

func TestExplainAgreesWithMatch(t *testing.T) {
	t.Parallel()
	eachRandomTable(t, 200, func(t *testing.T, rng *rand.Rand, s *Set) {
		s = withoutConflicts(t, s)
		snap := mustTable(t, s).Snapshot()
		for range 20 {
			query := randomQuery(rng).query(t, rng.Uint64())
			if rng.IntN(10) == 0 {
				query.Name = Name{}
			}
			e := snap.Explain(query)
			if d := snap.Match(query); e.Decision != d {
				t.Errorf("%+v: Explain says %+v, Match %+v", query, e.Decision, d)
			}
			last := len(e.Steps) - 1
			for i, step := range e.Steps {
				if step.Won != (i == last) || step.Reason == "" {
					t.Errorf("%+v: step %d of %+v", query, i, e.Steps)
				}
			}
			if r := e.Decision.Route; r != nil && e.Steps[last].Route != r.Name {
				t.Errorf("%+v: the last step is of %q, the decision of %q", query, e.Steps[last].Route, r.Name)
			}
			if e.String() == "" {
				t.Errorf("%+v: no text", query)
			}
		}
	})
}

// R23, R32: a pool always comes from the table, exactly one of pool and reject is set, a name never leads to what is
// meant for hellos without one, and no name leads to a route only if that says so.
func TestDecisionsComeFromTheTable(t *testing.T) {
	t.Parallel()
	eachRandomTable(t, 200, func(t *testing.T, rng *rand.Rand, s *Set) {
		s = withoutConflicts(t, s)
		snap := mustTable(t, s).Snapshot()
		for range 20 {
			query := randomQuery(rng).query(t, rng.Uint64())
			if query.Name.IsZero() {
				query.Name = mustName(t, randomHostName(rng))
			}
			d := snap.Match(query)
			if (d.Pool == "") == (d.Reject == RejectNone) {
				t.Errorf("%+v: pool %q and reject %v", query, d.Pool, d.Reject)
			}
			if d.Pool != "" && !slices.Contains(s.Pools, d.Pool) {
				t.Errorf("%+v: pool %q is not in the table", query, d.Pool)
			}
			if d.Pool == "legacy" || d.Verdict == VerdictNoSNI {
				t.Errorf("%+v: a name went where no_sni goes: %+v", query, d)
			}
			query.Name = Name{}
			want := Decision{Verdict: VerdictNoSNI, Pool: "legacy"}
			switch got := snap.Match(query); {
			case got.Route != nil && !slices.Contains(got.Route.Hosts, NoName):
				t.Errorf("no name: got a route for %q", got.Route.Hosts)
			case got.Route == nil && got != want:
				t.Errorf("no name: got %+v, want %+v", got, want)
			}
		}
	})
}

// What Check calls duplicate or unreachable never wins by the rules as they read.
func TestUnreachableHostsNeverWin(t *testing.T) {
	t.Parallel()
	reported := 0
	eachRandomTable(t, 500, func(t *testing.T, rng *rand.Rand, s *Set) {
		conflicts := Check(s)
		reported += len(conflicts)
		for range 50 {
			q := randomQuery(rng)
			route, host := slowMatch(s, q)
			for _, c := range conflicts {
				if route >= 0 && c.Route == route && c.Host == host {
					t.Errorf("%+v reaches what Check says is not: %s", q, c.Msg)
				}
			}
		}
	})
	if reported == 0 {
		t.Error("no table had a conflict: the test shows nothing")
	}
}

// conds.implies is exactly "holds whenever": tried out on every combination of what a client can be.
func TestImpliesMeansHoldsWhenever(t *testing.T) {
	t.Parallel()
	queries := everyQuery()
	for seed := range uint64(3_000) {
		rng := rand.New(rand.NewPCG(seed, 2))
		a, b := randomSet(rng, 1).Routes[0], randomSet(rng, 1).Routes[0]
		ca, cb := condsOf(&a), condsOf(&b)
		want := !slices.ContainsFunc(queries, func(q *Query) bool { return a.holds(q) && !b.holds(q) })
		if got := ca.implies(&cb); got != want {
			t.Fatalf("seed %d: %+v implies %+v: got %v, want %v", seed, ca, cb, got, want)
		}
		if got, want := ca.equal(&cb), ca.implies(&cb) && cb.implies(&ca); got != want {
			t.Fatalf("seed %d: %+v equals %+v: got %v, want %v", seed, ca, cb, got, want)
		}
	}
}

func everyQuery() (out []*Query) {
	for _, alpn := range [][]string{nil, {"h2"}, {"http/1.1"}, {"acme-tls/1"}} {
		for _, client := range randomClients {
			for _, listener := range append([]string{""}, randomListeners...) {
				q := &Query{ALPN: ProtocolList(alpn), Listener: listener}
				if client != "" {
					q.Client = netip.MustParseAddr(client)
				}
				out = append(out, q)
			}
		}
	}
	return out
}

// A split gives every target exactly its weight over as many draws as the weights add up to, and a random draw
// comes close.
func TestSplitFollowsTheWeights(t *testing.T) {
	t.Parallel()
	a := Action{Targets: []Target{{"web", 90}, {"canary", 10}, {"off", 0}}}
	got := map[string]int{}
	for draw := range uint64(100) {
		got[a.pick(draw+1<<63)]++
	}
	if diff := cmp.Diff(map[string]int{"web": 90, "canary": 10}, got); diff != "" {
		t.Errorf("100 draws in a row (-want +got):\n%s", diff)
	}
	rng := rand.New(rand.NewPCG(7, 7))
	canary := 0
	for range 100_000 {
		if a.pick(rng.Uint64()) == "canary" {
			canary++
		}
	}
	if canary < 9_500 || canary > 10_500 {
		t.Errorf("100 000 random draws gave canary %d, want about 10 000", canary)
	}
}
