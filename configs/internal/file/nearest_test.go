package file

import (
	"math/rand/v2"
	"testing"
)

func TestNearestOffersWhatWasProbablyMeant(t *testing.T) {
	t.Parallel()
	words := shapeOf(Keys()[0].Struct).names() // the top level
	for _, k := range Keys() {
		if k.Parent == "listeners[]" || k.Parent == "pools[]" {
			words = append(words, k.Name)
		}
	}
	for misspelt, want := range map[string]string{
		"balence": "balance", "Balance": "balance", "lisseners": "listeners", "listener": "listeners", "pool": "pools", "backend": "backends",
		"hello-timeout": "hello_timeout", "helloTimeout": "hello_timeout", "connect_timout": "connect_timeout", "idletimeout": "idle_timeout",
		"maxconn": "max_connections", "proxy": "proxy_protocol", "aatempts": "attempts", "atemps": "attempts", "naem": "name",
		"zzz": "", "": "", "x": "", "certificate": "", "a_very_long_word_that_nobody_would_ever_write_as_a_key_of_a_file_like_this_one": "",
	} {
		if got := nearest(misspelt, words); got != want {
			t.Errorf("%q: %q; want %q", misspelt, got, want)
		}
	}
}

// slowDistance is the definition: the cheapest of all ways to begin.
func slowDistance(a, b string) int {
	if a == "" || b == "" {
		return len(a) + len(b)
	}
	change := 1
	if a[0] == b[0] {
		change = 0
	}
	best := min(slowDistance(a[1:], b[1:])+change, slowDistance(a[1:], b)+1, slowDistance(a, b[1:])+1)
	if len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] {
		best = min(best, slowDistance(a[2:], b[2:])+1)
	}
	return best
}

func TestDistanceAgreesWithItsDefinition(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	word := func() string {
		w := make([]byte, r.IntN(7))
		for i := range w {
			w[i] = "abc"[r.IntN(3)]
		}
		return string(w)
	}
	for range 2000 {
		a, b := word(), word()
		if got, want := distance(a, b, 100), slowDistance(a, b); got != want {
			t.Fatalf("seed %d: from %q to %q: %d; want %d", seed, a, b, got, want)
		}
		if limit := 1 + r.IntN(4); distance(a, b, limit) != slowDistance(a, b) && slowDistance(a, b) < limit {
			t.Fatalf("seed %d: from %q to %q with the limit %d: %d; want %d", seed, a, b, limit, distance(a, b, limit), slowDistance(a, b))
		}
	}
}

func TestTheDefaultsOfEveryShapeAreSound(t *testing.T) {
	t.Parallel()
	for _, k := range Keys() {
		s := shapeOf(k.Struct) // panics if a tag is wrong
		if len(s.order) > 64 {
			t.Errorf("%v has more keys than a set has bits", k.Struct)
		}
	}
}
